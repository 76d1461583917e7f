/**
 * `npm run bench`: what a request costs here, beside raw node:http, plain Koa and stock oidc-provider, in one run on one
 * machine. Every comparison goes A B C C B A, so that a machine that slows down slows all of them. Ratios are the result;
 * figures per second belong to this machine and this minute.
 *
 * npm run bench -- [case …] [--rounds 6] [--seconds 2] [--out FILE] [--profile FOLDER]
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
import { type Comparison, casesOf } from './cases.ts'
import { runComparison } from './comparison.ts'
import { measureLives } from './lives.ts'
import { canPin, freePort, has } from './process.ts'
import { seed, versionsOf } from './seed.ts'
import { print } from './table.ts'
import { startTargets } from './targets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '2' },
    out: { type: 'string' },
    profile: { type: 'string' },
  },
})
if (!has('wrk')) {
  console.error('The benchmark needs wrk: apt-get install wrk, or brew install wrk.')
  process.exit(1)
}

const directory = await makeRunDirectory()
const services = await startServices(directory, ['PostgreSQL'])
const redis = await startOwnRedis(directory, ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
const database = await createDatabase(services.find(({ name }) => name === 'PostgreSQL')?.url ?? '')
const open = await openPostgres(database.url)
await migrateUp(open)
await open.close()

const port = await freePort()
const env = {
  NODE_ENV: 'production',
  USHER_PORT: String(port),
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
  ...(values.profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${values.profile}` }),
}
let seeded: Awaited<ReturnType<typeof seed>> | undefined
let targets: Awaited<ReturnType<typeof startTargets>> | undefined
try {
  console.error('seeding …')
  seeded = await seed(env)
  targets = await startTargets({ env, directory, redisUrl: redis.url, jwks: seeded.jwks, secret: seeded.secret })
  const wanted = (comparison: Comparison) => positionals.length === 0 || positionals.includes(comparison.name)
  const results = []
  for (const comparison of (await casesOf({ seeded, targets, issuer: env.USHER_ISSUER })).filter(wanted)) {
    console.error(`measuring ${comparison.name} …`)
    const counter = new Redis(redis.url)
    results.push(
      await runComparison(comparison, targets, {
        rounds: Number(values.rounds),
        seconds: Number(values.seconds),
        redis: counter,
      }),
    )
    counter.disconnect()
  }
  const lives =
    positionals.length === 0 || positionals.includes('lives')
      ? await measureLives({ env, seeded, targets, redisUrl: redis.url })
      : undefined
  const report = {
    date: new Date().toISOString(),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    versions: { ...versionsOf(), postgres: services[0]?.version ?? '', redis: redis.version },
    machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, pinned: canPin },
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    results,
    lives,
  }
  const out = values.out ?? join(root, 'bench/results', `${report.date.slice(0, 10)}.json`)
  await mkdir(join(out, '..'), { recursive: true })
  await writeFile(out, `${JSON.stringify(report, undefined, 2)}\n`)
  await print(report, join(root, 'docs/performance.md'), { write: positionals.length === 0 })
} finally {
  await targets?.stop()
  await seeded?.close()
  await database.drop().catch(() => undefined)
  await Promise.all([...services, redis].map((service) => service.stop()))
  await rm(directory, { recursive: true, force: true })
}
