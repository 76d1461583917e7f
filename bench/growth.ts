/**
 * What a request costs when little is held and when much is: two servers over stores of their own, one with a thousand
 * of everything, the other with up to a million, measured in turn, there and back. Both are asked for as many different
 * things, spread evenly over what they hold.
 *
 * Accounts and revocations are written by SQL, sessions by the store's own scripts as copies of what a real sign-in has
 * left, with the names replaced.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { createSecretDigest } from '../src/clients/client-secret.ts'
import { loadConfig } from '../src/config.ts'
import { grantIndexKey, grantKey } from '../src/oidc/ephemeral-keys.ts'
import { openKeyring } from '../src/oidc/keystore.ts'
import { markOf, type Revoked } from '../src/oidc/revocation-entry.ts'
import { listKey } from '../src/sessions/session-store.ts'
import { createRedisEphemeral } from '../src/storage/ephemeral-redis.ts'
import { SEAL_KEY } from '../src/storage/journal.ts'
import { createRedisJournal } from '../src/storage/journal-redis.ts'
import { migrateUp } from '../src/storage/migrator.ts'
import { openPostgres } from '../src/storage/postgres.ts'
import { type Service, startOwnRedis } from '../test/services.ts'
import { createDatabase, type TestDatabase } from '../test/support/database.ts'
import { basic } from '../test/support/http.ts'
import { FORM, passwordGrant } from './cases.ts'
import { type Chain, createChains, runChains } from './chains.ts'
import { ask, createClient } from './client.ts'
import type { Spread } from './comparison.ts'
import { freePort, type Measured, pinSelf, unpinSelf } from './process.ts'
import { ACCOUNTS, CLIENTS, type Seeded, seed } from './seed.ts'
import { median } from './statistics.ts'
import { startUsher } from './targets.ts'
import { type Load, load, type Request, scriptOf } from './wrk.ts'

export interface Growth {
  small: Held
  large: Held
  rows: GrowthRow[]
  notes: string[]
  /** Workloads that could not be measured, and why. */
  missing: string[]
}

export interface Held {
  sizes: Record<string, number>
  readyMs: number
  startMiB: number
  endMiB: number
  redisMiB: number
  databaseMiB: number
}

export interface GrowthRow {
  name: string
  smallMicros: number
  largeMicros: number
  /** CPU time when large over that when small, in the same round. */
  ratio: Spread
  smallP99Ms: number
  largeP99Ms: number
  isVoid: boolean
}

export interface GrowthDeps {
  env: Record<string, string>
  directory: string
  /** PostgreSQL with the right to create databases. */
  serverUrl: string
  rounds: number
  seconds: number
  /** Ten thousandths of a million are enough to see whether the tool works. */
  share?: number
}

interface Sizes {
  accounts: number
  sessions: number
  revocations: number
  clients: number
  /** Of the one account whose list is read. */
  sessionsOfOne: number
}

const SMALL: Sizes = { accounts: ACCOUNTS, sessions: 1_000, revocations: 1_000, clients: 1_000, sessionsOfOne: 25 }
const LARGE: Sizes = {
  accounts: 1_000_000,
  sessions: 1_000_000,
  revocations: 1_000_000,
  clients: 100_000,
  sessionsOfOne: 1_000,
}
/** Different tokens and different clients that a server meets, however many it holds. */
const TOKENS = 10_000
const ACTIVE_CLIENTS = 1_000
/** Where every client asks for itself. */
const FEW_CLIENTS = 10
const MANY_CLIENTS = 10_000
const CHAINS = 32
const WARM_SECONDS = 3
const PATIENCE = 10
/** As many as a comparison needs. */
const ROUNDS = 5
const SPLIT = 2_000
const MAX_SESSIONS_OF_ONE = 1_000
const SESSION_SECONDS = 86_400

/** The account whose sessions are listed, and the one that lists accounts. */
const OWNER = 1
const SUPERUSER = 0

