/**
 * What decisions and lists cost with a thousand accounts, ten roles, a hundred permissions and ten teams, and with a hundred
 * thousand accounts, a thousand roles, ten thousand permissions and teams: two servers over stores of their own, measured
 * in turn, there and back. Ratios are the result.
 *
 * node bin/runtime.js bench/access.ts [--rounds 6] [--seconds 2]
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { composeCore } from '../src/compose/core.ts'
import { openStores } from '../src/compose/stores.ts'
import { loadConfig } from '../src/config.ts'
import { cursorFor } from '../src/http/pagination.ts'
import { openKeyring } from '../src/oidc/keystore.ts'
import { migrateUp } from '../src/storage/migrator.ts'
import { makeRunDirectory, startOwnRedis, startServices } from '../test/services.ts'
import { createDatabase } from '../test/support/database.ts'
import { basic, send } from '../test/support/http.ts'
import { idOf, loadModel, type ModelSize } from '../test/support/large-model.ts'
import { ask, createClient } from './client.ts'
import { freePort, has, type Measured, pinSelf, unpinSelf } from './process.ts'
import { median, quantile } from './statistics.ts'
import { startUsher } from './targets.ts'
import { load, type Request, scriptOf } from './wrk.ts'

export interface AccessDeps {
  /** Settings of a production server with Redis; database and prefix are replaced by ones of its own. */
  env: Record<string, string>
  /** PostgreSQL with the right to create databases. */
  serverUrl: string
  rounds: number
  seconds: number
}

export interface AccessGrowth {
  small: ModelSize
  large: ModelSize
  /** How many permissions the accounts hold that are asked about: the size of an answer. */
  held: Record<'small' | 'large', number>
  /** How long the large model took to be written. */
  loadedInSeconds: number
  rows: AccessRow[]
  lines: string[]
}

export interface AccessRow {
  name: string
  small: Cost
  large: Cost
  /** What the large model costs over what the small one does, by the medians of the rounds. */
  ratios: { cpu: number; p50: number; p99: number }
}

/** CPU time of the server process per request, and how long requests took. */
export interface Cost {
  cpuMicros: number
  p50Ms: number
  p99Ms: number
}

const SMALL: ModelSize = { accounts: 1_000, roles: 10, permissions: 100, teams: 10 }
const LARGE: ModelSize = { accounts: 100_000, roles: 1_000, permissions: 10_000, teams: 10_000 }
/** Different accounts that a server is asked about, however many it holds. */
const ASKED = 200
const AT_ONCE = 8
const COLD_TIMES = 3
const LIST_CONNECTIONS = 8
const WARM_SECONDS = 2
/** What was touched is known to every process by then. */
const HEARD_MS = 1_200
const PASSWORD = 'a long and quite ordinary pass phrase'
const SECRET = 'bench-bench-bench-bench-bench-bench-bench'

interface Place {
  size: ModelSize
  server: Measured
  host: string
  root: string
  service: string
  loadedInSeconds: number
  close(): Promise<void>
}

interface Case {
  name: string
  measure(place: Place, seconds: number): Promise<Cost>
}

export async function measureAccess({ env, serverUrl, rounds, seconds }: AccessDeps): Promise<AccessGrowth> {
  console.error('measuring the access model: filling the stores …')
  unpinSelf()
  const places: Place[] = []
  try {
    for (const size of [SMALL, LARGE]) places.push(await fill(env, serverUrl, size))
    const [small, large] = places as [Place, Place]
    pinSelf()
    const rows: AccessRow[] = []
    for (const one of CASES) {
      console.error(`measuring the access model: ${one.name} …`)
      rows.push(await compare(one, small, large, { rounds, seconds }))
    }
    const held = { small: await heldOnAverage(small), large: await heldOnAverage(large) }
    const { loadedInSeconds } = large
    return { small: SMALL, large: LARGE, held, loadedInSeconds, rows, lines: linesOf(rows, held) }
  } finally {
    unpinSelf()
    for (const place of places) await place.close()
  }
}

