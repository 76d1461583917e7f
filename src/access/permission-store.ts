/** The permissions, and who holds which without a role. */
import { sql } from 'kysely'
import { uuidv7 } from '../ids.ts'
import { type PrefixPage, prefixPage } from '../storage/prefix-page.ts'
import type { Executor } from '../storage/tables.ts'
import type { Permission } from './permission.ts'
import type { Batch } from './role-store.ts'

export type PermissionStore = ReturnType<typeof createPermissionStore>

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createPermissionStore() {
  return {
    async findById(executor: Executor, id: string): Promise<Permission | undefined> {
      return selectPermission(executor).where('permissions.id', '=', id).executeTakeFirst()
    },

    async findByKey(executor: Executor, key: string): Promise<Permission | undefined> {
      return selectPermission(executor).where('permissions.key', '=', key).executeTakeFirst()
    },

    async findByKeys(executor: Executor, keys: readonly string[]): Promise<Permission[]> {
      if (keys.length === 0) return []
      return selectPermission(executor).where('permissions.key', 'in', keys).execute()
    },

    /** In the order of keys. */
    async page(executor: Executor, page: PrefixPage): Promise<Permission[]> {
      return prefixPage(selectPermission(executor), BY_KEY, page).execute()
    },

    /** What a role holds itself, in the order of keys. */
    async pageOfRole(executor: Executor, roleId: string, page: PrefixPage): Promise<Permission[]> {
      const held = executor.selectFrom('role_permissions').select('permission_id').where('role_id', '=', roleId)
      return prefixPage(selectPermission(executor).where('permissions.id', 'in', held), BY_KEY, page).execute()
    },

    /** What an account holds without a role, in the order of keys. */
    async pageOfAccount(executor: Executor, accountId: string, page: PrefixPage): Promise<Permission[]> {
      const held = executor
        .selectFrom('account_permissions')
        .select('permission_id')
        .where('account_id', '=', accountId)
      return prefixPage(selectPermission(executor).where('permissions.id', 'in', held), BY_KEY, page).execute()
    },

    /** Undefined when there is one with this key. */
    async insert(
      executor: Executor,
      permission: { key: string; description: string; resourceId: string | null },
    ): Promise<{ id: string } | undefined> {
      const { key, description, resourceId } = permission
      return executor
        .insertInto('permissions')
        .values({ id: uuidv7(), key, description, resource_id: resourceId })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('id')
        .executeTakeFirst()
    },

    async update(
      executor: Executor,
      id: string,
      { description, resourceId }: { description: string; resourceId: string | null },
    ): Promise<void> {
      await executor
        .updateTable('permissions')
        .set({ description, resource_id: resourceId, updated_at: new Date() })
        .where('id', '=', id)
        .execute()
    },

    /** Also from every role and account that holds it. */
    async remove(executor: Executor, id: string): Promise<void> {
      await executor.deleteFrom('permissions').where('id', '=', id).execute()
    },

    /** False when the account has it already. Throws SQLSTATE 23503 when there is no such account. */
    async give(executor: Executor, accountId: string, permissionId: string): Promise<boolean> {
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('account_permissions')
        .values({ account_id: accountId, permission_id: permissionId })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      return written === 1n
    },

    /** False when the account did not have it. */
    async take(executor: Executor, accountId: string, permissionId: string): Promise<boolean> {
      const { numDeletedRows } = await executor
        .deleteFrom('account_permissions')
        .where('account_id', '=', accountId)
        .where('permission_id', '=', permissionId)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },

    /** The ids of the accounts that hold it without a role, oldest first. */
    async holders(executor: Executor, permissionId: string, { after, limit }: Batch): Promise<string[]> {
      const query = executor
        .selectFrom('account_permissions')
        .select('account_id')
        .where('permission_id', '=', permissionId)
      const batch = after === undefined ? query : query.where('account_id', '>', after)
      return (await batch.orderBy('account_id').limit(limit).execute()).map((row) => row.account_id)
    },

    async countHolders(executor: Executor, permissionId: string): Promise<number> {
      const row = await executor
        .selectFrom('account_permissions')
        .select(sql<string>`count(*)`.as('count'))
        .where('permission_id', '=', permissionId)
        .executeTakeFirstOrThrow()
      return Number(row.count)
    },

    /** The roles that hold it themselves, sorted by key. */
    async roles(executor: Executor, permissionId: string): Promise<{ id: string; key: string }[]> {
      return executor
        .selectFrom('role_permissions')
        .innerJoin('roles', 'roles.id', 'role_permissions.role_id')
        .select(['roles.id', 'roles.key'])
        .where('role_permissions.permission_id', '=', permissionId)
        .orderBy('roles.key')
        .execute()
    },

    /** The ids of all roles that reach it, also by the roles they include. */
    async reachingRoleIds(executor: Executor, permissionId: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('role_permissions')
        .innerJoin('role_closure', 'role_closure.included_id', 'role_permissions.role_id')
        .select('role_closure.role_id as id')
        .distinct()
        .where('role_permissions.permission_id', '=', permissionId)
        .execute()
      return rows.map(({ id }) => id)
    },
  }
}

const BY_KEY = { column: 'permissions.key', id: 'permissions.id' }

const selectPermission = (executor: Executor) =>
  executor
    .selectFrom('permissions')
    .leftJoin('resources', 'resources.id', 'permissions.resource_id')
    .select([
      'permissions.id',
      'permissions.key',
      'permissions.description',
      'resources.key as resource',
      'permissions.created_at as createdAt',
      'permissions.updated_at as updatedAt',
    ])
