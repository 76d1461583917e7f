/**
 * The real PostgreSQL, Redis and Chromium of a test run: found on this machine or installed, started as private
 * throw-away instances on free ports, and gone afterwards. Nothing here can be switched off: what is missing and cannot
 * be installed ends the run with an error that lists the ways out.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'

const run = promisify(execFile)

export interface Service {
  name: 'PostgreSQL' | 'Redis' | 'Chromium'
  /** Where it was found or how it was got. */
  how: string
  /** Of Chromium: the path of the program. */
  url: string
  version: string
  startMs: number
  stop(): Promise<void>
}

type Found = { how: string; path: string } | undefined

/** What is missing and every way to provide it. */
export class ServiceMissing extends Error {
  constructor(missing: readonly Need[], reason: string) {
    const lines = missing.flatMap(({ name, remedies }) => [
      `  ${name}:`,
      ...remedies.map((remedy) => `    - ${remedy}`),
    ])
    super([`The tests need ${missing.map(({ name }) => name).join(', ')}. ${reason}`, ...lines].join('\n'))
    this.name = 'ServiceMissing'
  }
}

interface Need {
  name: Service['name']
  find: () => Found
  apt: string
  brew: string[]
  docker?: { image: string; arguments: (port: number) => string[] }
  remedies: string[]
}

const isRoot = process.getuid?.() === 0
const REDIS_PROGRAMS = ['redis-server', 'valkey-server']

const NEEDS: Need[] = [
  {
    name: 'PostgreSQL',
    find: findPostgres,
    apt: 'postgresql',
    brew: ['postgresql@17'],
    docker: {
      image: 'postgres:17-alpine',
      arguments: (port) => ['-e', 'POSTGRES_HOST_AUTH_METHOD=trust', 'postgres:17-alpine', '-p', String(port)],
    },
    remedies: [
      'set TEST_DATABASE_URL to a server on which databases may be created (postgres://user:password@host/postgres)',
      'install PostgreSQL 15 or newer (or set PG_BIN to the directory of initdb and postgres)',
      'install Docker and start it',
    ],
  },
  {
    name: 'Redis',
    find: findRedis,
    apt: 'redis-server',
    brew: ['redis'],
    docker: {
      image: 'redis:7-alpine',
      arguments: (port) => [
        'redis:7-alpine',
        'redis-server',
        '--port',
        String(port),
        '--save',
        '',
        '--databases',
        '32',
      ],
    },
    remedies: [
      'set TEST_REDIS_URL (redis://host:6379)',
      'install Redis 6.2 or newer, or Valkey (or set REDIS_BIN to the server program)',
      'install Docker and start it',
    ],
  },
  {
    name: 'Chromium',
    find: findChromium,
    apt: 'chromium-headless-shell',
    brew: ['--cask', 'chromium'],
    remedies: ['set CHROMIUM_BIN to a Chromium or Chrome program', 'install Chromium or Google Chrome'],
  },
]

/**
 * Starts everything, or what is named, installing what is missing.
 * @throws ServiceMissing
 */
export async function startServices(
  directory: string,
  names: readonly Service['name'][] = NEEDS.map(({ name }) => name),
): Promise<Service[]> {
  const needs = NEEDS.filter(({ name }) => names.includes(name))
  const missing = needs.filter(({ find }) => !find())
  const viaDocker = missing.length > 0 ? await install(missing) : []
  const started = await Promise.allSettled(
    needs.map((need) => (viaDocker.includes(need) ? startContainer(need) : STARTERS[need.name](directory))),
  )
  const failed = started.find((result) => result.status === 'rejected')
  const services = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  if (failed) {
    await Promise.all(services.map((service) => service.stop()))
    throw failed.reason
  }
  return services
}

const STARTERS: Record<Service['name'], (directory: string) => Promise<Service>> = {
  PostgreSQL: startPostgres,
  Redis: startRedis,
  Chromium: startChromium,
}

/** A directory of the run's own, open enough for the account PostgreSQL runs as. */
export async function makeRunDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'usher-test-'))
  await chmod(directory, 0o711)
  return directory
}

// --- finding ---

function findPostgres(): Found {
  if (process.env.TEST_DATABASE_URL) return { how: 'TEST_DATABASE_URL', path: '' }
  const given = process.env.PG_BIN
  if (given) {
    if (!isProgram(join(given, 'initdb'))) throw new Error(`PG_BIN is ${given}, and there is no initdb in it.`)
    return { how: 'PG_BIN', path: given }
  }
  const debian = '/usr/lib/postgresql'
  const installed = (existsSync(debian) ? readdirSync(debian) : [])
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(debian, version, 'bin'))
  const brewed = ['/opt/homebrew/opt', '/usr/local/opt'].flatMap((prefix) =>
    (existsSync(prefix) ? readdirSync(prefix) : [])
      .filter((name) => /^postgresql(@\d+)?$/.test(name))
      .sort((a, b) => Number(b.split('@')[1] ?? 0) - Number(a.split('@')[1] ?? 0))
      .map((name) => join(prefix, name, 'bin')),
  )
  const path = [...installed, ...brewed, ...searchPath()].find((bin) => isProgram(join(bin, 'initdb')))
  return path === undefined ? undefined : { how: path, path }
}