// --- filling ---

async function fill(given: Record<string, string>, serverUrl: string, size: ModelSize): Promise<Place> {
  const database = await createDatabase(serverUrl)
  const env: Record<string, string> = {
    ...given,
    USHER_PORT: String(await freePort()),
    USHER_DATABASE_URL: database.url,
    USHER_REDIS_PREFIX: `access-${size.accounts}:`,
  }
  const config = loadConfig({ ...env, NODE_ENV: 'development' })
  const keyring = await openKeyring({ dir: env.USHER_KEYS_DIR ?? '', production: false, secrets: config })
  const stores = await openStores(config)
  await migrateUp(stores.database)
  const core = composeCore({ config, stores, keyring })
  await core.access.initialize()
  await core.visibility.initialize()
  const begunAt = performance.now()
  await loadModel(stores.database, size)
  const loadedInSeconds = Math.round((performance.now() - begunAt) / 100) / 10
  const login = 'root@bench.example'
  const { id } = await core.accounts.create({ email: login, password: PASSWORD, emailVerified: true })
  await core.access.assignRole(id, 'superuser')
  await core.clients.create({ id: 'service', type: 'machine', secret: SECRET, scopes: ['access:read'] })
  await core.hashes.close()
  await stores.close()

  const server = await startUsher(env)
  const { host } = new URL(env.USHER_ISSUER ?? '')
  const tokenOf = async (path: string, what: Parameters<typeof send>[3]): Promise<string> => {
    const reply = await send(server.address, `http://${host}`, path, what)
    if (reply.status !== 200) throw new Error(`no token: ${reply.text}`)
    return String(reply.json().access_token)
  }
  return {
    size,
    server,
    host,
    root: await tokenOf('/api/v1/session', { json: { login, password: PASSWORD } }),
    service: await tokenOf('/oauth2/token', {
      form: { grant_type: 'client_credentials', scope: 'access:read' },
      headers: { Authorization: basic('service', SECRET) },
    }),
    loadedInSeconds,
    async close() {
      await server.stop()
      await database.drop()
    },
  }
}

// --- asking ---

const get = ({ host }: Place, token: string, path: string): Request => ({
  method: 'GET',
  path,
  headers: { Host: host, Authorization: `Bearer ${token}` },
})

/** Evenly over all there are. */
const spread = (count: number): number[] =>
  Array.from({ length: ASKED }, (_, place) => Math.floor((place * count) / ASKED))

const questions = (place: Place): Request[] =>
  spread(place.size.accounts).map((account) => {
    const path = `/api/v1/users/${idOf('account', account)}/combined_permissions/validation`
    return get(place, place.service, `${path}?permissions=area-1:act-1`)
  })

const sets = (place: Place): Request[] =>
  spread(place.size.accounts).map((account) =>
    get(place, place.service, `/api/v1/users/${idOf('account', account)}/combined_permissions`),
  )

/** A list at its beginning, in its middle and by a search. */
const list =
  (path: string, beginning: string, cursor: (middle: number) => (string | number)[], countOf: keyof ModelSize) =>
  (place: Place): Request[] => {
    const middle = Math.floor((place.size[countOf] ?? 0) / 2)
    return ['', `&cursor=${cursorFor(cursor(middle))}`, `&search=${beginning}`, `&search=${beginning}${middle}`].map(
      (query) => get(place, place.root, `${path}?limit=20${query}`),
    )
  }

const of = (count: keyof ModelSize, pathOf: (place: number) => string) => (place: Place) =>
  spread(place.size[count] ?? 0).map((one) => get(place, place.root, pathOf(one)))