export async function measureGrowth({
  env,
  directory,
  serverUrl,
  rounds,
  seconds,
  share = 1,
}: GrowthDeps): Promise<Growth> {
  console.error('measuring growth: filling the stores …')
  const [small, large] = await fill({ env, directory, serverUrl }, scaled(LARGE, share))
  try {
    const servers = { small: await start(small), large: await start(large) }
    try {
      console.error('measuring growth: asking …')
      const { rows, missing } = await compare(servers, { rounds: Math.min(ROUNDS, rounds), seconds })
      return {
        small: await heldBy(servers.small),
        large: await heldBy(servers.large),
        rows,
        missing,
        notes: [
          `Both servers meet ${TOKENS.toLocaleString('en')} tokens and ${ACTIVE_CLIENTS.toLocaleString('en')} clients, spread evenly over what they hold; only in the last row does every client of ${FEW_CLIENTS} or ${MANY_CLIENTS.toLocaleString('en')} ask.`,
          `The session list is that of an account with ${SMALL.sessionsOfOne} or ${large.sizes.sessionsOfOne.toLocaleString('en')} sessions; every page has 20 items.`,
        ],
      }
    } finally {
      await Promise.all([servers.small.server.stop(), servers.large.server.stop()])
    }
  } finally {
    await Promise.all([small.close(), large.close()])
  }
}

const scaled = (sizes: Sizes, share: number): Sizes => ({
  accounts: Math.max(SMALL.accounts, Math.round(sizes.accounts * share)),
  sessions: Math.max(SMALL.sessions, Math.round(sizes.sessions * share)),
  revocations: Math.max(SMALL.revocations, Math.round(sizes.revocations * share)),
  clients: Math.max(MANY_CLIENTS, Math.round(sizes.clients * share)),
  sessionsOfOne: sizes.sessionsOfOne,
})

// --- filling ---

interface Place {
  env: Record<string, string>
  sizes: Sizes
  seeded: Seeded
  redis: Service
  database: TestDatabase
  close(): Promise<void>
}

type FillDeps = Pick<GrowthDeps, 'env' | 'directory' | 'serverUrl'>

/** One seed, so that both hold the same first thousand accounts; then each gets what it lacks. */
async function fill({ env, directory, serverUrl }: FillDeps, sizes: Sizes): Promise<[Place, Place]> {
  const flags = ['--appendonly', 'yes', '--auto-aof-rewrite-percentage', '0', '--maxmemory-policy', 'noeviction']
  const redises = [await startOwnRedis(directory, flags), await startOwnRedis(directory, flags)] as const
  const first = await createDatabase(serverUrl)
  const open = await openPostgres(first.url)
  await migrateUp(open)
  await open.close()
  const at = async (database: TestDatabase, redis: Service): Promise<Record<string, string>> => ({
    ...env,
    USHER_PORT: String(await freePort()),
    USHER_DATABASE_URL: database.url,
    USHER_REDIS_URL: redis.url,
  })
  const smallEnv = await at(first, redises[0])
  const seeded = await seed(smallEnv)
  await seeded.core.access.assignRole(seeded.accountIds[SUPERUSER] ?? '', 'superuser')
  const template = await sampleSession(smallEnv, seeded, redises[0].url)
  await seeded.close() // nobody may be connected to a database that is copied
  const second = await createDatabase(serverUrl, first.name)
  const place = (settings: Record<string, string>, redis: Service, database: TestDatabase, held: Sizes): Place => ({
    env: settings,
    sizes: held,
    seeded,
    redis,
    database,
    async close() {
      await redis.stop()
      await database.drop()
    },
  })
  const places: [Place, Place] = [
    place(smallEnv, redises[0], first, SMALL),
    place(await at(second, redises[1]), redises[1], second, sizes),
  ]
  // What has been started stays where it is; filling alone may take the server's core.
  unpinSelf()
  for (const one of places) {
    const begun = performance.now()
    await fillDatabase(one)
    await fillRedis(one, template)
    console.error(`  filled in ${Math.round((performance.now() - begun) / 1_000)} s`)
  }
  pinSelf()
  return places
}

const idOf = (seeded: Seeded, place: number): string =>
  seeded.accountIds[place] ?? `01900000-0000-7000-8000-${place.toString(16).padStart(12, '0')}`
const clientOf = (place: number): string => `c${place}`
/** Of the form of real ones. */
const grantOf = (place: number): string => createHash('sha256').update(`grant ${place}`).digest('base64url')

