/**
 * A whole Usher for one test file: real server processes over a database and a Redis prefix of their own, and the core's
 * use cases beside them to make accounts and clients with. Several processes share stores, keys and issuer.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { type Core, composeCore } from '../../src/compose/core.ts'
import { openStores, type Stores } from '../../src/compose/stores.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { freshDatabase, freshRedisPrefix, redisUrl, storeUrl, temporaryDirectory } from './database.ts'

const LAUNCHER = new URL('../../bin/usher.js', import.meta.url).pathname

export interface WorldOptions {
  /** Server processes over the same stores; each listens on its own loopback address. Default 1. */
  servers?: number
  env?: Record<string, string>
  /** Default: http://localhost:<port>. */
  issuer?: string
  /** Take the place of the run's own servers, such as a fault proxy in front of them. The database is still a fresh one. */
  databaseUrl?: string
  redisUrl?: string
  /** What lies behind `redisUrl`. Default: the run's own Redis. */
  directRedisUrl?: string
}

export interface ServerProcess {
  /** Where it listens, such as http://127.0.0.2:4711; requests there must carry the issuer's Host. */
  address: string
  process: ChildProcess
  /** Every line it has written. */
  lines: string[]
  /** Ends it with SIGTERM and waits; answers the exit code. */
  stop(): Promise<number | null>
}

export interface World {
  issuer: string
  servers: ServerProcess[]
  core: Core
  stores: Stores
  config: Config
  env: Record<string, string>
  /** One more process over the same stores. */
  startAnother(): Promise<ServerProcess>
  stop(): Promise<void>
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const [database, keysDir, port] = await Promise.all([freshDatabase(), temporaryDirectory('keys'), freePort()])
  const env = {
    NODE_ENV: 'test',
    USHER_PORT: String(port),
    USHER_ISSUER: options.issuer ?? `http://localhost:${port}`,
    USHER_DATABASE_URL: options.databaseUrl ? databaseAt(options.databaseUrl, database.name) : database.url,
    USHER_REDIS_URL: options.redisUrl ?? storeUrl(),
    USHER_REDIS_PREFIX: freshRedisPrefix(),
    USHER_KEYS_DIR: keysDir,
    USHER_DATA_DIR: await temporaryDirectory('data'),
    USHER_SIGN_INS_PER_MINUTE: '10000',
    USHER_CODES_PER_HOUR: '10000',
    ...options.env,
  }
  const config = loadConfig(env)
  const keyring = await openKeyring({ dir: keysDir, production: false, secrets: config })
  // Beside the servers, not through their fault proxies.
  const isOwnRedis = options.redisUrl === undefined && options.env?.USHER_REDIS_URL === undefined
  const directRedisUrl = isOwnRedis ? storeUrl() : (options.directRedisUrl ?? redisUrl())
  const direct = { USHER_DATABASE_URL: database.url, USHER_REDIS_URL: env.USHER_REDIS_URL && directRedisUrl }
  const stores = await openStores(loadConfig({ ...env, ...direct }))
  const core = composeCore({ config, stores, keyring })
  const servers: ServerProcess[] = []
  const startAnother = async () => {
    const server = await startServer(env, `127.0.0.${servers.length + 1}`)
    servers.push(server)
    return server
  }
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await core.hashes.close()
    await stores.close()
    await database.drop()
  }
  try {
    for (let count = 0; count < (options.servers ?? 1); count++) await startAnother()
  } catch (error) {
    await stop() // what stays open would keep the run from ending
    throw error
  }

  return {
    issuer: config.issuer,
    servers,
    core,
    stores,
    config,
    env,
    startAnother,
    stop,
  }
}

function databaseAt(serverUrl: string, name: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}

const running = new Set<ChildProcess>()

// Who fails or is told to end before he can stop his servers leaves none behind.
process.once('SIGTERM', () => process.exit(128 + constants.signals.SIGTERM))
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts one server process and waits until it says that it is ready. */
export async function startServer(
  env: Record<string, string>,
  host = '127.0.0.1',
  launcher = LAUNCHER,
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [launcher, 'serve'], {
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...env, USHER_HOST: host },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const ready = Promise.withResolvers<void>()
  const hear = (line: string) => {
    lines.push(line)
    if (line.includes('Usher is ready at')) ready.resolve()
  }
  createInterface({ input: child.stdout }).on('line', hear)
  createInterface({ input: child.stderr }).on('line', hear)
  running.add(child)
  child.once('exit', (code) => {
    running.delete(child)
    ready.reject(new Error(`the server ended with ${code}:\n${lines.join('\n')}`))
  })
  await ready.promise
  return {
    address: `http://${host}:${env.USHER_PORT}`,
    process: child,
    lines,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      child.kill('SIGTERM')
      await once(child, 'exit')
      return child.exitCode
    },
  }
}

const given = new Set<number>()

/** A port of every loopback address. Below those that the kernel gives to whoever connects, so that it stays free. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 20_000)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '0.0.0.0')
  try {
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return true
  } catch {
    return false
  }
}
