/**
 * What `npm test` runs: real services, then mocha, then everything is gone again.
 * `npm test -- test/storage/migrations.test.ts --grep round` passes files and flags on to mocha;
 * `npm test -- --redis cluster` (or sentinel) lets the servers keep on such a Redis what they keep on one server else.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { migrateUp } from '../src/storage/migrator.ts'
import { openPostgres } from '../src/storage/postgres.ts'
import { faultsOfRun, readCounters } from './proof.ts'
import { isRedisShape, type Shape, startShape } from './scale/redis-shapes.ts'
import { makeRunDirectory, type Service, startServices } from './services.ts'
import { createDatabase, type TestDatabase } from './support/database.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const given = process.argv.slice(2).filter((argument) => argument !== '--')
const shape = given.includes('--redis') ? given.splice(given.indexOf('--redis'), 2)[1] : undefined
const flags = given
const isWholeSuite = !flags.some((argument) => /\.ts$/.test(argument))
const isFiltered = flags.some((argument) => /^(-[gf]$|--f?grep|--invert)/.test(argument))

const directory = await makeRunDirectory()
let services: Service[] = []
let template: TestDatabase | undefined
let store: Shape | undefined
let mocha: ReturnType<typeof spawn> | undefined
let code = 1

let isStopped = false

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    isStopped = true
    code = 128 + constants.signals[signal]
    mocha?.kill(signal)
  })
}

try {
  services = await startServices(directory)
  for (const { name, how, version, startMs } of services) console.log(`${name}: ${version} (${how}, ${startMs} ms)`)
  if (shape !== undefined) {
    if (!isRedisShape(shape)) throw new Error(`--redis takes cluster or sentinel, not ${shape}.`)
    store = await startShape(shape, directory)
    console.log(`Redis for what the servers keep: ${store.url}`)
  }
  const urls = Object.fromEntries(services.map(({ name, url }) => [name, url]))
  template = await createDatabase(urls.PostgreSQL ?? '')
  await migrateTemplate(template.url)
  const env = {
    ...process.env,
    NODE_ENV: 'test',
    TEST_DATABASE_URL: urls.PostgreSQL,
    TEST_DATABASE_TEMPLATE: template.name,
    TEST_REDIS_URL: urls.Redis,
    TEST_REDIS_STORE_URL: store?.url ?? '',
    CHROMIUM_BIN: urls.Chromium,
    TEST_RUN_DIRECTORY: directory,
  }
  if (isStopped) throw new Error('Stopped before the tests began.')
  const own = { postgres: urls.PostgreSQL ?? '', redis: urls.Redis ?? '' }
  const atStart = await readCounters(own)
  // A file waits for servers more than it works: two at a time.
  const specs = isWholeSuite ? ['--parallel', '--jobs', '2', 'test/**/*.test.ts'] : []
  mocha = spawn(process.execPath, ['node_modules/mocha/bin/mocha.js', ...flags, ...specs], {
    cwd: root,
    env,
    stdio: 'inherit',
  })
  const [exitCode] = await once(mocha, 'exit')
  if (!isStopped) code = exitCode ?? 1
  const faults = isWholeSuite && !isFiltered && !isStopped ? await faultsOfRun(atStart, own) : []
  for (const fault of faults) console.error(fault)
  if (faults.length > 0) code = code || 1
} catch (error) {
  // Its stack would only tell of this file; the message names what to do.
  console.error(error instanceof Error ? error.message : error)
} finally {
  await template?.drop().catch(() => {})
  await Promise.all([...services, ...(store ? [store] : [])].map((service) => service.stop()))
  await rm(directory, { recursive: true, force: true })
}
process.exitCode = code

async function migrateTemplate(url: string): Promise<void> {
  const database = await openPostgres(url)
  try {
    await migrateUp(database)
  } finally {
    // CREATE DATABASE copies a template only while nobody is connected to it.
    await database.close()
  }
}