async function fillDatabase({ database, sizes, seeded, env }: Place): Promise<void> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await client.query(
      `insert into accounts (id, email, email_verified, password_hash)
       select ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'a' || i || '@bench.example', true,
         (select password_hash from accounts where lower(email) = 'a0@bench.example')
       from generate_series($1::int, $2::int) i`,
      [ACCOUNTS, sizes.accounts - 1],
    )
    await client.query(
      `insert into revocations (kind, id, tokens_expire_at, expires_at, created_at)
       select 'token', 'revoked-token-of-the-benchmark-number-' || lpad(i::text, 8, '0'), now() + interval '3 hours',
         now() + interval '3 hours', now() - interval '10 minutes'
       from generate_series(1, $1::int) i`,
      [sizes.revocations],
    )
    const config = loadConfig({ ...env, NODE_ENV: 'development' })
    const { pepper } = await openKeyring({ dir: env.USHER_KEYS_DIR ?? '', production: false, secrets: config })
    const ids = Array.from({ length: sizes.clients - CLIENTS }, (_, place) => clientOf(CLIENTS + place))
    for (let from = 0; from < ids.length; from += SPLIT) {
      const some = ids.slice(from, from + SPLIT)
      await client.query(
        `insert into clients
         select (jsonb_populate_record(sample, jsonb_build_object('id', t.id, 'name', t.id, 'secret_digest', t.digest))).*
         from clients sample, unnest($1::text[], $2::text[]) as t (id, digest) where sample.id = 'c0'`,
        [some, some.map((id) => createSecretDigest(pepper)(id, seeded.secret))],
      )
    }
    await client.query('vacuum analyze')
    await client.query('checkpoint')
  } finally {
    await client.end()
  }
}

/** What one real sign-in has left in Redis. */
interface Sample {
  accountId: string
  clientId: string
  grantId: string
  grant: string
  familyKey: string
  familyData: string
  listed: string
}

async function sampleSession(env: Record<string, string>, seeded: Seeded, redisUrl: string): Promise<Sample> {
  const server = await startUsher(env)
  const redis = new Redis(redisUrl)
  const prefix = prefixOf(env)
  const ephemeral = createRedisEphemeral(redis, { prefix })
  try {
    const { host } = new URL(env.USHER_ISSUER ?? '')
    await passwordGrant(server.address, host, 'c7', seeded.secret, `a${OWNER}@bench.example`)
    const accountId = idOf(seeded, OWNER)
    const [session] = await ephemeral.listMembers(listKey(accountId), { limit: 1 })
    const grantId = session?.member.slice(2) ?? ''
    const [found = ''] = await redis.keys(`${prefix}r:{${grantId}}:*`)
    const familyKey = found.slice(prefix.length)
    const stored = await ephemeral.readFamily(familyKey, [grantKey(grantId)])
    return {
      accountId,
      clientId: 'c7',
      grantId,
      grant: stored.marks[0] ?? '',
      familyKey,
      familyData: stored.family?.data ?? '',
      listed: session?.value ?? '',
    }
  } finally {
    redis.disconnect()
    await server.stop()
  }
}

const prefixOf = (env: Record<string, string>): string => loadConfig({ ...env, NODE_ENV: 'development' }).redisPrefix

/** Session `place` is that of account `place`; the owner gets some more. */
async function fillRedis({ env, redis: { url }, sizes, seeded }: Place, sample: Sample): Promise<void> {
  const redis = new Redis(url)
  const prefix = prefixOf(env)
  const ephemeral = createRedisEphemeral(redis, { prefix })
  const write = async (place: number, accountPlace: number): Promise<void> => {
    const [accountId, grantId, clientId] = [idOf(seeded, accountPlace), grantOf(place), clientIdOf(place)]
    const renamed = (text: string) =>
      text
        .replaceAll(sample.grantId, grantId)
        .replaceAll(sample.accountId, accountId)
        .replaceAll(`"${sample.clientId}"`, `"${clientId}"`)
    const index = grantIndexKey(grantId)
    const ttlSeconds = SESSION_SECONDS
    await Promise.all([
      ephemeral.put(grantKey(grantId), renamed(sample.grant), { ttlSeconds, index }),
      ephemeral.startFamily({
        key: renamed(sample.familyKey),
        index,
        digest: createHash('sha256').update(grantId).digest('base64url'),
        data: renamed(sample.familyData),
        ttlSeconds,
      }),
      ephemeral.enlist(listKey(accountId), `g.${grantId}`, renamed(sample.listed), {
        ttlSeconds,
        cap: MAX_SESSIONS_OF_ONE,
        keep: true,
      }),
    ])
  }
  const clientIdOf = (place: number) => clientOf(spread(place % ACTIVE_CLIENTS, ACTIVE_CLIENTS, sizes.clients))
  const total = sizes.sessions + sizes.sessionsOfOne
  for (let from = 0; from < total; from += SPLIT) {
    const some = Array.from({ length: Math.min(SPLIT, total - from) }, (_, place) => from + place)
    await Promise.all(some.map((place) => write(place, place < sizes.sessions ? place % sizes.accounts : OWNER)))
  }
  await writeMarks(redis, prefix, sizes.revocations)
  redis.disconnect()
}

