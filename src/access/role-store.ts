/** The roles, what they hold, and who holds them. */
import { CompiledQuery } from 'kysely'
import { uuidv7 } from '../ids.ts'
import type { Executor } from '../storage/tables.ts'
import type { Role } from './role.ts'

export type RoleStore = ReturnType<typeof createRoleStore>

// Asked for every token, so it is written once instead of built per call.
const KEYS_OF_ACCOUNT =
  'select roles.key from account_roles join roles on roles.id = account_roles.role_id where account_roles.account_id = $1'

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createRoleStore() {
  return {
    /** The keys of the assigned roles, in no order. */
    async keysOfAccount(executor: Executor, accountId: string): Promise<string[]> {
      const query: CompiledQuery<{ key: string }> = CompiledQuery.raw(KEYS_OF_ACCOUNT, [accountId])
      return (await executor.executeQuery(query)).rows.map(({ key }) => key)
    },

    async findByKey(executor: Executor, key: string): Promise<Role | undefined> {
      return selectRole(executor).where('key', '=', key).executeTakeFirst()
    },

    async findById(executor: Executor, id: string): Promise<Role | undefined> {
      return selectRole(executor).where('id', '=', id).executeTakeFirst()
    },

    /** The keys of all permissions that the role reaches, also by the roles it includes; in no order. */
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

    /** Like findByKey; until the transaction ends nobody else gets past this call for the same role. */
    async lockByKey(executor: Executor, key: string): Promise<Role | undefined> {
      return selectRole(executor).where('key', '=', key).forUpdate().executeTakeFirst()
    },

    /** False when there is one with this key. */
    async insert(executor: Executor, role: Omit<Role, 'id'>): Promise<boolean> {
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('roles')
        .values({ id: uuidv7(), key: role.key, description: role.description, is_system: role.isSystem })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .executeTakeFirst()
      return written === 1n
    },

    async describe(executor: Executor, id: string, description: string): Promise<void> {
      await executor.updateTable('roles').set({ description, updated_at: new Date() }).where('id', '=', id).execute()
    },

    async permissionIds(executor: Executor, roleId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('role_permissions')
        .select('permission_id')
        .where('role_id', '=', roleId)
        .execute()
      return rows.map((row) => row.permission_id)
    },

    async addPermissions(executor: Executor, roleId: string, permissionIds: readonly string[]): Promise<void> {
      if (permissionIds.length === 0) return
      await executor
        .insertInto('role_permissions')
        .values(permissionIds.map((permissionId) => ({ role_id: roleId, permission_id: permissionId })))
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    },

    async removePermissions(executor: Executor, roleId: string, permissionIds: readonly string[]): Promise<void> {
      if (permissionIds.length === 0) return
      await executor
        .deleteFrom('role_permissions')
        .where('role_id', '=', roleId)
        .where('permission_id', 'in', permissionIds)
        .execute()
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

    /** The active accounts that the role is assigned to, oldest first. */
    async activeHolders(executor: Executor, roleKey: string, limit: number): Promise<string[]> {
      const rows = await executor
        .selectFrom('account_roles')
        .innerJoin('roles', 'roles.id', 'account_roles.role_id')
        .innerJoin('accounts', 'accounts.id', 'account_roles.account_id')
        .select('accounts.id')
        .where('roles.key', '=', roleKey)
        .where('accounts.status', '=', 'active')
        .orderBy('accounts.id')
        .limit(limit)
        .execute()
      return rows.map(({ id }) => id)
    },
  }
}

const selectRole = (executor: Executor) =>
  executor.selectFrom('roles').select(['id', 'key', 'description', 'is_system as isSystem'])
