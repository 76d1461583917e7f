import { promises as fs } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import { FileMigrationProvider, type MigrationResultSet, Migrator, NO_MIGRATIONS } from 'kysely/migration'
import type { OpenDatabase } from './database.ts'
import type { Database } from './tables.ts'
import { sqlState } from './transaction.ts'

const FOLDER = fileURLToPath(new URL('../../migrations/', import.meta.url))
const TABLE = 'schema_migrations'

/** The database was migrated by a newer release; this one does not know what it would break. */
export class SchemaTooNew extends Error {
  constructor(unknown: readonly string[]) {
    super(
      `The database schema is newer than this release: it does not know ${unknown.join(', ')}. Run the newer release.`,
    )
    this.name = 'SchemaTooNew'
  }
}

export interface MigrationStatus {
  applied: string[]
  pending: string[]
}

/**
 * Which migrations have run and which have not, by name.
 * @throws SchemaTooNew
 */
export async function migrationStatus({ db }: OpenDatabase): Promise<MigrationStatus> {
  const known = (await fs.readdir(FOLDER)).filter((file) => file.endsWith('.ts')).map((file) => path.parse(file).name)
  const applied = await appliedIn(db)
  const unknown = applied.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new SchemaTooNew(unknown)
  return { applied, pending: known.filter((name) => !applied.includes(name)).sort() }
}

/**
 * Runs everything pending in one transaction; of two starters one migrates and the other waits and finds nothing to do.
 * @returns the names that were run now.
 * @throws SchemaTooNew
 */
export async function migrateUp(database: OpenDatabase): Promise<string[]> {
  const { pending } = await migrationStatus(database)
  if (pending.length === 0) return []
  return database.withoutDeadline(async (db) => namesOf(await migratorOf(db).migrateToLatest()))
}

/**
 * Takes the last `steps` migrations back, in one transaction.
 * @returns the names that were taken back, the newest first.
 * @throws SchemaTooNew
 */
export async function migrateDown(database: OpenDatabase, steps = 1): Promise<string[]> {
  const { applied } = await migrationStatus(database)
  if (applied.length === 0 || steps < 1) return []
  const target = applied.at(-1 - steps) ?? NO_MIGRATIONS
  return database.withoutDeadline(async (db) => namesOf(await migratorOf(db).migrateTo(target)))
}

async function appliedIn(db: Database): Promise<string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from ${sql.table(TABLE)} order by name`.execute(db)
    return rows.map(({ name }) => name)
  } catch (error) {
    if (sqlState(error) === '42P01') return [] // undefined_table: nothing has ever run here
    throw error
  }
}

/** Kysely holds an advisory lock around the transaction in which it reads what has run and runs the rest. */
function migratorOf(db: Database): Migrator {
  return new Migrator({
    db,
    provider: new FileMigrationProvider({
      fs,
      path,
      migrationFolder: FOLDER,
      import: (file) => import(pathToFileURL(file).href),
    }),
    migrationTableName: TABLE,
    migrationLockTableName: 'schema_migrations_lock',
  })
}

function namesOf({ error, results = [] }: MigrationResultSet): string[] {
  if (error !== undefined) throw error
  return results.map(({ migrationName }) => migrationName)
}
