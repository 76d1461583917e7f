/**
 * What a second process adds: nginx in front of one process, then of two over the same stores, A B B A. Twice the processes
 * get twice the load. Where the machine has cores for two processes beside nginx, the load and the stores, each gets as
 * much as it can take, and throughput is the figure. Where it has not, two that share a core can only show that a request
 * costs them no more CPU time than it costs one; for that each gets as many requests per second as the one did, with room
 * left on the core: two that fight for it would pay for the fight, and not for being two.
 *
 * node bin/runtime.js bench/scale-out.ts [--rounds 6] [--seconds 2]
 */
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { migrateUp } from '../src/storage/migrator.ts'
import { openPostgres } from '../src/storage/postgres.ts'
import { makeRunDirectory, startOwnRedis, startServices } from '../test/services.ts'
import { createDatabase } from '../test/support/database.ts'
import { basic } from '../test/support/http.ts'
import { type Front, startNginx } from './nginx.ts'
import { freePort, has, type Measured, pinnedTo } from './process.ts'
import { CLIENTS, type Seeded, seed } from './seed.ts'
import { median } from './statistics.ts'
import { startUsher } from './targets.ts'
import { load, type Request, scriptOf } from './wrk.ts'

const TOKENS = 5_000
const WARM_SECONDS = 4
/** For each process. */
const CONNECTIONS = 32
/** Between an answer and the next request of its connection, where the processes share a core. */
const PAUSE_MS = 8
/** Two processes, nginx, the load, and one for the stores. */
const CORES_FOR_THROUGHPUT = 5
const FORM = 'application/x-www-form-urlencoded'

export interface ScaleOutDeps {
  /** Settings of a production server with Redis; database, keys and data are replaced by ones of its own. */
  env: Record<string, string>
  directory: string
  /** PostgreSQL with the right to create databases. */
  serverUrl: string
  rounds: number
  seconds: number
}

export interface ScaleOutRow {
  name: string
  /** Requests per second through nginx, medians. */
  rps: { one: number; two: number }
  /** CPU time of the server processes per request, medians. */
  cpuMicros: { one: number; two: number }
  /** Of the rounds: two over one. */
  throughput: number
  cpu: number
  failures: number
}

export interface ScaleOut {
  rows: ScaleOutRow[]
  /** Whether this machine can show throughput; else CPU time per request is the figure. */
  hasCores: boolean
  lines: string[]
}

/** Measures on databases, keys and ports of its own. Needs nginx and wrk. */
export async function measureScaleOut(deps: ScaleOutDeps): Promise<ScaleOut> {
  const missing = ['nginx', 'wrk'].filter((program) => !has(program))
  if (missing.length > 0) throw new Error(`this needs ${missing.join(' and ')}: apt-get install ${missing.join(' ')}`)
  const database = await createDatabase(deps.serverUrl)
  const open = await openPostgres(database.url)
  await migrateUp(open)
  await open.close()
  const env: Record<string, string> = {
    ...deps.env,
    USHER_DATABASE_URL: database.url,
    USHER_REDIS_PREFIX: 'scale-out:',
    USHER_KEYS_DIR: join(deps.directory, 'scale-out-keys'),
    USHER_DATA_DIR: join(deps.directory, 'scale-out-data'),
    USHER_TRUSTED_PROXIES: '1',
  }
  const hasCores = availableParallelism() >= CORES_FOR_THROUGHPUT
  const closing: (() => Promise<unknown>)[] = [() => database.drop()]
  try {
    const seeded = await seed(env)
    closing.unshift(seeded.close)
    const servers: Measured[] = []
    for (const _ of [1, 2]) {
      // Without cores for both they share one, so that they never compete with the load for the other.
      const server = await startUsher({ ...env, USHER_PORT: String(await freePort()) }, hasCores ? 'all' : 0)
      servers.push(server)
      closing.unshift(server.stop)
    }
    const addresses = servers.map(({ address }) => address)
    const beside = (command: string[]) => (hasCores ? command : pinnedTo(1, command))
    const one = await startNginx(deps.directory, addresses.slice(0, 1), beside)
    closing.unshift(one.stop)
    const two = await startNginx(deps.directory, addresses, beside)
    closing.unshift(two.stop)
    const rows: ScaleOutRow[] = []
    for (const { name, requests } of await questionsOf(seeded, new URL(env.USHER_ISSUER ?? '').host)) {
      const pauseMs = hasCores ? undefined : PAUSE_MS
      rows.push({ name, ...(await compare({ one, two }, servers, await scriptOf(requests), { ...deps, pauseMs })) })
    }
    return { rows, hasCores, lines: tableOf(rows, hasCores) }
  } finally {
    for (const close of closing) await close().catch(() => undefined)
  }
}

