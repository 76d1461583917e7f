/**
 * A server in the process of the test, over stores that tell how often they were asked. For questions about costs; what
 * a server does is asked of real processes (world.ts).
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { CHANGES_SINCE } from '../../src/access/freshness-store.ts'
import { assembleApp } from '../../src/app.ts'
import { composeCore } from '../../src/compose/core.ts'
import type { Stores } from '../../src/compose/stores.ts'
import { composeWeb } from '../../src/compose/web.ts'
import { loadConfig } from '../../src/config.ts'
import type { Dispatch } from '../../src/http/dispatcher.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { createLocalAnnouncements } from '../../src/storage/announcements.ts'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { createSqlEphemeral } from '../../src/storage/ephemeral-sql.ts'
import { createRedisJournal } from '../../src/storage/journal-redis.ts'
import { createSqlJournal } from '../../src/storage/journal-sql.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { openRedis } from '../../src/storage/redis.ts'
import { freshDatabase, freshRedisPrefix, redisUrl, temporaryDirectory } from './database.ts'
import { freePort } from './world.ts'

export interface Counts {
  redis: number
  sql: number
}

export type CountedWorld = Awaited<ReturnType<typeof startCountedWorld>>

/** Less than any memory is believed for. */
const STEADY_MS = 500

/**
 * @param ephemeral where what dies by itself is kept
 * @param onStatement is told every statement sent to the database
 */
export async function startCountedWorld(
  ephemeral: 'redis' | 'sql' = 'redis',
  onStatement?: (sql: string, parameters: readonly unknown[]) => void,
) {
  const [fresh, keysDir, dataDir, port] = await Promise.all([
    freshDatabase(),
    temporaryDirectory('keys'),
    temporaryDirectory('data'),
    freePort(),
  ])
  const issuer = `http://localhost:${port}`
  const config = loadConfig({
    NODE_ENV: 'test',
    USHER_PORT: String(port),
    USHER_ISSUER: issuer,
    USHER_DATABASE_URL: fresh.url,
    USHER_KEYS_DIR: keysDir,
    USHER_DATA_DIR: dataDir,
    USHER_LOG_LEVEL: 'silent',
    USHER_SIGN_INS_PER_MINUTE: '10000',
    USHER_CODES_PER_HOUR: '10000',
  })
  const counts: Counts = { redis: 0, sql: 0 }
  let confirmations = 0
  const database = await openPostgres(fresh.url, {
    onQuery: (sql, parameters) => {
      onStatement?.(sql, parameters)
      // Decisions confirm what they remember by one statement in 800 ms, however many they are: nobody's own cost.
      if (sql === CHANGES_SINCE) confirmations += 1
      else counts.sql += 1
    },
  })
  const redis = await openRedis(redisUrl(), { onCommand: ({ isRoundTrip }) => (counts.redis += Number(isRoundTrip)) })
  const prefix = freshRedisPrefix()
  const journal = ephemeral === 'redis' ? createRedisJournal(redis, { prefix }) : createSqlJournal(database)
  const stores: Stores = {
    database,
    ephemeral: ephemeral === 'redis' ? createRedisEphemeral(redis, { prefix }) : createSqlEphemeral(database),
    journal,
    announcements: createLocalAnnouncements(),
    names: { database: '', ephemeral: '' },
    async close() {
      journal.close()
      redis.disconnect()
      await database.close()
    },
  }
  const keyring = await openKeyring({ dir: keysDir, production: false, secrets: config })
  const core = composeCore({ config, stores, keyring })
  core.revocationFeed.start()
  const logger = createLogger({ level: config.logLevel })
  const parts = composeWeb({ config, stores, core, keyring, logger, isDraining: () => false })
  let fastAnswers = 0
  const dispatch: Dispatch = (request, response, chain) => {
    let isPassed = false
    response.once('finish', () => (fastAnswers += Number(!isPassed)))
    const isTaken = parts.dispatch(request, response, (...exchange) => {
      isPassed = true
      chain(...exchange)
    })
    isPassed ||= !isTaken
    return isTaken
  }
  const server = createServer(assembleApp({ ...parts, dispatch }))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')

  return {
    issuer,
    servers: [{ address: `http://127.0.0.1:${port}` }],
    core,
    database,
    /** The declared routes, and what puts those and all the others on a router. */
    routes: parts.routes,
    mounts: parts.mounts,
    /** The application without the short way in front. */
    chain: parts.app.callback(),
    /** How many requests were answered by the short way. */
    fastAnswers: () => fastAnswers,
    /** How often the memory that decisions rest on was confirmed. */
    confirmations: () => confirmations,
    /**
     * What a piece of work costs in round trips; and what it answers. On a machine that stands still meanwhile, memory has
     * to be confirmed once more: `isSteady` says that nothing of the kind is among the counts.
     */
    async counting<T>(work: () => Promise<T>): Promise<{ answer: T; counts: Counts; isSteady: boolean }> {
      await core.revocationFeed.untilFresh()
      const before = { ...counts }
      const begunMs = performance.now()
      const answer = await work()
      const isSteady = performance.now() - begunMs < STEADY_MS && core.revocationFeed.isFresh()
      return { answer, counts: { redis: counts.redis - before.redis, sql: counts.sql - before.sql }, isSteady }
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await core.hashes.close()
      await stores.close()
      await fresh.drop()
    },
  }
}