function findRedis(): Found {
  if (process.env.TEST_REDIS_URL) return { how: 'TEST_REDIS_URL', path: '' }
  return findProgram('REDIS_BIN', REDIS_PROGRAMS)
}

function findChromium(): Found {
  const known = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const mac = ['Google Chrome', 'Chromium'].map((app) => `/Applications/${app}.app/Contents/MacOS/${app}`)
  return findProgram('CHROMIUM_BIN', known, mac)
}

function findProgram(variable: string, names: readonly string[], paths: readonly string[] = []): Found {
  const given = process.env[variable]
  if (given) {
    if (!isProgram(given)) throw new Error(`${variable} is ${given}, which is not a program.`)
    return { how: variable, path: given }
  }
  const candidates = names.flatMap((name) => searchPath().map((directory) => join(directory, name)))
  const path = [...candidates, ...paths].find(isProgram)
  return path === undefined ? undefined : { how: path, path }
}

/** PATH without node_modules: what an npm package put there is not the system's server. */
function searchPath(): string[] {
  const directories = (process.env.PATH ?? '').split(delimiter).filter((path) => path && !path.includes('node_modules'))
  return [...directories, '/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin']
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

// --- installing ---

/** Installs what is missing; answers which of it is to be run in Docker instead. */
async function install(missing: readonly Need[]): Promise<Need[]> {
  if (isRoot && isProgram('/usr/bin/apt-get')) await aptInstall(missing.map(({ apt }) => apt))
  let left = missing.filter(({ find }) => !find())
  const viaDocker = left.length > 0 && (await hasDocker()) ? left.filter(({ docker }) => docker) : []
  left = left.filter((need) => !viaDocker.includes(need))
  if (left.length > 0 && findProgram('', ['brew'])) await brewInstall(left)
  left = left.filter(({ find }) => !find())
  if (left.length > 0) throw new ServiceMissing(left, 'Any one way of each list is enough:')
  return viaDocker
}

/** One call for everything, without starting a daemon or creating a system cluster. */
async function aptInstall(packages: readonly string[]): Promise<void> {
  console.log(`Installing with apt-get: ${packages.join(' ')}`)
  const policy = '/usr/sbin/policy-rc.d'
  const hadPolicy = existsSync(policy)
  const cluster = '/etc/postgresql-common/createcluster.conf'
  try {
    if (!hadPolicy) await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    if (!existsSync(cluster)) {
      await mkdir('/etc/postgresql-common', { recursive: true })
      await writeFile(cluster, 'create_main_cluster = false\n')
    }
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const quiet = { env, maxBuffer: 64 * 1024 * 1024 }
    await run('apt-get', ['update', '-q'], quiet)
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], quiet)
  } catch (error) {
    // Not the end: the search that follows decides, and names what is still missing.
    console.error(`apt-get failed: ${error instanceof Error ? error.message.split('\n', 3).join(' ') : error}`)
  } finally {
    if (!hadPolicy) await rm(policy, { force: true })
  }
}

async function brewInstall(missing: readonly Need[]): Promise<void> {
  for (const { name, brew } of missing) {
    console.log(`Installing ${name} with Homebrew: ${brew.join(' ')}`)
    await run('brew', ['install', ...brew]).catch((error) => console.error(`brew failed: ${error.message}`))
  }
}