/** As every revocation has left them, and the word that none is missing. */
async function writeMarks(redis: Redis, prefix: string, revocations: number): Promise<void> {
  const journal = createRedisJournal(redis, { prefix })
  const now = Date.now()
  const expiresAtMs = now + 3 * 3_600_000
  const revoked = (seq: number): Revoked => ({
    kind: 'token',
    id: `revoked-token-of-the-benchmark-number-${String(seq).padStart(8, '0')}`,
    notBeforeMs: undefined,
    except: undefined,
    seq,
    writtenAtMs: now,
    tokensExpireAtMs: expiresAtMs,
    expiresAtMs,
  })
  for (let from = 1; from <= revocations; from += SPLIT) {
    const some = Array.from({ length: Math.min(SPLIT, revocations - from + 1) }, (_, place) => revoked(from + place))
    await journal.write(
      some.map((one) => markOf(one, now)),
      [],
    )
  }
  await redis.set(prefix + SEAL_KEY, '1')
}

/** The place among `all` that belongs to a place among `some`. */
const spread = (place: number, some: number, all: number): number => Math.floor((place * all) / some)

// --- measuring ---

interface Running {
  place: Place
  server: Measured
  readyMs: number
  startMiB: number
}

async function start(place: Place): Promise<Running> {
  const begun = performance.now()
  const server = await startUsher(place.env)
  const client = createClient()
  const ready = { method: 'GET', path: '/readyz', headers: { Host: 'localhost' } }
  while ((await ask(client, server.address, ready).catch(() => undefined))?.status !== 200) {
    if (performance.now() - begun > 120_000) throw new Error('the server is not ready after two minutes')
    await sleep(20)
  }
  const readyMs = Math.round(performance.now() - begun)
  client.destroy()
  return { place, server, readyMs, startMiB: server.memory().now }
}

async function heldBy({ place, server, readyMs, startMiB }: Running): Promise<Held> {
  const redis = new Redis(place.redis.url)
  const client = new pg.Client({ connectionString: place.database.url })
  await client.connect()
  try {
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0)
    const { rows } = await client.query('select pg_database_size(current_database())::float8 as bytes')
    const { accounts, sessions, revocations, clients, sessionsOfOne } = place.sizes
    return {
      sizes: { accounts, sessions, revocations, clients, 'sessions of one account': sessionsOfOne },
      readyMs,
      startMiB,
      endMiB: server.memory().now,
      redisMiB: Math.round(used / 2 ** 20),
      databaseMiB: Math.round(rows[0].bytes / 2 ** 20),
    }
  } finally {
    redis.disconnect()
    await client.end()
  }
}

interface Workload {
  name: string
  measure(seconds: number): Promise<Load>
}

async function workloadsOf({ place, server }: Running): Promise<Workload[]> {
  const { sizes, seeded, env } = place
  const { host } = new URL(env.USHER_ISSUER ?? '')
  const { secret } = seeded
  const sessionOf = (token: number) =>
    spread(token % Math.min(TOKENS, sizes.sessions), Math.min(TOKENS, sizes.sessions), sizes.sessions)
  const active = (token: number) => clientOf(spread(token % ACTIVE_CLIENTS, ACTIVE_CLIENTS, sizes.clients))
  const tokens = await seeded.accessTokens(TOKENS, {
    subjectOf: (token) => idOf(seeded, sessionOf(token) % sizes.accounts),
    grantOf: (token) => grantOf(sessionOf(token)),
    clientOf: (token) => clientOf(spread(sessionOf(token) % ACTIVE_CLIENTS, ACTIVE_CLIENTS, sizes.clients)),
  })
  const get = (path: string, token: string): Request => ({
    method: 'GET',
    path,
    headers: { Host: host, Authorization: `Bearer ${token}` },
  })
  const post = (path: string, client: string, form: Record<string, string>): Request => ({
    method: 'POST',
    path,
    headers: { Host: host, 'Content-Type': FORM, Authorization: basic(client, secret) },
    body: new URLSearchParams(form).toString(),
  })
  const signIn = (account: number, client: number) =>
    patiently(() => passwordGrant(server.address, host, clientOf(client), secret, `a${account}@bench.example`))
  const [superuser, owner] = [await signIn(SUPERUSER, 0), await signIn(OWNER, 1)]
  const chains: Chain[] = []
  for (let chain = 0; chain < CHAINS; chain += 1) {
    const client = spread(chain, CHAINS, sizes.clients)
    const { refresh_token: token } = await signIn(spread(chain, CHAINS, sizes.accounts), client)
    chains.push(...createChains([post('/oauth2/token', clientOf(client), {})], [token]))
  }
  const every = sizes === SMALL ? FEW_CLIENTS : MANY_CLIENTS
  const byWrk = async (name: string, requests: readonly Request[]): Promise<Workload> => {
    await checkOne(server, requests)
    const script = await scriptOf(requests)
    return { name, measure: (seconds) => load(server.address, script, seconds) }
  }
  return [
    await byWrk(
      'validation',
      tokens.map((token) => get('/api/v1/auth_token/validation', token)),
    ),
    await byWrk(
      'introspection',
      tokens.map((token, at) => post('/oauth2/introspect', active(at), { token })),
    ),
    { name: 'refresh', measure: (seconds) => runChains(server.address, chains, seconds) },
    await byWrk(
      'userinfo',
      tokens.map((token) => get('/oauth2/userinfo', token)),
    ),
    await byWrk('first page of accounts', [get('/api/v1/accounts?limit=20', superuser.access_token)]),
    await byWrk('search among accounts', [get('/api/v1/accounts?limit=20&search=a5', superuser.access_token)]),
    await byWrk("page of one account's sessions", [get('/api/v1/me/sessions?limit=20', owner.access_token)]),
    await byWrk(
      'client credentials of every client',
      Array.from({ length: every }, (_, at) =>
        post('/oauth2/token', clientOf(spread(at, every, sizes.clients)), { grant_type: 'client_credentials' }),
      ),
    ),
  ]
}

