/** What is not a matter of requests per second: starting, memory, bytes per session, and a storm of sign-ins. */
import { Redis } from 'ioredis'
import { basic, send } from '../test/support/http.ts'
import { passwordGrant } from './cases.ts'
import { freePort, type Measured } from './process.ts'
import { CLIENTS, PASSWORD, type Seeded } from './seed.ts'
import { startUsher, type Targets } from './targets.ts'

export type Lives = Awaited<ReturnType<typeof measureLives>>

interface LivesDeps {
  env: Record<string, string>
  seeded: Seeded
  targets: Targets
  redisUrl: string
}

const STARTS = 5
const SESSIONS = 300
const STORM_SECONDS = 20
const PROBES_PER_SECOND = 50

export async function measureLives({ env, seeded, targets, redisUrl }: LivesDeps) {
  const loaded = targets.usher.memory()
  console.error('measuring the start …')
  const start = await startTimes(env)
  console.error('measuring bytes per session …')
  const bytesPerSession = await sessionBytes(targets.usher, env, seeded, redisUrl)
  console.error('measuring a storm of sign-ins …')
  const storm = await signInStorm(env, seeded)
  return {
    readyMs: start.readyMs,
    idleMiB: start.idleMiB,
    loadedMiB: loaded.now,
    highMiB: loaded.high,
    bytesPerSession,
    storm,
  }
}

/** From the spawn to the first green /readyz, and what the process then holds. Medians of five. */
async function startTimes(env: Record<string, string>): Promise<{ readyMs: number; idleMiB: number }> {
  const times: number[] = []
  const memory: number[] = []
  for (let count = 0; count < STARTS; count += 1) {
    const port = String(await freePort())
    const begun = performance.now()
    const starting = startUsher({ ...env, USHER_PORT: port }, undefined)
    for (;;) {
      const reply = await send(`http://127.0.0.1:${port}`, 'http://localhost', '/readyz').catch(() => undefined)
      if (reply?.status === 200) break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    times.push(performance.now() - begun)
    const server = await starting
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    memory.push(server.memory().now)
    await server.stop()
  }
  const middle = (values: number[]) => values.toSorted((one, other) => one - other)[Math.floor(STARTS / 2)] ?? 0
  return { readyMs: Math.round(middle(times)), idleMiB: middle(memory) }
}

/** What Redis holds more after many sign-ins of different accounts, all indexes counted, divided by their number. */
async function sessionBytes(
  server: Measured,
  env: Record<string, string>,
  { secret }: Seeded,
  redisUrl: string,
): Promise<number> {
  const redis = new Redis(redisUrl)
  const used = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0)
  const { host } = new URL(env.USHER_ISSUER ?? '')
  const before = await used()
  for (let from = 0; from < SESSIONS; from += 10) {
    await Promise.all(
      Array.from({ length: 10 }, (_, place) => {
        const number = from + place
        const account = `a${500 + number}@bench.example`
        return passwordGrant(server.address, host, `c${number % CLIENTS}`, secret, account)
      }),
    )
  }
  const bytes = ((await used()) - before) / SESSIONS
  redis.disconnect()
  return Math.round(bytes)
}

interface Tail {
  p50Ms: number
  p99Ms: number
}

/**
 * Sign-ins at ten times what the machine can hash, open loop, and other requests beside them: how much longer those take
 * than on the idle server. All cores are the server's; the load runs on them too.
 */
async function signInStorm(env: Record<string, string>, { secret, accessTokens }: Seeded) {
  const port = String(await freePort())
  const server = await startUsher({ ...env, USHER_PORT: port }, undefined)
  const { host } = new URL(env.USHER_ISSUER ?? '')
  const [token = ''] = await accessTokens(1)
  const bearer = { Authorization: `Bearer ${token}` }
  const ask =
    (path: string, headers: Record<string, string> = {}) =>
    () =>
      send(server.address, `http://${host}`, path, { headers })
  const probes = {
    validation: ask('/api/v1/auth_token/validation', bearer),
    keys: ask('/.well-known/jwks.json'),
  }
  const signIn = () =>
    send(server.address, `http://${host}`, '/oauth2/token', {
      form: { grant_type: 'password', username: 'a1@bench.example', password: PASSWORD, scope: 'openid' },
      headers: { Authorization: basic('c1', secret) },
    })
  try {
    for (const probe of Object.values(probes)) for (let count = 0; count < 200; count += 1) await probe()
    const idle = await probing(probes, 5)
    const alone = await signInsPerSecond(signIn, 5)
    let [answered, refused] = [0, 0]
    const storm = setInterval(() => {
      for (let count = 0; count < Math.ceil(alone / 10); count += 1) {
        signIn().then(
          ({ status }) => {
            if (status === 200) answered += 1
            else refused += 1
          },
          () => {
            refused += 1
          },
        )
      }
    }, 10)
    const during = await probing(probes, STORM_SECONDS)
    clearInterval(storm)
    return { idle, during, signInsPerSecond: Math.round(alone), answeredPerSecond: answered / STORM_SECONDS, refused }
  } finally {
    await server.stop()
  }
}

async function probing(probes: Record<string, () => Promise<unknown>>, seconds: number): Promise<Record<string, Tail>> {
  const tails: Record<string, Tail> = {}
  await Promise.all(
    Object.entries(probes).map(async ([name, probe]) => {
      const times: number[] = []
      const until = performance.now() + seconds * 1000
      while (performance.now() < until) {
        const begun = performance.now()
        await probe()
        times.push(performance.now() - begun)
        await new Promise((resolve) => setTimeout(resolve, 1000 / PROBES_PER_SECOND))
      }
      const sorted = times.toSorted((one, other) => one - other)
      const at = (share: number) => Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2))
      tails[name] = { p50Ms: at(0.5), p99Ms: at(0.99) }
    }),
  )
  return tails
}

async function signInsPerSecond(signIn: () => Promise<{ status: number }>, seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1000
  let done = 0
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (performance.now() < until) {
        if ((await signIn()).status === 200) done += 1
      }
    }),
  )
  return done / seconds
}
