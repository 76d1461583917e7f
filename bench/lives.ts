/** What is not a matter of requests per second: starting, memory, idling, bytes per session, and a storm of sign-ins. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { startOwnRedis } from '../test/services.ts'
import { basic, send } from '../test/support/http.ts'
import { FORM, passwordGrant, type SignedIn } from './cases.ts'
import { ask, createClient } from './client.ts'
import { runOpenLoop, type Stream, type StreamResult } from './open-loop.ts'
import { freePort, type Measured, onAllCores } from './process.ts'
import { ACCOUNTS, CLIENTS, PASSWORD, type Seeded } from './seed.ts'
import { median } from './statistics.ts'
import { startUsher, type Targets } from './targets.ts'
import type { Request } from './wrk.ts'

/** Of config/redis.conf. */
const SHIPPED_SETTINGS = [
  ...['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'],
  ...['--hash-max-listpack-value', '1024'],
]

export type Lives = Awaited<ReturnType<typeof measureLives>>

interface LivesDeps {
  env: Record<string, string>
  directory: string
  seeded: Seeded
  targets: Targets
  /** How long the storm lasts, and how long idling is watched. */
  longSeconds: number
}

const root = fileURLToPath(new URL('..', import.meta.url))
const STARTS = 5
const SESSIONS = 1_000
const STORM_TIMES_CAPACITY = 10
const PROBES_PER_SECOND = 50
const CHAINS = 32
/** The share of what the machine can hash that the mixed load asks for. */
const MIX_OF_CAPACITY = 0.8
const SIGN_INS_AT_ONCE = 8

export async function measureLives(deps: LivesDeps) {
  const { env, targets, longSeconds } = deps
  const loaded = targets.usher.memory()
  console.error('measuring the start …')
  const start = await startTimes(env)
  console.error('measuring bytes per session …')
  const sessions = await sessionBytes(deps)
  const loopFile = join(deps.directory, 'event-loop.json')
  const port = String(await freePort())
  const preload = join(root, 'bench/servers/event-loop.ts')
  const watched = { ...env, USHER_PORT: port, NODE_OPTIONS: `--import=${preload}`, BENCH_LOOP_FILE: loopFile }
  const idling = await startUsher({ ...env, USHER_PORT: String(await freePort()) }, 'all')
  console.error('measuring what idling costs …')
  const idleCpuShare = await idleCpu(idling, longSeconds).finally(() => idling.stop())
  const server = await startUsher(watched, 'all')
  try {
    const work = await workFor(server, deps)
    console.error('measuring a storm of sign-ins …')
    const storm = await signInStorm(server, work, longSeconds)
    console.error('measuring how late the event loop is …')
    const mix = await mixedLoad(server, work, { loopFile, capacity: storm.signInsPerSecond, seconds: longSeconds / 2 })
    return {
      readyMs: start.readyMs,
      idleMiB: start.idleMiB,
      loadedMiB: loaded.now,
      highMiB: loaded.high,
      stormHighMiB: server.memory().high,
      sessions,
      idleCpuShare,
      storm,
      mix,
      longSeconds,
    }
  } finally {
    await server.stop()
  }
}

/** From the spawn to the first green /readyz, and what the process then holds. Medians of five. */
async function startTimes(env: Record<string, string>): Promise<{ readyMs: number; idleMiB: number }> {
  const times: number[] = []
  const memory: number[] = []
  for (let count = 0; count < STARTS; count += 1) {
    const port = String(await freePort())
    const begun = performance.now()
    const starting = startUsher({ ...env, USHER_PORT: port }, 'all')
    for (;;) {
      const reply = await send(`http://127.0.0.1:${port}`, 'http://localhost', '/readyz').catch(() => undefined)
      if (reply?.status === 200) break
      await sleep(5)
    }
    times.push(performance.now() - begun)
    const server = await starting
    await sleep(1_000)
    memory.push(server.memory().now)
    await server.stop()
  }
  return { readyMs: Math.round(median(times)), idleMiB: median(memory) }
}