/** By wrk, after a while of the same. */
const warm = (name: string, requestsOf: (place: Place) => Request[], connections?: number): Case => ({
  name,
  async measure(place, seconds) {
    const requests = requestsOf(place)
    await checkAnswers(place, requests)
    const script = await scriptOf(requests)
    await load(place.server.address, script, WARM_SECONDS, { connections })
    const before = place.server.cpuMicros()
    const {
      requests: count,
      p50Ms,
      p99Ms,
      failures,
    } = await load(place.server.address, script, seconds, { connections })
    if (failures > 0) throw new Error(`${name}: ${failures} of ${count} failed`)
    return { cpuMicros: (place.server.cpuMicros() - before) / count, p50Ms, p99Ms }
  },
})

/** Each account once, after the server has been made to forget everything; some times over. */
const cold = (name: string, requestsOf: (place: Place) => Request[]): Case => ({
  name,
  async measure(place) {
    const took: number[] = []
    let cpuMicros = 0
    for (let time = 0; time < COLD_TIMES; time += 1) {
      await forgetEverything(place)
      const before = place.server.cpuMicros()
      took.push(...(await askEach(place, requestsOf(place))))
      cpuMicros += place.server.cpuMicros() - before
    }
    return { cpuMicros: cpuMicros / took.length, p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) }
  },
})

