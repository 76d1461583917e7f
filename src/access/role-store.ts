/** The roles, what they hold, and who holds them. Which role includes which is in role-graph-store.ts. */
import { sql } from 'kysely'
import { uuidv7 } from '../ids.ts'
import { type PrefixPage, prefixPage } from '../storage/prefix-page.ts'
import type { Executor } from '../storage/tables.ts'
import type { Role } from './role.ts'

export type RoleStore = ReturnType<typeof createRoleStore>

/** A part of a long list of ids. */
export interface Batch {
  /** The last id of the batch before. */
  after?: string | undefined
  limit: number
}

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createRoleStore() {
  return {
    /** The keys of the assigned roles, in no order. */
    async keysOfAccount(executor: Executor, accountId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('account_roles')
        .innerJoin('roles', 'roles.id', 'account_roles.role_id')
        .select('roles.key')
        .where('account_roles.account_id', '=', accountId)
        .execute()
      return rows.map(({ key }) => key)
    },

    async findByKey(executor: Executor, key: string): Promise<Role | undefined> {
      return selectRole(executor).where('roles.key', '=', key).executeTakeFirst()
    },

    async findById(executor: Executor, id: string): Promise<Role | undefined> {
      return selectRole(executor).where('roles.id', '=', id).executeTakeFirst()
    },

    async findByKeys(executor: Executor, keys: readonly string[]): Promise<Role[]> {
      if (keys.length === 0) return []
      return selectRole(executor).where('roles.key', 'in', keys).execute()
    },

    /** In the order of keys. */
    async page(executor: Executor, page: PrefixPage): Promise<Role[]> {
      return prefixPage(selectRole(executor), BY_KEY, page).execute()
    },

    /** Like findByKey; until the transaction ends nobody else gets past this call for the same role. */
    async lockByKey(executor: Executor, key: string): Promise<Role | undefined> {
      return selectRole(executor).where('roles.key', '=', key).forUpdate().executeTakeFirst()
    },

    /** With the row by which it reaches itself. Undefined when there is one with this key. */
    async insert(
      executor: Executor,
      role: Pick<Role, 'key' | 'description' | 'isSystem'>,
    ): Promise<{ id: string } | undefined> {
      const row = await executor
        .insertInto('roles')
        .values({ id: uuidv7(), key: role.key, description: role.description, is_system: role.isSystem })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('id')
        .executeTakeFirst()
      if (row) await executor.insertInto('role_closure').values({ role_id: row.id, included_id: row.id }).execute()
      return row
    },

    async describe(executor: Executor, id: string, description: string): Promise<void> {
      await executor.updateTable('roles').set({ description, updated_at: new Date() }).where('id', '=', id).execute()
    },

    /** With its links of every kind. What reached others by it alone must be flattened anew afterwards. */
    async remove(executor: Executor, id: string): Promise<void> {
      await executor.deleteFrom('roles').where('id', '=', id).execute()
    },

    async permissionIds(executor: Executor, roleId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('role_permissions')
        .select('permission_id')
        .where('role_id', '=', roleId)
        .execute()
      return rows.map((row) => row.permission_id)
    },

    /** Answers how many are new. */
    async addPermissions(executor: Executor, roleId: string, permissionIds: readonly string[]): Promise<number> {
      if (permissionIds.length === 0) return 0
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('role_permissions')
        .values(permissionIds.map((permissionId) => ({ role_id: roleId, permission_id: permissionId })))
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      return Number(written)
    },

    /** Answers how many were there. */
    async removePermissions(executor: Executor, roleId: string, permissionIds: readonly string[]): Promise<number> {
      if (permissionIds.length === 0) return 0
      const { numDeletedRows } = await executor
        .deleteFrom('role_permissions')
        .where('role_id', '=', roleId)
        .where('permission_id', 'in', permissionIds)
        .executeTakeFirst()
      return Number(numDeletedRows)
    },

    async hasAccount(executor: Executor, accountId: string): Promise<boolean> {
      const row = await executor.selectFrom('accounts').select('id').where('id', '=', accountId).executeTakeFirst()
      return row !== undefined
    },

    /** The assigned roles of an account, in the order of keys. */
    async pageOfAccount(executor: Executor, accountId: string, page: PrefixPage): Promise<Role[]> {
      const assigned = executor.selectFrom('account_roles').select('role_id').where('account_id', '=', accountId)
      return prefixPage(selectRole(executor).where('roles.id', 'in', assigned), BY_KEY, page).execute()
    },

    /** False when the account has it already. Throws SQLSTATE 23503 when there is no such account. */
    async assign(executor: Executor, accountId: string, roleId: string): Promise<boolean> {
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('account_roles')
        .values({ account_id: accountId, role_id: roleId })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      return written === 1n
    },

    /** False when the account did not have it. */
    async unassign(executor: Executor, accountId: string, roleId: string): Promise<boolean> {
      const { numDeletedRows } = await executor
        .deleteFrom('account_roles')
        .where('account_id', '=', accountId)
        .where('role_id', '=', roleId)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },

    /** The active accounts that the role is assigned to, oldest first; not those whose owner has deleted them. */
    async activeHolders(executor: Executor, roleKey: string, limit: number): Promise<string[]> {
      const rows = await executor
        .selectFrom('account_roles')
        .innerJoin('roles', 'roles.id', 'account_roles.role_id')
        .innerJoin('accounts', 'accounts.id', 'account_roles.account_id')
        .select('accounts.id')
        .where('roles.key', '=', roleKey)
        .where('accounts.status', '=', 'active')
        .where('accounts.deletion_due_at', 'is', null)
        .orderBy('accounts.id')
        .limit(limit)
        .execute()
      return rows.map(({ id }) => id)
    },

    /** The ids of the accounts that the role is assigned to, disabled ones as well, oldest first. */
    async holders(executor: Executor, roleId: string, { after, limit }: Batch): Promise<string[]> {
      const query = executor.selectFrom('account_roles').select('account_id').where('role_id', '=', roleId)
      const batch = after === undefined ? query : query.where('account_id', '>', after)
      return (await batch.orderBy('account_id').limit(limit).execute()).map((row) => row.account_id)
    },

    async countHolders(executor: Executor, roleId: string): Promise<number> {
      const row = await executor
        .selectFrom('account_roles')
        .select(sql<string>`count(*)`.as('count'))
        .where('role_id', '=', roleId)
        .executeTakeFirstOrThrow()
      return Number(row.count)
    },

    /** The teams that have the role. */
    async teams(executor: Executor, roleId: string): Promise<{ id: string; key: string }[]> {
      return executor
        .selectFrom('team_roles')
        .innerJoin('teams', 'teams.id', 'team_roles.team_id')
        .select(['teams.id', 'teams.key'])
        .where('team_roles.role_id', '=', roleId)
        .orderBy('teams.key')
        .execute()
    },
  }
}

export const BY_KEY = { column: 'roles.key', id: 'roles.id' }

export const selectRole = (executor: Executor) =>
  executor
    .selectFrom('roles')
    .select([
      'roles.id',
      'roles.key',
      'roles.description',
      'roles.is_system as isSystem',
      'roles.created_at as createdAt',
      'roles.updated_at as updatedAt',
    ])