interface SessionBytes {
  /** Of what a session consists of: its records and their indexes. */
  bytes: number
  sessions: number
  keysPerSession: number
  /** Of what Redis holds beside that for some minutes after a sign-in, such as the budgets of its limits. */
  passingBytes: number
  /** Bytes per session by the kind of key. */
  kinds: Record<string, number>
}

/** Keys of src/limits and marks of revocations: they go within the hour, whether the session stays or not. */
const PASSING = /^(limit|run|rv)/
/** Stored with every session, so a session without one would be too small. */
const USER_AGENT =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'

/**
 * What an empty Redis holds more after many sign-ins of different accounts, all indexes counted, per sign-in. The total
 * is what the memory has grown by; it is divided among the kinds of keys by what Redis says of each key.
 */
async function sessionBytes({ env, directory, seeded }: LivesDeps): Promise<SessionBytes> {
  const own = await startOwnRedis(directory, SHIPPED_SETTINGS)
  const redis = new Redis(own.url)
  const port = String(await freePort())
  const server = await startUsher({ ...env, USHER_PORT: port, USHER_REDIS_URL: own.url }, 'all')
  const { host } = new URL(env.USHER_ISSUER ?? '')
  const signIn = (place: number) =>
    passwordGrant(server.address, host, `c${place % CLIENTS}`, seeded.secret, `a${place % ACCOUNTS}@bench.example`, {
      'User-Agent': USER_AGENT,
    })
  try {
    await signIn(0) // loads the scripts
    const before = await usedMemory(redis)
    const places = Array.from({ length: SESSIONS }, (_, place) => place).values()
    await Promise.all(
      Array.from({ length: SIGN_INS_AT_ONCE }, async () => {
        for (const place of places) await signIn(place)
      }),
    )
    const grown = ((await usedMemory(redis)) - before) / SESSIONS
    return { ...shared(await keysByKind(redis), grown), sessions: SESSIONS }
  } finally {
    redis.disconnect()
    await server.stop()
    await own.stop()
  }
}

const usedMemory = async (redis: Redis): Promise<number> =>
  Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0)

interface Kind {
  keys: number
  bytes: number
}

/** Throws when a key would stay for ever; the mark of a running Redis and the journal are one each, and may. */
async function keysByKind(redis: Redis): Promise<Map<string, Kind>> {
  const kinds = new Map<string, Kind>()
  for await (const keys of redis.scanStream({ count: 1_000 })) {
    for (const key of keys) {
      if (/:(boot|rev)$/.test(key)) continue
      if ((await redis.pttl(key)) === -1) throw new Error(`${key} would stay in Redis for ever`)
      const kind = kindOf(key)
      const { keys: count, bytes } = kinds.get(kind) ?? { keys: 0, bytes: 0 }
      kinds.set(kind, { keys: count + 1, bytes: bytes + Number(await redis.memory('USAGE', key)) })
    }
  }
  return kinds
}

/** `usher:limit:sign-in:{bucket}` is of the kind `limit:sign-in`. */
const kindOf = (key: string): string =>
  key
    .split(':')
    .slice(1)
    .filter((part) => /^[a-z-]{1,16}$/.test(part))
    .join(':')

function shared(kinds: ReadonlyMap<string, Kind>, grown: number): Omit<SessionBytes, 'sessions'> {
  const named = [...kinds].toSorted(([, one], [, other]) => other.bytes - one.bytes)
  const total = named.reduce((sum, [, { bytes }]) => sum + bytes, 0)
  const kept = named.filter(([kind]) => !PASSING.test(kind))
  const bytesOf = (some: typeof named) =>
    Math.round((grown * some.reduce((sum, [, { bytes }]) => sum + bytes, 0)) / total)
  return {
    bytes: bytesOf(kept),
    passingBytes: Math.round(grown) - bytesOf(kept),
    keysPerSession: kept.reduce((sum, [, { keys }]) => sum + keys, 0) / SESSIONS,
    kinds: Object.fromEntries(named.map((one) => [one[0], bytesOf([one])])),
  }
}