async function questionsOf(seeded: Seeded, host: string): Promise<{ name: string; requests: Request[] }[]> {
  const tokens = await seeded.accessTokens(TOKENS)
  const post = (path: string, place: number, form: Record<string, string>): Request => ({
    method: 'POST',
    path,
    headers: { Host: host, 'Content-Type': FORM, Authorization: basic(`c${place % CLIENTS}`, seeded.secret) },
    body: new URLSearchParams(form).toString(),
  })
  const validation = tokens.map((token) => ({
    method: 'GET',
    path: '/api/v1/auth_token/validation',
    headers: { Host: host, Authorization: `Bearer ${token}` },
  }))
  return [
    { name: 'validation', requests: validation },
    {
      name: 'introspection',
      requests: tokens.map((token, place) => post('/oauth2/introspect', place, { token })),
    },
    {
      name: 'client credentials',
      requests: Array.from({ length: CLIENTS }, (_, place) =>
        post('/oauth2/token', place, { grant_type: 'client_credentials' }),
      ),
    },
  ]
}

interface Run {
  rps: number
  cpuMicros: number
  failures: number
}

async function compare(
  { one, two }: { one: Front; two: Front },
  servers: readonly Measured[],
  script: string,
  { rounds, seconds, pauseMs }: Pick<ScaleOutDeps, 'rounds' | 'seconds'> & { pauseMs: number | undefined },
): Promise<Omit<ScaleOutRow, 'name'>> {
  const cpu = () => servers.reduce((sum, server) => sum + server.cpuMicros(), 0)
  async function run(front: Front): Promise<Run> {
    const before = cpu()
    const connections = front === one ? CONNECTIONS : 2 * CONNECTIONS
    const { requests, rps, failures } = await load(front.address, script, seconds, { connections, pauseMs })
    return { rps, cpuMicros: (cpu() - before) / requests, failures }
  }
  // Each for itself and for as long: a process that has been asked less is compiled less.
  for (const { address } of servers) await load(address, script, WARM_SECONDS)
  await run(two)
  const pairs: { one: Run; two: Run }[] = []
  for (let round = 0; round < rounds; round += 1) {
    // Turned round every time, so that whoever comes second gains nothing from it.
    if (round % 2 === 0) pairs.push({ one: await run(one), two: await run(two) })
    else {
      const second = await run(two)
      pairs.push({ one: await run(one), two: second })
    }
  }
  const middle = (of: (pair: { one: Run; two: Run }) => number) => median(pairs.map(of))
  return {
    rps: { one: middle((pair) => pair.one.rps), two: middle((pair) => pair.two.rps) },
    cpuMicros: { one: middle((pair) => pair.one.cpuMicros), two: middle((pair) => pair.two.cpuMicros) },
    throughput: middle((pair) => pair.two.rps / pair.one.rps),
    cpu: middle((pair) => pair.two.cpuMicros / pair.one.cpuMicros),
    failures: pairs.reduce((sum, pair) => sum + pair.one.failures + pair.two.failures, 0),
  }
}

function tableOf(rows: readonly ScaleOutRow[], hasCores: boolean): string[] {
  const says = hasCores
    ? 'There are cores for two processes: throughput is the figure.'
    : `With ${availableParallelism()} cores both processes share one, and nginx and the load the other: what can be shown is that a request costs the same CPU time when each process is asked as often as the one (connections that pause for ${PAUSE_MS} ms on average).`
  return [
    `nginx in front of one and of two processes over the same stores. ${says}`,
    '',
    '| | one, req/s | two, req/s | × | one, CPU µs | two, CPU µs | × | failed |',
    '|---|--:|--:|--:|--:|--:|--:|--:|',
    ...rows.map(({ name, rps, cpuMicros, throughput, cpu, failures }) => {
      const micros = [cpuMicros.one, cpuMicros.two].map((value) => value.toFixed(0))
      const cells = [rps.one.toFixed(0), rps.two.toFixed(0), throughput.toFixed(2), ...micros, cpu.toFixed(2), failures]
      return `| ${name} | ${cells.join(' | ')} |`
    }),
  ]
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '6' }, seconds: { type: 'string', default: '2' } },
  })
  const directory = await makeRunDirectory()
  const services = await startServices(directory, ['PostgreSQL'])
  const redis = await startOwnRedis(directory, ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
  try {
    const { lines } = await measureScaleOut({
      env: {
        NODE_ENV: 'production',
        USHER_HOST: '127.0.0.1',
        USHER_ISSUER: 'https://id.bench.example',
        USHER_REDIS_URL: redis.url,
        USHER_SMTP_URL: 'smtp://127.0.0.1:2525',
        USHER_MAIL_FROM: 'Bench <bench@bench.example>',
        USHER_ACCESS_TOKEN_TTL: '3600',
        USHER_SIGN_INS_PER_MINUTE: '100000',
      },
      directory,
      serverUrl: services[0]?.url ?? '',
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
    })
    console.log(lines.join('\n'))
  } finally {
    await Promise.all([...services, redis].map((service) => service.stop()))
    await rm(directory, { recursive: true, force: true })
  }
}

// bin/runtime.js imports its entry and puts its path where Node would.
if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
