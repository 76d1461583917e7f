/** Hooks around the whole run: proof that the real servers did the work, and that no key was left without an end. */
import { expect } from 'chai'
import { Redis } from 'ioredis'
import pg from 'pg'
import { keysWithoutEnd, postgresUrl, redisUrl } from './support/database.ts'

/** What the servers themselves have counted: transactions that wrote, commands run. */
interface Counters {
  transactions: number
  commands: number
}

let atStart: Counters | undefined

export const mochaHooks = {
  async beforeAll() {
    atStart = await readCounters()
  },

  async afterAll() {
    // One file alone may need no store at all.
    if (!process.env.TEST_WHOLE_SUITE || !atStart) return
    const atEnd = await readCounters()
    expect(atEnd.transactions - atStart.transactions, 'transactions of PostgreSQL').to.be.greaterThan(100)
    expect(atEnd.commands - atStart.commands, 'commands of Redis').to.be.greaterThan(100)
    expect(await endlessKeys(), 'Redis keys without a TTL').to.deep.equal([])
  },
}

async function readCounters(): Promise<Counters> {
  const client = new pg.Client({ connectionString: postgresUrl() })
  const redis = new Redis(redisUrl())
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

async function endlessKeys(): Promise<string[]> {
  const redis = new Redis(redisUrl())
  try {
    return await keysWithoutEnd(redis, 't-')
  } finally {
    redis.disconnect()
  }
}