async function idleCpu(server: Measured, seconds: number): Promise<number> {
  await sleep(3_000)
  const begun = server.cpuMicros()
  await sleep(seconds * 1_000)
  return (server.cpuMicros() - begun) / (seconds * 1e6)
}

type Probe = 'validation' | 'userinfo' | 'refresh' | 'keys'

interface Work {
  probes: Stream[]
  signIns: Request[]
  introspection: Request[]
  /** Their latest refresh tokens. */
  chains: { requests: Request[]; tokens: string[] }
}

async function workFor(server: Measured, { env, seeded }: LivesDeps): Promise<Work> {
  const { host } = new URL(env.USHER_ISSUER ?? '')
  const { secret } = seeded
  const tokens = await seeded.accessTokens(1_000)
  const clientOf = (place: number) => `c${place % CLIENTS}`
  const form = (path: string, client: string, fields: Record<string, string>): Request => ({
    method: 'POST',
    path,
    headers: { Host: host, 'Content-Type': FORM, Authorization: basic(client, secret) },
    body: new URLSearchParams(fields).toString(),
  })
  const get = (path: string, token: string): Request => ({
    method: 'GET',
    path,
    headers: { Host: host, Authorization: `Bearer ${token}` },
  })
  const signedIn: SignedIn[] = []
  for (let place = 0; place < CHAINS; place += 1) {
    signedIn.push(await passwordGrant(server.address, host, clientOf(place), secret, `a${place}@bench.example`))
  }
  const chains = {
    requests: signedIn.map((_, place) => form('/oauth2/token', clientOf(place), {})),
    tokens: signedIn.map(({ refresh_token }) => refresh_token),
  }
  const perSecond = PROBES_PER_SECOND
  return {
    probes: [
      { name: 'validation', perSecond, requests: tokens.map((token) => get('/api/v1/auth_token/validation', token)) },
      {
        name: 'userinfo',
        perSecond,
        requests: signedIn.map(({ access_token }) => get('/oauth2/userinfo', access_token)),
      },
      { name: 'refresh', perSecond, ...chains },
      {
        name: 'keys',
        perSecond,
        requests: [{ method: 'GET', path: '/.well-known/jwks.json', headers: { Host: host } }],
      },
    ],
    signIns: Array.from({ length: 500 }, (_, place) =>
      form('/oauth2/token', clientOf(place), {
        grant_type: 'password',
        username: `a${place + 100}@bench.example`,
        password: PASSWORD,
        scope: 'openid',
      }),
    ),
    introspection: tokens.map((token, place) => form('/oauth2/introspect', clientOf(place), { token })),
    chains,
  }
}

/** Sign-ins far above what the machine can hash, and other requests beside them. All cores serve everybody. */
async function signInStorm(server: Measured, work: Work, seconds: number) {
  const { address } = server
  const probing = async (length: number): Promise<Record<Probe, StreamResult>> => {
    const results = await runOpenLoop({ address, seconds: length, streams: work.probes })
    keepTokens(work, results.refresh)
    return results as Record<Probe, StreamResult> // the names are those of the probes
  }
  const rateSeconds = Math.min(10, seconds)
  await probing(2)
  const idle = await probing(Math.min(20, seconds))
  const bare = await bareHashes(rateSeconds)
  const alone = await signInsPerSecond(address, work.signIns, rateSeconds)
  const [cpu, main] = [server.cpuMicros(), server.mainThreadMicros()]
  const [during, storm] = await Promise.all([
    probing(seconds),
    runOpenLoop({
      address,
      seconds,
      streams: [{ name: 'sign-in', perSecond: Math.ceil(alone * STORM_TIMES_CAPACITY), requests: work.signIns }],
    }),
  ])
  const signIns = storm['sign-in']
  const micros = seconds * 1e6
  return {
    /** Cores' worth of time, of the whole process and of the thread that answers. */
    cores: (server.cpuMicros() - cpu) / micros,
    mainThread: (server.mainThreadMicros() - main) / micros,
    idle: tails(idle),
    during: tails(during),
    bareHashesPerSecond: bare,
    signInsPerSecond: alone,
    answeredPerSecond: signIns?.perSecond ?? 0,
    sent: signIns?.sent ?? 0,
    statuses: signIns?.statuses ?? {},
    refusedP99Ms: signIns?.refusedP99Ms,
  }
}

