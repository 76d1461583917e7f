/** A database, and both ephemeral stores, open for one test file. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { OpenDatabase } from '../../src/storage/database.ts'
import type { Ephemeral } from '../../src/storage/ephemeral.ts'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { createSqlEphemeral } from '../../src/storage/ephemeral-sql.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { openRedis } from '../../src/storage/redis.ts'
import type { Database } from '../../src/storage/tables.ts'
import { freshDatabase, freshRedisPrefix, storeUrl } from './database.ts'

export interface OpenStores {
  db: Database
  database: OpenDatabase
  redis: Ephemeral
  sql: Ephemeral
  close(): Promise<void>
}

/** `onQuery` is told every statement sent to the database. */
export async function openStores(onQuery?: (sql: string) => void): Promise<OpenStores> {
  const fresh = await freshDatabase()
  const database = await openPostgres(fresh.url, onQuery ? { onQuery } : {})
  const redis = createRedisEphemeral(await openRedis(storeUrl()), { prefix: freshRedisPrefix() })
  return {
    db: database.db,
    database,
    redis,
    sql: createSqlEphemeral(database),
    async close() {
      await redis.close()
      await database.close()
      await fresh.drop()
    },
  }
}

/** A real database whose network has gone since it was opened. */
export async function lostDatabase(): Promise<{ db: Database; close(): Promise<void> }> {
  const fresh = await freshDatabase()
  const relay = await startRelay(new URL(fresh.url))
  const database = await openPostgres(relay.url)
  await relay.cut()
  return {
    db: database.db,
    async close() {
      await database.close()
      await fresh.drop()
    },
  }
}

/** Passes bytes on to a server until it is cut. */
async function startRelay(target: URL): Promise<{ url: string; cut(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const relay = createServer((inbound) => {
    const outbound = connect(Number(target.port), target.hostname)
    for (const socket of [inbound, outbound]) sockets.add(socket.on('error', () => {}))
    inbound.pipe(outbound).pipe(inbound)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const address = relay.address()
  if (address === null || typeof address === 'string') throw new Error('the relay has no port')
  const url = new URL(target)
  url.host = `127.0.0.1:${address.port}`
  return {
    url: url.href,
    async cut() {
      relay.close()
      for (const socket of sockets) socket.destroy()
      await once(relay, 'close')
    },
  }
}
