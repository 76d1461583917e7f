/** Whose permissions may have changed, from what the writers of the access room leave behind. */
import { sql } from 'kysely'
import type { AccessChangesTable, Executor } from '../storage/tables.ts'

export type PermissionChangeStore = ReturnType<typeof createPermissionChangeStore>

export interface PermissionChangeRow {
  version: number
  kind: AccessChangesTable['kind']
  subject: string
  /** When its transaction began. */
  atMs: number
}

export interface PermissionChanges {
  /** Everything up to this version is among the changes, or was read before. */
  version: number
  changes: PermissionChangeRow[]
  /** Whether all of them are still kept, and are not too many to be told one by one. */
  isWhole: boolean
}

const MAX_CHANGES = 1_000

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createPermissionChangeStore() {
  return {
    /** What changed after a version, in the order of the versions; writers commit in that order. */
    async since(executor: Executor, version: number): Promise<PermissionChanges> {
      const { rows } = await sql<Partial<PermissionChangeRow> & { current: number; oldest: number | null }>`
        select current.version::float8 as current, oldest.version::float8 as oldest, change.* from access_version current
        cross join (select min(version) as version from access_changes) oldest
        left join lateral (
          select version::float8 as version, kind, subject, extract(epoch from created_at)::float8 * 1000 as "atMs"
          from access_changes where access_changes.version > ${version}::bigint
          order by access_changes.version, access_changes.place limit ${MAX_CHANGES}) change on true
      `.execute(executor)
      const { current = 0, oldest = null } = rows[0] ?? {}
      const changes = rows.filter(isChange)
      const isKept = version >= current || (oldest !== null && oldest <= version + 1)
      return { version: current, changes, isWhole: isKept && changes.length < MAX_CHANGES }
    },

    async version(executor: Executor): Promise<number> {
      const { version } = await executor.selectFrom('access_version').select('version').executeTakeFirstOrThrow()
      return Number(version)
    },
  }
}

const isChange = <Row extends Partial<PermissionChangeRow>>(row: Row): row is Row & PermissionChangeRow =>
  row.version !== undefined && row.version !== null
