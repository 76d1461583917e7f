/** The version that every write moves, what each version touched, and what an account holds as a writer must see it. */
import { CompiledQuery, sql } from 'kysely'
import type { AccessChangesTable, Executor } from '../storage/tables.ts'
import { USER } from './role.ts'

export type AccessChangeStore = ReturnType<typeof createAccessChangeStore>

export interface Touch {
  kind: AccessChangesTable['kind']
  /** Id of what a decision may rest on. */
  subject: string
}

// Direct permissions, and those of every role that reaches the account: assigned, by a team or one above it, and `user`,
// each with the roles it includes. By arrays, because joins tempt the planner to go through all permissions there are.
const PERMISSION_KEYS = `
  with reached as (
    select role_closure.included_id as role_id from account_roles
      join role_closure on role_closure.role_id = account_roles.role_id where account_roles.account_id = $1
    union
    select role_closure.included_id from team_members
      join team_closure on team_closure.team_id = team_members.team_id
      join team_roles on team_roles.team_id = team_closure.ancestor_id
      join role_closure on role_closure.role_id = team_roles.role_id where team_members.account_id = $1
    union
    select role_closure.included_id from roles
      join role_closure on role_closure.role_id = roles.id where roles.key = '${USER}'
  )
  select permissions.key from permissions where permissions.id = any(array(
    select permission_id from account_permissions where account_id = $1
    union
    select permission_id from role_permissions where role_id = any(array(select role_id from reached))
  ))`

const PERMISSION_KEYS_OF_ACTIVE = `${PERMISSION_KEYS}
  and exists (select from accounts where id = $1 and status = 'active')`

const MANAGED = `
  select 1 from team_members join accounts on accounts.id = team_members.account_id
  where team_members.account_id = $1 and team_members.team_id = $2 and is_manager and accounts.status = 'active'`

/** A statement holds at most 65535 values. */
const ROWS_AT_ONCE = 5_000

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createAccessChangeStore() {
  return {
    /** Moves the version and holds it: until the transaction ends no other write gets past this call. */
    async advance(executor: Executor): Promise<number> {
      const { version } = await executor
        .updateTable('access_version')
        .set({ version: sql`version + 1` })
        .returning('version')
        .executeTakeFirstOrThrow()
      return Number(version)
    },

    /** Moves the version and notes the one thing that it touches, in one statement. */
    async advanceTouching(executor: Executor, { kind, subject }: Touch): Promise<void> {
      await sql`
        with moved as (update access_version set version = version + 1 returning version)
        insert into access_changes (version, place, kind, subject) select version, 0, ${kind}, ${subject} from moved
      `.execute(executor)
    },

    async note(executor: Executor, version: number, touches: readonly Touch[]): Promise<void> {
      for (let begin = 0; begin < touches.length; begin += ROWS_AT_ONCE) {
        const rows = touches.slice(begin, begin + ROWS_AT_ONCE)
        await executor
          .insertInto('access_changes')
          .values(rows.map(({ kind, subject }, index) => ({ version, place: begin + index, kind, subject })))
          .execute()
      }
    },

    /** What is given to an account in whatever way, in no order, also while it is disabled and holds nothing. */
    permissionKeysOf: (executor: Executor, accountId: string) => keys(executor, PERMISSION_KEYS, accountId),

    /** The combined permissions of an account, in no order. */
    heldBy: (executor: Executor, accountId: string) => keys(executor, PERMISSION_KEYS_OF_ACTIVE, accountId),

    /** Whether the account, being active, manages this very team. */
    async manages(executor: Executor, accountId: string, teamId: string): Promise<boolean> {
      const { rows } = await executor.executeQuery(CompiledQuery.raw(MANAGED, [accountId, teamId]))
      return rows.length > 0
    },
  }
}

async function keys(executor: Executor, text: string, accountId: string): Promise<string[]> {
  const query: CompiledQuery<{ key: string }> = CompiledQuery.raw(text, [accountId])
  return (await executor.executeQuery(query)).rows.map(({ key }) => key)
}
