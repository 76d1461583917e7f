/** What the writers of access-change.ts left for readers: the version, and what each of the latest ones touched. */
import { CompiledQuery, sql } from 'kysely'
import type { Executor } from '../storage/tables.ts'
import type { Touch } from './access-change-store.ts'

export type FreshnessStore = ReturnType<typeof createFreshnessStore>

export interface AccessChangeRow extends Touch {
  version: string
}

/** Most changes learned one by one; with more it is cheaper to forget everything. */
export const MAX_CHANGES = 1_000

/** For how long changes are kept. */
export const KEPT_SECONDS = 3_600

const REMOVED_AT_ONCE = 1_000

/** The one statement that decisions cost once in a while, however many they are; its text is fixed so that it can be told. */
export const CHANGES_SINCE = `select version, kind, subject from access_changes where version > $1 order by version, place limit ${MAX_CHANGES}`

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createFreshnessStore() {
  return {
    /** The latest version; whoever reads it has everything up to it. */
    async version(executor: Executor): Promise<string> {
      const { version } = await executor.selectFrom('access_version').select('version').executeTakeFirstOrThrow()
      return version
    },

    /** What was touched after a version, at most MAX_CHANGES, in the order of its commits. */
    async changesSince(executor: Executor, version: string): Promise<AccessChangeRow[]> {
      const query: CompiledQuery<AccessChangeRow> = CompiledQuery.raw(CHANGES_SINCE, [version])
      return (await executor.executeQuery(query)).rows
    },

    /** Deletes the changes that everybody has learned or is too late to learn; false when there may be more. */
    async removeOld(executor: Executor): Promise<boolean> {
      const { rows } = await sql`
        delete from access_changes where ctid in (
          select ctid from access_changes where created_at < now() - make_interval(secs => ${KEPT_SECONDS})
          limit ${REMOVED_AT_ONCE} for update skip locked)
        returning 1
      `.execute(executor)
      return rows.length < REMOVED_AT_ONCE
    },
  }
}