const hasDocker = (): Promise<boolean> =>
  run('docker', ['info'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  )

// --- starting ---

async function startPostgres(directory: string): Promise<Service> {
  const found = findPostgres()
  if (!found) throw new Error('PostgreSQL went away.')
  const startedAt = performance.now()
  if (process.env.TEST_DATABASE_URL) return outside('PostgreSQL', process.env.TEST_DATABASE_URL, postgresVersion)

  const home = join(directory, 'postgres')
  await mkdir(home, { mode: 0o700 })
  // PostgreSQL refuses to run as root.
  const identity = isRoot ? await unprivileged() : undefined
  if (identity) await chown(home, identity.uid, identity.gid)
  const options = { cwd: home, ...identity }
  const data = join(home, 'data')
  await run(
    join(found.path, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    options,
  )
  const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200']
  return retryOnce(async () => {
    const port = await freePort()
    const child = spawn(
      join(found.path, 'postgres'),
      ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', '', ...settings.flatMap((setting) => ['-c', setting])],
      { ...options, stdio: 'ignore' },
    )
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`
    const version = await untilAnswers(child, 'PostgreSQL', () => postgresVersion(url))
    // SIGINT: fast shutdown, which does not wait for sessions left open.
    return {
      name: 'PostgreSQL',
      how: found.how,
      url,
      version,
      startMs: since(startedAt),
      stop: () => end(child, 'SIGINT'),
    }
  })
}

async function startRedis(directory: string): Promise<Service> {
  if (process.env.TEST_REDIS_URL) return outside('Redis', process.env.TEST_REDIS_URL, versionOfRedis)
  return startOwnRedis(directory)
}

/** The Redis server program of this machine. */
export function redisProgram(): string {
  const found = findProgram('REDIS_BIN', REDIS_PROGRAMS)
  if (!found) throw new Error('This needs a Redis of its own: install Redis, or set REDIS_BIN to the server program.')
  return found.path
}

/**
 * A Redis of the caller's own, also when the run's was given by URL; `flags` are those of redis-server. With `port` it
 * takes the place of one that has gone.
 */
export async function startOwnRedis(
  directory: string,
  flags: readonly string[] = [],
  { port: given }: { port?: number } = {},
): Promise<Service> {
  const program = redisProgram()
  const startedAt = performance.now()
  const home = await mkdtemp(join(directory, 'redis-'))
  return retryOnce(async () => {
    const port = given ?? (await freePort())
    const where = ['--bind', '127.0.0.1', '--port', String(port), '--dir', home]
    const child = spawn(program, [...where, '--save', '', '--databases', '32', ...flags], { stdio: 'ignore' })
    const url = `redis://127.0.0.1:${port}`
    const version = await untilAnswers(child, 'Redis', () => versionOfRedis(url))
    return { name: 'Redis', how: program, url, version, startMs: since(startedAt), stop: () => end(child, 'SIGTERM') }
  })
}

async function startChromium(): Promise<Service> {
  const found = findChromium()
  if (!found) throw new Error('Chromium went away.')
  const startedAt = performance.now()
  const { stdout } = await run(found.path, ['--version', ...(isRoot ? ['--no-sandbox'] : [])], { timeout: 20_000 })
  const version = stdout.trim() || 'version unknown'
  return { name: 'Chromium', how: found.how, url: found.path, version, startMs: since(startedAt), stop: async () => {} }
}

async function startContainer({ name, docker }: Need): Promise<Service> {
  if (!docker) throw new Error(`${name} cannot be run in Docker.`)
  const startedAt = performance.now()
  // The same port inside and outside, so that the server's own word about its port can be compared.
  const port = await freePort()
  const publish = ['run', '-d', '--rm', '-p', `127.0.0.1:${port}:${port}`]
  const { stdout } = await run('docker', [...publish, ...docker.arguments(port)])
  const id = stdout.trim()
  const url = name === 'Redis' ? `redis://127.0.0.1:${port}` : `postgres://postgres@127.0.0.1:${port}/postgres`
  const stop = async () => void (await run('docker', ['rm', '-f', id]))
  try {
    const version = await untilAnswers(undefined, name, () =>
      name === 'Redis' ? versionOfRedis(url) : postgresVersion(url),
    )
    return { name, how: `Docker ${docker.image}`, url, version, startMs: since(startedAt), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function outside(
  name: Service['name'],
  url: string,
  versionOf: (url: string) => Promise<string>,
): Promise<Service> {
  const startedAt = performance.now()
  const version = await versionOf(url).catch((cause) => {
    throw new Error(`${name} given by URL does not answer: ${cause.message}`, { cause })
  })
  return { name, how: 'given by URL', url, version, startMs: since(startedAt), stop: async () => {} }
}

// --- small things ---

async function postgresVersion(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000, query_timeout: 2_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query('select version()')
    return rows[0].version
  } finally {
    await client.end()
  }
}

async function versionOfRedis(url: string): Promise<string> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 1_000,
    commandTimeout: 2_000,
  })
  redis.on('error', () => {})
  try {
    await redis.connect()
    return `Redis ${/redis_version:(\S+)/.exec(await redis.info('server'))?.[1]}`
  } finally {
    redis.disconnect()
  }
}

/** A query, not a TCP connect: a container's proxy accepts before its server listens. */
async function untilAnswers(
  child: ChildProcess | undefined,
  name: string,
  ask: () => Promise<string>,
): Promise<string> {
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (child && child.exitCode !== null) throw new Error(`${name} ended at start with code ${child.exitCode}.`)
      if (performance.now() > deadline) throw new Error(`${name} did not answer within 30 s.`, { cause: error })
      await sleep(30)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('No port.')
  return address.port
}

/** Somebody else may take the free port before the server does; not twice in a row. */
const retryOnce = <T>(start: () => Promise<T>): Promise<T> => start().catch(start)

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await exit
  clearTimeout(timer)
}

async function unprivileged(): Promise<{ uid: number; gid: number }> {
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, name]).catch(() => undefined)))
    const [uid, gid] = ids.map((result) => result && Number(result.stdout))
    if (uid !== undefined && gid !== undefined) return { uid, gid }
  }
  throw new Error('There is neither a user postgres nor a user nobody to run PostgreSQL as.')
}

const since = (startedAt: number): number => Math.round(performance.now() - startedAt)
