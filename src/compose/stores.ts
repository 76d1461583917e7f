/** What the settings name: the durable store and the ephemeral one, and how processes tell each other of changes. */
import { join } from 'node:path'
import { type Config, ConfigError } from '../config.ts'
import { type Announcements, createLocalAnnouncements, createRedisAnnouncements } from '../storage/announcements.ts'
import type { OpenDatabase } from '../storage/database.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { createRedisEphemeral } from '../storage/ephemeral-redis.ts'
import { createSqlEphemeral } from '../storage/ephemeral-sql.ts'
import type { Journal } from '../storage/journal.ts'
import { createRedisJournal } from '../storage/journal-redis.ts'
import { createSqlJournal } from '../storage/journal-sql.ts'
import { migrateUp, migrationStatus } from '../storage/migrator.ts'
import { openPglite } from '../storage/pglite.ts'
import { openPostgres } from '../storage/postgres.ts'
import { openRedis, redisFaults, redisVersion } from '../storage/redis.ts'

export interface Stores {
  database: OpenDatabase
  ephemeral: Ephemeral
  journal: Journal
  announcements: Announcements
  /** What each runs on, for people. */
  names: { database: string; ephemeral: string }
  close(): Promise<void>
}

/** The durable store alone, as for migrations. */
export const openDatabase = (config: Config): Promise<OpenDatabase> =>
  config.databaseUrl ? openPostgres(config.databaseUrl) : openPglite(join(config.dataDir, 'db'))

export interface OpenStoresOptions {
  /** Told of what failed without anybody waiting for it. */
  onFault?: (error: unknown) => void
}

/** Opens what the settings name: PostgreSQL or the embedded database, Redis or the SQL twin over the same database. */
export async function openStores(config: Config, { onFault }: OpenStoresOptions = {}): Promise<Stores> {
  const database = await openDatabase(config)
  const redis = config.redisUrl ? await openCheckedRedis(config).catch(closing(database)) : undefined
  const ephemeral = redis ? createRedisEphemeral(redis, { prefix: config.redisPrefix }) : createSqlEphemeral(database)
  const journal = redis ? createRedisJournal(redis, { prefix: config.redisPrefix }) : createSqlJournal(database)
  const announcements = redis
    ? createRedisAnnouncements({ redis, prefix: config.redisPrefix, onFault })
    : createLocalAnnouncements()
  return {
    database,
    ephemeral,
    journal,
    announcements,
    names: { database: database.version, ephemeral: redis ? await redisVersion(redis) : 'the same database' },
    async close() {
      announcements.close()
      journal.close()
      await ephemeral.close()
      await database.close()
    },
  }
}

/** A start that fails half way leaves nothing open: an open embedded database would keep the process alive. */
const closing = (database: OpenDatabase) => async (error: unknown) => {
  await database.close()
  throw error
}

async function openCheckedRedis(config: Config) {
  const redis = await openRedis(config.redisUrl ?? '')
  const faults = config.production ? await redisFaults(redis) : []
  if (faults.length === 0) return redis
  redis.disconnect()
  throw new ConfigError(faults.map((fault) => `USHER_REDIS_URL: ${fault}`))
}

/** The embedded database belongs to this process alone; a shared one is migrated when the operator says so. */
export async function bringSchemaUp(config: Config, { database }: Pick<Stores, 'database'>): Promise<void> {
  if (database.kind === 'pglite' || config.autoMigrate || !config.production) {
    await migrateUp(database)
    return
  }
  const { pending } = await migrationStatus(database)
  if (pending.length > 0) {
    throw new ConfigError([
      `the database lacks ${pending.length} migrations: run "usher migrate up" first, or set USHER_AUTO_MIGRATE=1`,
    ])
  }
}
