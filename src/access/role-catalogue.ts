/** Which permissions and roles there are: the base set of every installation, and what a declarative file adds. */
import { AppError } from '../errors.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { inTransaction } from '../storage/transaction.ts'
import { BASE_PERMISSIONS, checkKeyAndDescription, type PermissionInput } from './permission.ts'
import type { PermissionStore } from './permission-store.ts'
import { BASE_ROLES, checkRole, isSystemRole, type Role, type RoleInput } from './role.ts'
import type { RoleStore } from './role-store.ts'

export interface RoleCatalogueDeps {
  db: Database
  roles: RoleStore
  permissions: PermissionStore
}

export type Outcome = 'created' | 'changed' | 'unchanged'

export function createRoleCatalogue({ db, roles, permissions }: RoleCatalogueDeps) {
  const within = <T>(executor: Executor | undefined, work: (executor: Executor) => Promise<T>): Promise<T> =>
    executor ? work(executor) : inTransaction(db, work)

  /** Adds what is missing and leaves alone what an operator has changed since. */
  const initialize = (): Promise<{ created: string[] }> =>
    inTransaction(db, async (executor) => {
      const created: string[] = []
      for (const permission of BASE_PERMISSIONS) {
        if (await permissions.insert(executor, permission)) created.push(permission.key)
      }
      for (const { key, description, permissions: held } of BASE_ROLES) {
        if (await roles.insert(executor, { key, description, isSystem: true })) created.push(key)
        const role = await locked(executor, key)
        await roles.addPermissions(executor, role.id, await idsOf(executor, held))
      }
      return { created }
    })

  async function ensurePermission(input: PermissionInput, executor?: Executor): Promise<Outcome> {
    checkKeyAndDescription(input)
    const { key, description } = input
    return within(executor, async (transaction) => {
      if (await permissions.insert(transaction, { key, description: description ?? '' })) return 'created'
      if (description === undefined) return 'unchanged'
      return (await permissions.describe(transaction, key, description)) ? 'changed' : 'unchanged'
    })
  }

  async function ensureRole(input: RoleInput, executor?: Executor): Promise<Outcome> {
    checkRole(input)
    const { key, description = '', permissions: held } = input
    return within(executor, async (transaction) => {
      const isNew = await roles.insert(transaction, { key, description, isSystem: isSystemRole(key) })
      const role = await locked(transaction, key)
      const isRenamed = input.description !== undefined && input.description !== role.description
      if (isRenamed) await roles.describe(transaction, role.id, description)
      const isRefilled = held !== undefined && (await replacePermissions(transaction, role.id, held))
      if (isNew) return 'created'
      return isRenamed || isRefilled ? 'changed' : 'unchanged'
    })
  }

  async function replacePermissions(executor: Executor, roleId: string, keys: readonly string[]): Promise<boolean> {
    const wanted = await idsOf(executor, keys)
    const held = await roles.permissionIds(executor, roleId)
    const added = wanted.filter((id) => !held.includes(id))
    const dropped = held.filter((id) => !wanted.includes(id))
    await roles.addPermissions(executor, roleId, added)
    await roles.removePermissions(executor, roleId, dropped)
    return added.length + dropped.length > 0
  }

  async function idsOf(executor: Executor, keys: readonly string[]): Promise<string[]> {
    const found = await permissions.findByKeys(executor, keys)
    const missing = keys.filter((key) => !found.some((permission) => permission.key === key))
    if (missing.length === 0) return found.map(({ id }) => id)
    throw new AppError('bad_request', 400, `There is no permission ${missing.join(', ')}.`, {
      faults: missing.map((key) => ({ pointer: '/permissions', message: `holds the unknown permission ${key}` })),
    })
  }

  async function locked(executor: Executor, key: string): Promise<Role> {
    const role = await roles.lockByKey(executor, key)
    if (!role) throw new Error(`the role ${key} vanished inside its transaction`)
    return role
  }

  async function requireRoles(keys: readonly string[], executor: Executor): Promise<void> {
    const missing: string[] = []
    for (const key of keys) {
      const isThere = BASE_ROLES.some((role) => role.key === key) || (await roles.findByKey(executor, key))
      if (!isThere) missing.push(key)
    }
    if (missing.length === 0) return
    throw new AppError('bad_request', 400, `There is no role ${missing.join(', ')}.`, {
      faults: missing.map((key) => ({ pointer: '/roles', message: `holds the unknown role ${key}` })),
    })
  }

  return {
    /** The base permissions and system roles. Repeatable, also by two servers at once; answers what was missing. */
    initialize,

    /** For a declarative file. Throws bad_request (400). Without an executor in a transaction of its own. */
    ensurePermission,

    /** Like ensurePermission; throws bad_request (400) for unknown permissions, conflict (409) for a weak superuser. */
    ensureRole,

    /** Throws bad_request (400) naming what is no role. The system roles count before they are there. */
    requireRoles,
  }
}
