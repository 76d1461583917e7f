/** The permissions table. */
import { uuidv7 } from '../ids.ts'
import type { Executor } from '../storage/tables.ts'
import type { Permission } from './permission.ts'

export type PermissionStore = ReturnType<typeof createPermissionStore>

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createPermissionStore() {
  return {
    async findByKeys(executor: Executor, keys: readonly string[]): Promise<Permission[]> {
      if (keys.length === 0) return []
      return executor.selectFrom('permissions').select(['id', 'key', 'description']).where('key', 'in', keys).execute()
    },

    /** False when there is one with this key. */
    async insert(executor: Executor, permission: { key: string; description: string }): Promise<boolean> {
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('permissions')
        .values({ id: uuidv7(), ...permission })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .executeTakeFirst()
      return written === 1n
    },

    /** False when it says so already. */
    async describe(executor: Executor, key: string, description: string): Promise<boolean> {
      const { numUpdatedRows } = await executor
        .updateTable('permissions')
        .set({ description })
        .where('key', '=', key)
        .where('description', '!=', description)
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },
  }
}
