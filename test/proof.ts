/** Proof that the real servers did the work of a whole run, and that no key was left without an end. */
import { Redis } from 'ioredis'
import pg from 'pg'
import { keysWithoutEnd } from './support/database.ts'

/** What the servers themselves have counted: transactions that wrote, commands run. */
export interface Counters {
  transactions: number
  commands: number
}

interface Urls {
  postgres: string
  redis: string
}

const ENOUGH = 1_000

export async function readCounters(urls: Urls): Promise<Counters> {
  const client = new pg.Client({ connectionString: urls.postgres })
  const redis = new Redis(urls.redis)
  try {
    await client.connect()
    // Not pg_stat_database: its counts go with the databases the tests drop.
    const { rows } = await client.query('select pg_current_xact_id()::text as id')
    const commands = /total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1]
    return { transactions: Number(rows[0].id), commands: Number(commands) }
  } finally {
    await client.end()
    redis.disconnect()
  }
}

/** What speaks against a whole run that began with these counters; nothing when it was real and left nothing behind. */
export async function faultsOfRun(atStart: Counters, urls: Urls): Promise<string[]> {
  const atEnd = await readCounters(urls)
  const redis = new Redis(urls.redis)
  try {
    const endless = await keysWithoutEnd(redis, 't-')
    return [
      ...(atEnd.transactions - atStart.transactions < ENOUGH ? ['PostgreSQL was hardly asked.'] : []),
      ...(atEnd.commands - atStart.commands < ENOUGH ? ['Redis was hardly asked.'] : []),
      ...(endless.length > 0 ? [`Redis keys without a TTL: ${endless.join(' ')}`] : []),
    ]
  } finally {
    redis.disconnect()
  }
}
