/** The permissions there are. Which roles hold them is in roles.ts, which accounts in role-assignment.ts. */

import { AppError } from '../errors.ts'
import { onePageByKey } from '../http/pagination.ts'
import { isUuid } from '../ids.ts'
import type { PrefixPage } from '../storage/prefix-page.ts'
import type { Database, Executor } from '../storage/tables.ts'
import type { Change } from './access-change.ts'
import type { By, ChangeBy } from './change-by.ts'
import { checkKeyAndDescription, isBasePermission, type Permission, type PermissionInput } from './permission.ts'
import type { PermissionStore } from './permission-store.ts'
import { presentPermission } from './presentation.ts'
import { inUse, isUsed, keyTaken, MAX_NAMED, notFound, type Usage, unknownKey } from './refusals.ts'
import type { ResourceStore } from './resource-store.ts'
import { touchAll } from './touching.ts'

export interface PermissionsDeps {
  db: Database
  changeBy: ChangeBy
  permissions: PermissionStore
  resources: ResourceStore
}

/** Members left out stay as they are. */
export interface PermissionPatch {
  description?: string
  resource?: string | null
}

export type Permissions = ReturnType<typeof createPermissions>

export function createPermissions({ db, changeBy, permissions, resources }: PermissionsDeps) {
  const create = async (by: By, input: PermissionInput): Promise<Permission> => {
    checkKeyAndDescription(input)
    return changeBy(by, async (change) => {
      const { key, description = '', resource = null } = input
      const resourceId = await resourceIdOf(change.executor, resource)
      const inserted = await permissions.insert(change.executor, { key, description, resourceId })
      if (!inserted) throw keyTaken('permission', key)
      const created = await existing(change.executor, inserted.id)
      if (resourceId !== null) change.touch('resource', resourceId)
      await change.record({ action: 'permission.created', target: target(created), after: presentPermission(created) })
      return created
    })
  }

  const patch = (
    by: By,
    id: string,
    wanted: PermissionPatch,
    mayChange: (before: Permission) => void = () => undefined,
  ): Promise<Permission> =>
    changeBy(by, async (change) => {
      const before = await existing(change.executor, id)
      mayChange(before)
      const { key, description, resource } = { ...before, ...wanted }
      if (description === before.description && resource === before.resource) return before
      checkKeyAndDescription({ key, description })
      await requireOverHolders(change, before)
      const resourceId = await resourceIdOf(change.executor, resource)
      await permissions.update(change.executor, id, { description, resourceId })
      if (resource !== before.resource) await touchResources(change, [before.resource, resource])
      const after = await existing(change.executor, id)
      await change.record({
        action: 'permission.changed',
        target: target(after),
        before: presentPermission(before),
        after: presentPermission(after),
      })
      return after
    })

  const remove = (by: By, id: string, { force = false } = {}): Promise<void> =>
    changeBy(by, async (change) => {
      const { executor } = change
      const permission = await existing(executor, id)
      if (isBasePermission(permission.key)) {
        throw new AppError('conflict', 409, `The permission ${permission.key} belongs to every installation.`)
      }
      const usage = await requireOverHolders(change, permission)
      if (isUsed(usage) && !force) throw inUse('permission', usage)
      for (const roleId of await permissions.reachingRoleIds(executor, id)) change.touch('role', roleId)
      await touchAll(change, 'account', (batch) => permissions.holders(executor, id, batch))
      await touchResources(change, [permission.resource])
      await permissions.remove(executor, id)
      const before = presentPermission(permission)
      await change.record({ action: 'permission.deleted', target: target(permission), before })
    })

  /** What somebody holds is changed only by who holds it too. */
  async function requireOverHolders(change: Change, { id, key }: Permission): Promise<Usage> {
    const usage = await usageOf(change.executor, id)
    if (isUsed(usage)) await change.requireHolds([key])
    return usage
  }

  async function usageOf(executor: Executor, id: string): Promise<Usage> {
    const roles = await permissions.roles(executor, id)
    const count = await permissions.countHolders(executor, id)
    const ids = await permissions.holders(executor, id, { limit: MAX_NAMED })
    return { roles: roles.map(({ key }) => key), teams: [], accounts: { count, ids } }
  }

  async function resourceIdOf(executor: Executor, key: string | null): Promise<string | null> {
    if (key === null) return null
    const resource = await resources.findByKey(executor, key)
    if (!resource) throw unknownKey('resource', key)
    return resource.id
  }

  async function touchResources(change: Change, keys: readonly (string | null)[]): Promise<void> {
    for (const key of keys) {
      const id = await resourceIdOf(change.executor, key)
      if (id !== null) change.touch('resource', id)
    }
  }

  async function existing(executor: Executor, id: string): Promise<Permission> {
    const permission = isUuid(id) ? await permissions.findById(executor, id) : undefined
    if (!permission) throw notFound('permission')
    return permission
  }

  return {
    /** Throws not_found (404). */
    find: (id: string): Promise<Permission> => existing(db, id),

    findByKey: (key: string): Promise<Permission | undefined> => permissions.findByKey(db, key),

    /** In the order of keys. */
    list: async (page: PrefixPage) =>
      onePageByKey(await permissions.page(db, { ...page, limit: page.limit + 1 }), page.limit),

    /** Throws bad_request (400), also for an unknown resource, and conflict (409) when the key is taken. */
    create,

    /**
     * Changes the description or the resource. `mayChange` sees the permission as it is when it is changed, and throws to
     * leave it so. Throws not_found (404), bad_request (400), forbidden (403) when it is held by somebody but not by the
     * actor.
     */
    change: patch,

    /**
     * Throws not_found (404), conflict (409) for a base permission, in_use (409) naming who holds it unless forced,
     * forbidden (403) when it is held by somebody but not by the actor.
     */
    remove,
  }
}

const target = ({ id }: Permission) => ({ kind: 'permission', id }) as const