/** Stores that have just been filled are slow for a while; what is done here is not measured. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      if (tries === PATIENCE) throw error
      await sleep(1_000)
    }
  }
}

async function checkOne(server: Measured, requests: readonly Request[]): Promise<void> {
  const client = createClient()
  for (const request of [requests[0], requests.at(-1)]) {
    if (!request) throw new Error('nothing to ask')
    const { status, text } = await ask(client, server.address, request)
    const { items } = JSON.parse(text)
    const isWrong = status !== 200 || (Array.isArray(items) && items.length !== 20)
    if (isWrong) throw new Error(`${request.path} answered ${status}: ${text.slice(0, 500)}`)
  }
  client.destroy()
}

interface Cost {
  cpuMicros: number
  p99Ms: number
}

async function compare(
  { small, large }: { small: Running; large: Running },
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<{ rows: GrowthRow[]; missing: string[] }> {
  const [ofSmall, ofLarge] = [await workloadsOf(small), await workloadsOf(large)]
  const rows: GrowthRow[] = []
  const missing: string[] = []
  for (const [place, { name, measure }] of ofSmall.entries()) {
    const pair = [
      { server: small.server, measure },
      { server: large.server, measure: ofLarge[place]?.measure ?? measure },
    ] as const
    try {
      for (const one of pair) await one.measure(Math.min(WARM_SECONDS, seconds * 2))
      const costs: [Cost[], Cost[]] = [[], []]
      for (let round = 0; round < rounds; round += 1) {
        for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
          costs[which].push(await costOf(name, pair[which], seconds))
        }
      }
      rows.push(rowOf(name, costs))
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error)
      missing.push(`${name}: ${said}`)
      console.error([`${name}: ${said}`, ...pair.flatMap(({ server }) => server.faults())].join('\n'))
    }
  }
  return { rows, missing }
}

async function costOf(
  name: string,
  { server, measure }: { server: Measured; measure: Workload['measure'] },
  seconds: number,
): Promise<Cost> {
  const begun = server.cpuMicros()
  const { requests, failures, p99Ms } = await measure(seconds)
  if (failures > requests / 1_000) throw new Error(`${name}: ${failures} of ${requests} failed`)
  return { cpuMicros: (server.cpuMicros() - begun) / requests, p99Ms }
}

function rowOf(name: string, [small, large]: [Cost[], Cost[]]): GrowthRow {
  const ratios = small.map(({ cpuMicros }, round) => (large[round]?.cpuMicros ?? Number.NaN) / cpuMicros)
  const mid = (costs: readonly Cost[], of: keyof Cost) => median(costs.map((cost) => cost[of]))
  return {
    name,
    smallMicros: mid(small, 'cpuMicros'),
    largeMicros: mid(large, 'cpuMicros'),
    ratio: { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) },
    smallP99Ms: mid(small, 'p99Ms'),
    largeP99Ms: mid(large, 'p99Ms'),
    isVoid: false,
  }
}
