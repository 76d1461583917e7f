/**
 * Which role includes which: the edges as they were made, and the graph flattened, so that no reader walks it. Its writers
 * must follow one another; the version of access sees to that.
 */
import { sql } from 'kysely'
import { type PrefixPage, prefixPage } from '../storage/prefix-page.ts'
import type { Executor } from '../storage/tables.ts'
import type { Role } from './role.ts'
import { BY_KEY, selectRole } from './role-store.ts'

export type RoleGraphStore = ReturnType<typeof createRoleGraphStore>

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createRoleGraphStore() {
  return {
    /** Whether a role is or includes, over however many others, the other one. */
    async reaches(executor: Executor, roleId: string, otherId: string): Promise<boolean> {
      const row = await executor
        .selectFrom('role_closure')
        .select('role_id')
        .where('role_id', '=', roleId)
        .where('included_id', '=', otherId)
        .executeTakeFirst()
      return row !== undefined
    },

    /** The role itself and every role that reaches it. */
    async reaching(executor: Executor, roleId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('role_closure')
        .select('role_id')
        .where('included_id', '=', roleId)
        .execute()
      return rows.map((row) => row.role_id)
    },

    /** The keys of all permissions that the role reaches, in no order. */
    async permissionKeys(executor: Executor, roleId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('role_closure')
        .innerJoin('role_permissions', 'role_permissions.role_id', 'role_closure.included_id')
        .innerJoin('permissions', 'permissions.id', 'role_permissions.permission_id')
        .select('permissions.key')
        .distinct()
        .where('role_closure.role_id', '=', roleId)
        .execute()
      return rows.map(({ key }) => key)
    },

    /** The roles it includes by an edge of its own, in the order of keys. */
    async page(executor: Executor, roleId: string, page: PrefixPage): Promise<Role[]> {
      const included = executor.selectFrom('role_includes').select('included_id').where('role_id', '=', roleId)
      return prefixPage(selectRole(executor).where('roles.id', 'in', included), BY_KEY, page).execute()
    },

    async includedIds(executor: Executor, roleId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('role_includes')
        .select('included_id')
        .where('role_id', '=', roleId)
        .execute()
      return rows.map((row) => row.included_id)
    },

    /** The keys of the roles that include it by an edge of their own, sorted. */
    async includingKeys(executor: Executor, roleId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('role_includes')
        .innerJoin('roles', 'roles.id', 'role_includes.role_id')
        .select('roles.key')
        .where('role_includes.included_id', '=', roleId)
        .orderBy('roles.key')
        .execute()
      return rows.map(({ key }) => key)
    },

    /** False when the edge is there already. It must close no cycle. */
    async include(executor: Executor, roleId: string, includedId: string): Promise<boolean> {
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('role_includes')
        .values({ role_id: roleId, included_id: includedId })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      if (written !== 1n) return false
      await sql`
        insert into role_closure (role_id, included_id)
        select upper.role_id, lower.included_id from role_closure as upper cross join role_closure as lower
        where upper.included_id = ${roleId}::uuid and lower.role_id = ${includedId}::uuid
        on conflict do nothing`.execute(executor)
      return true
    },

    /** False when there was no such edge. */
    async exclude(executor: Executor, roleId: string, includedId: string): Promise<boolean> {
      const { numDeletedRows } = await executor
        .deleteFrom('role_includes')
        .where('role_id', '=', roleId)
        .where('included_id', '=', includedId)
        .executeTakeFirst()
      if (numDeletedRows === 0n) return false
      await flatten(executor, await this.reaching(executor, roleId))
      return true
    },

    flatten,
  }
}

/** Flattens these roles anew by walking their edges: of what an edge gave, some may be reached by another way. */
async function flatten(executor: Executor, roleIds: readonly string[]): Promise<void> {
  if (roleIds.length === 0) return
  await sql`delete from role_closure where role_id = any(${roleIds}::uuid[])`.execute(executor)
  await sql`
    with recursive reached (role_id, included_id) as (
      select roles.id, roles.id from roles where roles.id = any(${roleIds}::uuid[])
      union
      select reached.role_id, role_includes.included_id from reached
        join role_includes on role_includes.role_id = reached.included_id
    )
    insert into role_closure (role_id, included_id) select role_id, included_id from reached`.execute(executor)
}
