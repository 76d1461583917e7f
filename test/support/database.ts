/** Stores of one test file's own, cheap enough to ask for in every `before`. Their servers come from test/run.ts. */
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { migrateUp } from '../../src/storage/migrator.ts'
import { openPglite } from '../../src/storage/pglite.ts'
import { isCluster, type RedisConnection } from '../../src/storage/redis.ts'

export interface TestDatabase {
  name: string
  url: string
  drop(): Promise<void>
}

function given(variable: string): string {
  const value = process.env[variable]
  if (!value) throw new Error(`${variable} is not set: run the tests with \`npm test -- <file>\`.`)
  return value
}

/** The URL of the real Redis of this run. Write only below a prefix of freshRedisPrefix(). */
export const redisUrl = (): string => given('TEST_REDIS_URL')

/** The URL of the Redis that keeps what the servers write: that one, or the cluster or the sentinels the run was asked for. */
export const storeUrl = (): string => process.env.TEST_REDIS_STORE_URL || redisUrl()

/** The URL of the real PostgreSQL of this run, with the right to create databases. */
export const postgresUrl = (): string => given('TEST_DATABASE_URL')

/** A directory of the run, removed with it. */
export const temporaryDirectory = (name: string): Promise<string> =>
  mkdtemp(join(given('TEST_RUN_DIRECTORY'), `${name}-`))

/** A migrated PostgreSQL database that nobody else uses. */
export const freshDatabase = (): Promise<TestDatabase> => createDatabase(postgresUrl(), given('TEST_DATABASE_TEMPLATE'))

/** A PostgreSQL database without a single table. */
export const emptyDatabase = (): Promise<TestDatabase> => createDatabase(postgresUrl())

/** A key prefix that nobody else uses. */
export const freshRedisPrefix = (): string => `t-${randomBytes(6).toString('hex')}:`

/** The keys below a prefix, whichever nodes they lie on. */
export async function keysBelow(redis: RedisConnection, prefix: string): Promise<string[]> {
  const found: string[] = []
  for (const node of isCluster(redis) ? redis.nodes('master') : [redis]) {
    for await (const keys of node.scanStream({ match: `${prefix}*`, count: 1_000 })) found.push(...keys)
  }
  return [...new Set(found)]
}

/** The keys below a prefix that would stay for ever; the boot mark and the revocation stream may. */
export async function keysWithoutEnd(redis: RedisConnection, prefix: string): Promise<string[]> {
  const endless: string[] = []
  for (const key of await keysBelow(redis, prefix)) {
    if ((await redis.pttl(key)) === -1 && !/:(boot(:\{\d+\})?|rev)$/.test(key)) endless.push(key)
  }
  return endless
}

/** What a flush leaves of one prefix. */
export async function forgetBelow(redis: RedisConnection, prefix: string): Promise<void> {
  await Promise.all((await keysBelow(redis, prefix)).map((key) => redis.unlink(key)))
}

export async function createDatabase(serverUrl: string, template = 'template0'): Promise<TestDatabase> {
  const name = `t_${process.pid}_${randomBytes(6).toString('hex')}`
  await asAdmin(serverUrl, `create database ${name} template ${template}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { name, url: url.href, drop: () => asAdmin(serverUrl, `drop database if exists ${name} with (force)`) }
}

async function asAdmin(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

let pgliteTemplate: Promise<string> | undefined

/** A migrated PGlite directory of its own: a copy of the first one made, because making one takes seconds. */
export async function freshPgliteDirectory(): Promise<{ directory: string; remove(): Promise<void> }> {
  pgliteTemplate ??= makePgliteTemplate()
  const source = await pgliteTemplate
  const home = await temporaryDirectory('pglite')
  const directory = join(home, 'db')
  await cp(source, directory, { recursive: true })
  return { directory, remove: () => rm(home, { recursive: true, force: true }) }
}

/** An open, migrated PGlite; close() also removes its directory. */
export async function freshPglite(): Promise<OpenDatabase> {
  const { directory, remove } = await freshPgliteDirectory()
  const database = await openPglite(directory)
  return {
    ...database,
    close: async () => {
      await database.close()
      await remove()
    },
  }
}

async function makePgliteTemplate(): Promise<string> {
  const home = await temporaryDirectory('pglite-template')
  await mkdir(home, { recursive: true })
  const directory = join(home, 'db')
  const database = await openPglite(directory)
  await migrateUp(database)
  await database.close()
  return directory
}
