/**
 * `npm run bench`: what a request costs here, beside raw node:http, plain Koa and stock oidc-provider, in one run on one
 * machine; and what is not a matter of requests: starting, memory, storms, growth. Every comparison goes there and back
 * several times, so that a machine that slows down slows all of them. Ratios are the result; figures per second belong to
 * this machine and this minute.
 *
 * npm run bench -- [part or case …] [--quick] [--rounds 6] [--seconds 2] [--long 60] [--share 1] [--out FILE]
 *   [--profile FOLDER]
 *
 * Parts: cases (or single ones by name: validation, userinfo, "client credentials" …), lives, growth, revocations,
 * access, scale-out. Without a name all of them run, and docs/performance.md gets their tables.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { migrateUp } from '../src/storage/migrator.ts'
import { openPostgres } from '../src/storage/postgres.ts'
import { makeRunDirectory, startOwnRedis, startServices } from '../test/services.ts'
import { createDatabase } from '../test/support/database.ts'
import { measureAccess } from './access.ts'
import { casesOf } from './cases.ts'
import { type Result, runComparison } from './comparison.ts'
import { measureGrowth } from './growth.ts'
import { measureLives } from './lives.ts'
import { canPin, freePort, has, pinnedTo, pinSelf, unpinSelf } from './process.ts'
import { measureRevocations } from './revocation-latency.ts'
import { startTripCounter } from './round-trips.ts'
import { measureScaleOut } from './scale-out.ts'
import { seed, versionsOf } from './seed.ts'
import { print, type Report } from './table.ts'
import { startTargets } from './targets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const PARTS = ['cases', 'lives', 'growth', 'revocations', 'access', 'scale-out'] as const
type Part = (typeof PARTS)[number]
const CASES = [
  'discovery',
  'keys',
  'validation',
  'permission query',
  'introspection',
  'client credentials',
  'userinfo',
  'refresh',
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    long: { type: 'string' },
    share: { type: 'string' },
    out: { type: 'string' },
    profile: { type: 'string' },
  },
})
const unknown = positionals.filter((name) => !CASES.includes(name) && !PARTS.some((part) => part === name))
if (unknown.length > 0)
  refuse(`There is no part or case ${unknown.join(', ')}. There are: ${[...PARTS, ...CASES].join(', ')}.`)
if (!has('wrk')) refuse('The benchmark needs wrk: apt-get install wrk, or brew install wrk.')

const isWhole = positionals.length === 0
const settings = {
  rounds: Number(values.rounds ?? (values.quick ? 2 : 6)),
  seconds: Number(values.seconds ?? (values.quick ? 1 : 2)),
  longSeconds: Number(values.long ?? (values.quick ? 10 : 60)),
  /** Of the million that growth is measured up to. */
  share: Number(values.share ?? (values.quick ? 0.02 : 1)),
}
const wants = (part: Part): boolean => isWhole || positionals.includes(part)
const isWanted = ({ name }: { name: string }): boolean => wants('cases') || positionals.includes(name)