/** Answers how long each took. */
async function askEach({ server }: Place, requests: readonly Request[]): Promise<number[]> {
  const client = createClient(AT_ONCE)
  const waiting = [...requests]
  const took: number[] = []
  const askOn = async (): Promise<void> => {
    for (let request = waiting.pop(); request; request = waiting.pop()) {
      const begunAt = performance.now()
      const { status, text } = await ask(client, server.address, request)
      took.push(performance.now() - begunAt)
      if (status !== 200) throw new Error(`${request.path} answered ${status}: ${text}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, askOn))
  client.destroy()
  return took
}

/** How many permissions an account of those holds that are asked about. */
async function heldOnAverage(place: Place): Promise<number> {
  const client = createClient(AT_ONCE)
  const answers = await Promise.all(sets(place).map((request) => ask(client, place.server.address, request)))
  client.destroy()
  const counts = answers.map(({ text }) => (JSON.parse(text).permissions as string[]).length)
  return counts.reduce((sum, count) => sum + count, 0) / counts.length
}

let turn = 0

/** A permission that moves to another resource: nobody knows who remembers it. */
async function forgetEverything(place: Place): Promise<void> {
  turn += 1
  const reply = await send(
    place.server.address,
    `http://${place.host}`,
    `/api/v1/permissions/${idOf('permission', 0)}`,
    {
      method: 'PATCH',
      json: { resource: `resource-${1 + (turn % 7)}` },
      headers: { Authorization: `Bearer ${place.root}` },
    },
  )
  if (reply.status !== 200) throw new Error(`nothing is forgotten: ${reply.text}`)
  await sleep(HEARD_MS)
}

async function checkAnswers({ server, host }: Place, requests: readonly Request[]): Promise<void> {
  for (const { path, headers } of requests.slice(0, 4)) {
    const { Host: _, ...rest } = headers
    const reply = await send(server.address, `http://${host}`, path, { headers: rest })
    if (reply.status !== 200) throw new Error(`${path} answered ${reply.status}: ${reply.text}`)
  }
}

const CASES: readonly Case[] = [
  warm('a question about an account that is remembered', questions),
  warm('all permissions of an account that is remembered', sets),
  cold('a question about an account that is not remembered', questions),
  cold('all permissions of an account that is not remembered', sets),
  ...(
    [
      ['accounts', list('/api/v1/accounts', 'user-', (at) => [0, `user-${at}`, idOf('account', at)], 'accounts')],
      ['permissions', list('/api/v1/permissions', 'area-', (at) => [`area-5`, idOf('permission', at)], 'permissions')],
      ['roles', list('/api/v1/roles', 'role-', (at) => [`role-${at}`, idOf('role', at)], 'roles')],
      ['teams', list('/api/v1/teams', 'team-', (at) => [`team-${at}`, idOf('team', at)], 'teams')],
      ['members of a team', of('teams', (team) => `/api/v1/teams/${idOf('team', team)}/members?limit=5`)],
      ['roles of an account', of('accounts', (one) => `/api/v1/accounts/${idOf('account', one)}/roles`)],
    ] as const
  ).map(([name, requestsOf]) => warm(`a page of ${name}`, requestsOf, LIST_CONNECTIONS)),
]

async function compare(
  { name, measure }: Case,
  small: Place,
  large: Place,
  { rounds, seconds }: Pick<AccessDeps, 'rounds' | 'seconds'>,
): Promise<AccessRow> {
  const costs = new Map<Place, Cost[]>([
    [small, []],
    [large, []],
  ])
  for (let round = 0; round < rounds; round += 1) {
    for (const place of round % 2 === 0 ? [small, large] : [large, small]) {
      costs.get(place)?.push(await measure(place, seconds))
    }
  }
  const [one, other] = [medians(costs.get(small) ?? []), medians(costs.get(large) ?? [])]
  const ratios = {
    cpu: other.cpuMicros / one.cpuMicros,
    p50: other.p50Ms / one.p50Ms,
    p99: other.p99Ms / one.p99Ms,
  }
  return { name, small: one, large: other, ratios }
}

const medians = (costs: readonly Cost[]): Cost => ({
  cpuMicros: median(costs.map(({ cpuMicros }) => cpuMicros)),
  p50Ms: median(costs.map(({ p50Ms }) => p50Ms)),
  p99Ms: median(costs.map(({ p99Ms }) => p99Ms)),
})

// --- telling ---

function linesOf(rows: readonly AccessRow[], held: AccessGrowth['held']): string[] {
  const said = ({ accounts, roles, permissions, teams }: ModelSize) =>
    `${whole(accounts)} accounts, ${whole(roles)} roles, ${whole(permissions)} permissions and ${whole(teams)} teams`
  return [
    `Small: ${said(SMALL)}. Large: ${said(LARGE)}. Both are asked about ${ASKED} accounts, spread evenly, who hold ${held.small.toFixed(0)} and ${held.large.toFixed(0)} permissions each; a list at its beginning, in its middle and by two searches, in pages of 20. CPU time is that of the server process.`,
    '',
    '| request | small, µs | large, µs | CPU | p50 | p99 |',
    '|---|---:|---:|---:|---:|---:|',
    ...rows.map(
      ({ name, small, large, ratios }) =>
        `| ${name} | ${small.cpuMicros.toFixed(0)} | ${large.cpuMicros.toFixed(0)} | ${times(ratios.cpu)} | ${times(ratios.p50)} | ${times(ratios.p99)} |`,
    ),
  ]
}

const whole = (count: number): string => count.toLocaleString('en')
const times = (ratio: number): string => `×${ratio.toFixed(2)}`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '6' }, seconds: { type: 'string', default: '2' } },
  })
  if (!has('wrk')) {
    console.error('The benchmark needs wrk: apt-get install wrk, or brew install wrk.')
    process.exit(1)
  }
  const directory = await makeRunDirectory()
  const services = await startServices(directory, ['PostgreSQL'])
  const redis = await startOwnRedis(directory, ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
  try {
    const { lines, ...figures } = await measureAccess({
      env: {
        NODE_ENV: 'production',
        USHER_HOST: '127.0.0.1',
        USHER_ISSUER: 'https://id.bench.example',
        USHER_REDIS_URL: redis.url,
        USHER_SMTP_URL: 'smtp://127.0.0.1:2525',
        USHER_MAIL_FROM: 'Bench <bench@bench.example>',
        USHER_KEYS_DIR: join(directory, 'keys'),
        USHER_DATA_DIR: join(directory, 'data'),
        USHER_ACCESS_TOKEN_TTL: '3600',
        USHER_SIGN_INS_PER_MINUTE: '100000',
        USHER_LOG_LEVEL: 'warn',
      },
      serverUrl: services[0]?.url ?? '',
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
    })
    console.log(`${lines.join('\n')}\n\n${JSON.stringify(figures)}`)
  } finally {
    await Promise.all([...services, redis].map((service) => service.stop()))
    await rm(directory, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
