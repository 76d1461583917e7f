import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect, sql } from 'kysely'
import { type OpenDatabase, type OpenDatabaseOptions, observing, shortVersion } from './database.ts'
import { lockDirectory } from './directory-lock.ts'
import { templateFor } from './pglite-template.ts'
import type { Tables } from './tables.ts'
import { refuseOuterQueries } from './transaction.ts'

const INT8 = 20

/**
 * Opens the embedded database in a directory, which it creates when missing.
 * @throws DirectoryInUse when another process holds it.
 */
export async function openPglite(directory: string, { onQuery }: OpenDatabaseOptions = {}): Promise<OpenDatabase> {
  const unlock = await lockDirectory(directory)
  try {
    // pg answers int8 as a string, PGlite as a number: the same code must read both.
    const parsers = { [INT8]: (value: string) => value }
    const pglite = await PGlite.create({ dataDir: directory, parsers, ...(await templateFor(directory)) })
    const db = new Kysely<Tables>({
      dialect: new PGliteDialect({ pglite }),
      plugins: [refuseOuterQueries],
      log: observing(onQuery),
    })
    const { rows } = await sql<{ version: string }>`select version()`.execute(db)
    return {
      db,
      kind: 'pglite',
      version: `${shortVersion(rows[0]?.version ?? '')} (PGlite)`,
      check: async () => void (await sql`select 1`.execute(db)),
      withoutDeadline: (work) => work(db),
      close: async () => {
        await db.destroy()
        await unlock()
      },
    }
  } catch (error) {
    await unlock()
    throw error
  }
}