interface Tail {
  p50Ms: number
  p99Ms: number
  /** Requests of the probe without a 200. */
  failed: number
}

const tails = (results: Record<Probe, StreamResult>): Record<string, Tail> =>
  Object.fromEntries(
    Object.entries(results).map(([name, { p50Ms, p99Ms, sent, statuses }]) => [
      name,
      { p50Ms, p99Ms, failed: sent - (statuses['200'] ?? 0) },
    ]),
  )

function keepTokens(work: Work, refresh: StreamResult | undefined): void {
  if (!refresh || refresh.tokens.length === 0) return
  for (const stream of work.probes) if (stream.name === 'refresh') stream.tokens = refresh.tokens
  work.chains.tokens = refresh.tokens
}

const run = promisify(execFile)

async function bareHashes(seconds: number): Promise<number> {
  const [program = '', ...rest] = onAllCores([process.execPath, join(root, 'bench/servers/primitives.ts'), 'hash'])
  const { stdout } = await run(program, rest, { env: { ...process.env, BENCH_MS: String(seconds * 1_000) } })
  return JSON.parse(stdout).perSecond
}

/** Closed loop: as many at once as keep every hash worker busy. */
async function signInsPerSecond(address: string, signIns: readonly Request[], seconds: number): Promise<number> {
  const client = createClient()
  const until = performance.now() + seconds * 1000
  let [sent, done] = [0, 0]
  await Promise.all(
    Array.from({ length: SIGN_INS_AT_ONCE }, async () => {
      while (performance.now() < until) {
        const request = signIns[sent % signIns.length]
        sent += 1
        if (request && (await ask(client, address, request)).status === 200) done += 1
      }
    }),
  )
  client.destroy()
  return done / seconds
}

/** How late the event loop is while the server does everything at once, near what the machine can hash. */
async function mixedLoad(
  server: Measured & { child: { kill(signal: 'SIGUSR2'): boolean } },
  work: Work,
  { loopFile, capacity, seconds }: { loopFile: string; capacity: number; seconds: number },
) {
  const perSecond = (MIX_OF_CAPACITY * capacity) / 0.05
  const validation = work.probes.find(({ name }) => name === 'validation')?.requests ?? []
  const streams: Stream[] = [
    { name: 'validation', perSecond: perSecond * 0.7, requests: validation },
    { name: 'refresh', perSecond: perSecond * 0.15, ...work.chains },
    { name: 'introspection', perSecond: perSecond * 0.1, requests: work.introspection },
    { name: 'sign-in', perSecond: perSecond * 0.05, requests: work.signIns },
  ]
  server.child.kill('SIGUSR2')
  await sleep(200)
  const results = await runOpenLoop({ address: server.address, seconds, streams })
  server.child.kill('SIGUSR2')
  await sleep(500)
  const loop: { p50Ms: number; p99Ms: number; maxMs: number } = JSON.parse(readFileSync(loopFile, 'utf8'))
  const answered = Object.fromEntries(Object.entries(results).map(([name, { perSecond: rate }]) => [name, rate]))
  return { perSecond, loop, answered, failed: failuresOf(results) }
}

const failuresOf = (results: Record<string, StreamResult>): number =>
  Object.values(results).reduce((sum, { sent, statuses }) => sum + sent - (statuses['200'] ?? 0), 0)
