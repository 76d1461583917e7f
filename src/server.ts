/** The process: opens the stores, listens, takes up new keys, and on a signal stops without losing a request. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { assembleApp } from './app.ts'
import { OPERATOR } from './audit-event.ts'
import { bannerOf } from './banner.ts'
import { composeCore } from './compose/core.ts'
import { keysOf } from './compose/keys.ts'
import { bringSchemaUp, openStores, type Stores } from './compose/stores.ts'
import { composeWeb, type WebDeps } from './compose/web.ts'
import { boundTo, type Config, ConfigError } from './config.ts'
import { ensureFirstStart } from './first-start.ts'
import type { RequestListener } from './http/dispatcher.ts'
import { createLogger, type Logger } from './observability/logger.ts'
import { claimOnce } from './storage/installation-store.ts'
import { createSweeper } from './storage/sweeper.ts'
import { inTransaction } from './storage/transaction.ts'

/** In-flight requests get this long to finish. */
const DRAIN_MS = 10_000
/** Between being told to stop and closing the listener, so that balancers see /readyz red first. */
const NOTICE_MS = 250
/** How often draining looks whether anything is under way. */
const SILENCE_MS = 250

/** Runs until the process is told to stop; resolves after the last request was answered and the stores are closed. */
export async function serve(config: Config): Promise<void> {
  const logger = createLogger({ level: config.logLevel })
  for (const warning of config.warnings) logger.warn(warning)
  const ring = keysOf(config).open()
  ring.catch(() => undefined) // it is awaited below, where the stores can be closed again
  if (config.production) await ring // no store is touched without keys; elsewhere they are made while the stores open
  const stores = await openStores(config, {
    onFault: (error) => logger.warn({ err: error }, 'a hint to the other processes could not be sent'),
  })
  try {
    const keyring = await ring
    for (const warning of keyring.warnings) logger.warn(warning)
    await bringSchemaUp(config, stores)
    await run(config, stores, keyring, logger)
  } finally {
    await stores.close()
  }
}

async function run(configured: Config, stores: Stores, keyring: WebDeps['keyring'], logger: Logger): Promise<void> {
  let isDraining = false
  let answer: RequestListener = (_request, response) => response.writeHead(503, { 'Retry-After': '1' }).end()
  const server = createHttpServer((request, response) => {
    if (isDraining) response.setHeader('Connection', 'close')
    answer(request, response)
  })
  const underWay = requestsUnderWay(server)
  await listen(server, configured)
  const config = boundTo(configured, (server.address() as AddressInfo).port) // listening on TCP, so it is one

  const core = composeCore({ config, stores, keyring, logger })
  core.revocationFeed.start()
  const appOver = (ring: WebDeps['keyring']) =>
    assembleApp(composeWeb({ config, stores, core, keyring: ring, logger, isDraining: () => isDraining }))
  const firstStart = await ensureFirstStart({ core, config, database: stores.database })
  answer = appOver(keyring)
  const recordKeys = recordingKeys({ core, stores, config, logger })
  await recordKeys()

  const sweeper = createSweeper(stores.database, {
    chores: [
      core.deletion.removeDue,
      core.freshness.removeOld,
      core.audit.removeOld,
      core.revocationFeed.catchUp,
      core.revocation.mendOnce,
      core.revocation.finish,
    ],
    onFault: (error) => logger.error({ err: error }, 'a round of sweeping failed; the next one tries again'),
  })
  core.outbox.start(logger)
  const keys = keysOf(config)
  const takeUpKeys = async (): Promise<void> => {
    try {
      answer = appOver(await keys.open())
      void recordKeys()
      logger.info({ event: 'keys.reloaded' }, 'the key ring was read again')
    } catch (error) {
      logger.error({ err: error }, 'the changed key ring could not be read; the former one stays')
    }
  }
  // One after the other: of two readings the one that began later counts.
  let takenUp = Promise.resolve()
  const stopWatching = keys.watch(() => {
    takenUp = takenUp.then(takeUpKeys)
  })
  process.stdout.write(bannerOf({ config, stores: stores.names, firstStart }))

  await toldToStop(logger)
  isDraining = true
  stopWatching()
  await delay(NOTICE_MS)
  core.revocationStream.close()
  await drain(server, underWay)
  await core.outbox.stop()
  await core.mailer.close()
  await sweeper.stop()
  await core.signIns.close()
  await core.hashes.close()
}

/**
 * Keys are rotated on disk, where no database need be. Whichever server sees first that a key is in use records it; when
 * that fails, the next start does. Never throws.
 */
const recordingKeys =
  ({ core, stores, config, logger }: Pick<WebDeps, 'core' | 'stores' | 'config' | 'logger'>) =>
  async (): Promise<void> => {
    try {
      const keys = await keysOf(config).list()
      for (const { kid, use, alg } of keys.filter(({ state }) => state === 'current')) {
        await inTransaction(stores.database.db, async (executor) => {
          if (!(await claimOnce(executor, `key.rotated ${kid}`))) return
          const target = { kind: 'key', id: kid } as const
          await core.audit.record(executor, OPERATOR, { action: 'key.rotated', target, after: { use, alg } })
        })
      }
    } catch (error) {
      logger.error({ err: error }, 'the keys in use could not be recorded')
    }
  }

/** Node's own limits are minutes; a slow sender is cut off after seconds (RFC 9110 leaves it to us). */
function createHttpServer(listener: RequestListener): Server {
  const server = createServer(
    { requestTimeout: 15_000, headersTimeout: 10_000, connectionsCheckingInterval: 2_000 },
    listener,
  )
  // Above the idle time of usual proxies: who closes first must be the one that sends next.
  server.keepAliveTimeout = 75_000
  server.maxConnections = 20_000
  return server
}

async function listen(server: Server, { host, port }: Config): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', (error: NodeJS.ErrnoException) => {
    const taken = error.code === 'EADDRINUSE'
    reject(taken ? new ConfigError([`port ${port} on ${host} is taken: stop what uses it, or set USHER_PORT`]) : error)
  })
  server.listen(port, host, resolve)
  await promise
}

/** Resolves at the first signal; a second one ends the process at once. */
async function toldToStop(logger: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const stop = (signal: NodeJS.Signals) => {
    logger.info({ event: 'stopping', signal }, 'stopping')
    process.once(signal, () => process.exit(1))
    resolve()
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  const crash = (error: unknown) => {
    logger.fatal({ err: error }, 'stopping after an unexpected error')
    process.exitCode = 1
    resolve()
  }
  process.once('uncaughtException', crash)
  process.once('unhandledRejection', crash)
  await promise
}

/** Closes the listener, lets requests in flight finish, then cuts what is left. */
async function drain(server: Server, underWay: () => number): Promise<void> {
  const closed = Promise.withResolvers<void>()
  server.close(() => closed.resolve())
  const limit = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  // Node does not call a connection idle on which nothing has been asked yet, as browsers open them in advance.
  const silence = setInterval(() => {
    if (underWay() === 0) server.closeAllConnections()
  }, SILENCE_MS)
  await closed.promise
  clearInterval(silence)
  clearTimeout(limit)
}

/** Counts the requests of a server that are not answered yet. */
function requestsUnderWay(server: Server): () => number {
  let count = 0
  server.on('request', (_request, response) => {
    count++
    response.once('close', () => count--)
  })
  return () => count
}