pinSelf()
const begunAt = performance.now()
const directory = await makeRunDirectory()
const services = await startServices(directory, ['PostgreSQL'])
const redis = await startOwnRedis(directory, ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
const serverUrl = services[0]?.url ?? ''
const database = await createDatabase(serverUrl)
await migrate(database.url)

const env: Record<string, string> = {
  NODE_ENV: 'production',
  USHER_PORT: String(await freePort()),
  USHER_HOST: '127.0.0.1',
  USHER_ISSUER: 'https://id.bench.example',
  USHER_DATABASE_URL: database.url,
  USHER_REDIS_URL: redis.url,
  USHER_SMTP_URL: 'smtp://127.0.0.1:2525',
  USHER_MAIL_FROM: 'Bench <bench@bench.example>',
  USHER_KEYS_DIR: join(directory, 'keys'),
  USHER_DATA_DIR: join(directory, 'data'),
  USHER_ACCESS_TOKEN_TTL: '3600',
  USHER_SIGN_INS_PER_MINUTE: '100000',
  USHER_LOG_LEVEL: 'info',
}
const failures: string[] = []
const measured: Pick<Report, 'results' | 'lives' | 'growth' | 'revocations' | 'access' | 'scaleOut' | 'signMicros'> = {
  results: [],
}

try {
  const isMainNeeded = CASES.some((name) => isWanted({ name })) || wants('lives')
  if (isMainNeeded) await measureMain()
  if (wants('revocations')) measured.revocations = await attempt('revocations', () => measureRevocations(settings))
  if (wants('growth')) {
    measured.growth = await attempt('growth', () => measureGrowth({ env, directory, serverUrl, ...settings }))
    failures.push(...(measured.growth?.missing ?? []).map((reason) => `growth: ${reason}`))
  }
  if (wants('access')) {
    measured.access = await attempt('access', () => measureAccess({ env, serverUrl, ...settings }))
  }
  if (wants('scale-out')) {
    measured.scaleOut = await attempt('scale-out', () => {
      unpinSelf() // it places its processes itself
      return measureScaleOut({ env, directory, serverUrl, ...settings })
    })
  }
  const report: Report = {
    date: new Date().toISOString(),
    commit: commitOf(root),
    versions: { ...versionsOf(), PostgreSQL: short(services[0]?.version), Redis: short(redis.version) },
    machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, pinned: canPin },
    ...settings,
    minutes: Math.round((performance.now() - begunAt) / 6_000) / 10,
    failures,
    ...measured,
  }
  const name = isWhole
    ? report.date.slice(0, 10)
    : `${report.date.slice(0, 10)}-${positionals.join('-').replaceAll(' ', '-')}`
  const out = values.out ?? join(root, 'bench/results', `${name}.json`)
  await mkdir(join(out, '..'), { recursive: true })
  await writeFile(out, `${JSON.stringify(report, undefined, 2)}\n`)
  await print(report, join(root, 'docs/performance.md'), { write: isWhole && !values.quick })
  console.error(`${out}, after ${report.minutes} minutes`)
} finally {
  await database.drop().catch(() => undefined)
  await Promise.all([...services, redis].map((service) => service.stop()))
  await rm(directory, { recursive: true, force: true })
}
process.exit(failures.length > 0 ? 1 : 0)

/** What needs the servers of the comparisons. */
async function measureMain(): Promise<void> {
  console.error('seeding …')
  const seeded = await seed(env)
  const options = { env: profiled(env), directory, redisUrl: redis.url, jwks: seeded.jwks, secret: seeded.secret }
  const targets = await startTargets(options)
  const trips = await startTripCounter(env)
  const counter = new Redis(redis.url)
  try {
    const signMicros = measureSignature()
    measured.signMicros = signMicros
    const results: Result[] = []
    for (const comparison of (await casesOf({ seeded, targets, issuer: env.USHER_ISSUER ?? '' })).filter(isWanted)) {
      console.error(`measuring ${comparison.name} …`)
      const result = await attempt(comparison.name, () =>
        runComparison(comparison, targets, {
          ...settings,
          trips,
          signMicros,
          jwks: { keys: seeded.jwks.keys.map(({ d: _, ...published }) => published) },
          redisCommands: async () =>
            Number(/total_commands_processed:(\d+)/.exec(await counter.info('stats'))?.[1] ?? 0),
        }),
      )
      if (result) results.push(result)
    }
    measured.results = results
    await trips.stop()
    if (wants('lives')) {
      const { longSeconds } = settings
      measured.lives = await attempt('lives', () => measureLives({ env, directory, seeded, targets, longSeconds }))
    }
  } finally {
    counter.disconnect()
    await trips.stop()
    await targets.stop()
    await seeded.close()
  }
}

/** One part that fails does not take the others with it; the command fails at its end. */
async function attempt<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const said = error instanceof Error ? (error.stack ?? error.message) : String(error)
    console.error(`${name} failed: ${said}`)
    failures.push(`${name}: ${(error instanceof Error ? error.message : said).replaceAll('\n', ' ').slice(0, 300)}`)
    return undefined
  }
}

function measureSignature(): number {
  const [program = '', ...rest] = pinnedTo(0, [process.execPath, join(root, 'bench/servers/primitives.ts'), 'sign'])
  return JSON.parse(execFileSync(program, rest, { encoding: 'utf8' })).micros
}

function profiled(settingsOfServer: Record<string, string>): Record<string, string> {
  if (values.profile === undefined) return settingsOfServer
  return { ...settingsOfServer, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${values.profile}` }
}

async function migrate(url: string): Promise<void> {
  const open = await openPostgres(url)
  await migrateUp(open)
  await open.close()
}

/** What was measured; sources that were unpacked have no history. */
function commitOf(directory: string): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return 'an unknown commit'
  }
}

/** The name of a version without what it was compiled with. */
function short(version = ''): string {
  return /\d+(\.\d+)+/.exec(version)?.[0] ?? version
}

function refuse(reason: string): never {
  console.error(reason)
  process.exit(1)
}
