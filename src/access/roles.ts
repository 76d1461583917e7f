/** The roles there are, the permissions they hold and the roles they include. Who has which is in role-assignment.ts. */
import { AppError } from '../errors.ts'
import { onePageByKey } from '../http/pagination.ts'
import { isUuid } from '../ids.ts'
import type { PrefixPage } from '../storage/prefix-page.ts'
import type { Database, Executor } from '../storage/tables.ts'
import type { Change } from './access-change.ts'
import type { By, ChangeBy } from './change-by.ts'
import { ALL_ALL, checkKeyAndDescription, type Permission } from './permission.ts'
import type { PermissionStore } from './permission-store.ts'
import { presentRole } from './presentation.ts'
import { inUse, isUsed, keyTaken, MAX_NAMED, notFound, type Usage, unknownKey } from './refusals.ts'
import { isSystemRole, type Role, SUPERUSER } from './role.ts'
import type { RoleGraphStore } from './role-graph-store.ts'
import type { RoleStore } from './role-store.ts'
import { touchAll } from './touching.ts'

export interface RolesDeps {
  db: Database
  changeBy: ChangeBy
  roles: RoleStore
  graph: RoleGraphStore
  permissions: PermissionStore
}

/** What a link was made to, and whether it is new. */
export interface Linked<T> {
  linked: T
  isNew: boolean
}

export type Roles = ReturnType<typeof createRoles>

export function createRoles({ db, changeBy, roles, graph, permissions }: RolesDeps) {
  const create = async (by: By, input: { key: string; description?: string }): Promise<Role> => {
    checkKeyAndDescription(input)
    return changeBy(by, async (change) => {
      const { key, description = '' } = input
      const inserted = await roles.insert(change.executor, { key, description, isSystem: isSystemRole(key) })
      if (!inserted) throw keyTaken('role', key)
      const created = await existing(change.executor, inserted.id)
      await change.record({ action: 'role.created', target: target(created), after: presentRole(created) })
      return created
    })
  }

  const patch = (
    by: By,
    id: string,
    { description }: { description?: string },
    mayChange: (before: Role) => void = () => undefined,
  ): Promise<Role> =>
    changeBy(by, async (change) => {
      const before = await changeable(change, id)
      mayChange(before)
      if (description === undefined || description === before.description) return before
      checkKeyAndDescription({ key: before.key, description })
      await roles.describe(change.executor, id, description)
      const after = await existing(change.executor, id)
      await change.record({
        action: 'role.changed',
        target: target(after),
        before: presentRole(before),
        after: presentRole(after),
      })
      return after
    })

  const remove = (by: By, id: string, { force = false } = {}): Promise<void> =>
    changeBy(by, async (change) => {
      const { executor } = change
      const role = await changeable(change, id)
      if (role.isSystem) throw new AppError('conflict', 409, `The role ${role.key} belongs to every installation.`)
      const teams = await roles.teams(executor, id)
      const usage = await usageOf(executor, id, teams)
      if (isUsed(usage) && !force) throw inUse('role', usage)
      const reaching = await graph.reaching(executor, id)
      for (const roleId of reaching) change.touch('role', roleId)
      for (const team of teams) change.touch('team', team.id)
      await touchAll(change, 'account', (batch) => roles.holders(executor, id, batch))
      await roles.remove(executor, id)
      await graph.flatten(
        executor,
        reaching.filter((roleId) => roleId !== id),
      )
      await change.record({ action: 'role.deleted', target: target(role), before: presentRole(role) })
    })

  const addPermission = (by: By, id: string, permissionKey: string): Promise<Linked<Permission>> =>
    changeBy(by, async (change) => {
      const role = await changeable(change, id)
      const permission = await permissions.findByKey(change.executor, permissionKey)
      if (!permission) throw unknownKey('permission', permissionKey)
      await change.requireHolds([permission.key])
      const isNew = (await roles.addPermissions(change.executor, id, [permission.id])) > 0
      if (isNew) await note(change, role, 'role.permission_added', { after: { permission: permission.key } })
      return { linked: permission, isNew }
    })

  const removePermission = (by: By, id: string, permissionId: string): Promise<void> =>
    changeBy(by, async (change) => {
      const role = await changeable(change, id)
      const permission = isUuid(permissionId) ? await permissions.findById(change.executor, permissionId) : undefined
      if (!permission) throw notFound('permission')
      if (role.key === SUPERUSER && permission.key === ALL_ALL) {
        throw new AppError('conflict', 409, `The role ${SUPERUSER} always holds ${ALL_ALL}.`)
      }
      if ((await roles.removePermissions(change.executor, id, [permission.id])) === 0) throw notFound('permission')
      await note(change, role, 'role.permission_removed', { before: { permission: permission.key } })
    })

  const include = (by: By, id: string, roleKey: string): Promise<Linked<Role>> =>
    changeBy(by, async (change) => {
      const { executor } = change
      const role = await changeable(change, id)
      const included = await roles.findByKey(executor, roleKey)
      if (!included) throw unknownKey('role', roleKey)
      await change.requireHolds(await graph.permissionKeys(executor, included.id))
      if (await graph.reaches(executor, included.id, id)) throw cycle(role, included)
      const isNew = await graph.include(executor, id, included.id)
      if (isNew) await note(change, role, 'role.included', { after: { role: included.key } })
      return { linked: included, isNew }
    })

  const exclude = (by: By, id: string, includedId: string): Promise<void> =>
    changeBy(by, async (change) => {
      const role = await changeable(change, id)
      const included = isUuid(includedId) ? await roles.findById(change.executor, includedId) : undefined
      const wasThere = included !== undefined && (await graph.exclude(change.executor, id, included.id))
      if (!wasThere) throw notFound('role')
      await note(change, role, 'role.excluded', { before: { role: included.key } })
    })

  /** The contents have changed: of the role, and of every role that reaches it. */
  async function note(
    change: Change,
    role: Role,
    action: `role.${string}`,
    what: { before?: object; after?: object },
  ): Promise<void> {
    for (const roleId of await graph.reaching(change.executor, role.id)) change.touch('role', roleId)
    await change.record({ action, target: target(role), ...what })
  }

  /** Nobody edits a role that reaches more than they hold. */
  async function changeable(change: Change, id: string): Promise<Role> {
    const role = await existing(change.executor, id)
    await change.requireHolds(await graph.permissionKeys(change.executor, id))
    return role
  }

  async function usageOf(executor: Executor, id: string, teams: readonly { key: string }[]): Promise<Usage> {
    const count = await roles.countHolders(executor, id)
    const ids = await roles.holders(executor, id, { limit: MAX_NAMED })
    const including = await graph.includingKeys(executor, id)
    return { roles: including, teams: teams.map(({ key }) => key), accounts: { count, ids } }
  }

  async function existing(executor: Executor, id: string): Promise<Role> {
    const role = isUuid(id) ? await roles.findById(executor, id) : undefined
    if (!role) throw notFound('role')
    return role
  }

  return {
    /** Throws not_found (404). */
    find: (id: string): Promise<Role> => existing(db, id),

    findByKey: (key: string): Promise<Role | undefined> => roles.findByKey(db, key),

    /** The keys of all it holds, with the roles it includes, sorted. Throws not_found (404). */
    async combinedPermissions(id: string): Promise<string[]> {
      await existing(db, id)
      return (await graph.permissionKeys(db, id)).sort()
    },

    /** In the order of keys. */
    list: async (page: PrefixPage) => onePageByKey(await roles.page(db, oneMore(page)), page.limit),

    /** What the role holds itself, in the order of keys. Throws not_found (404). */
    async listPermissions(id: string, page: PrefixPage) {
      await existing(db, id)
      return onePageByKey(await permissions.pageOfRole(db, id, oneMore(page)), page.limit)
    },

    /** The roles it includes itself, in the order of keys. Throws not_found (404). */
    async listIncludes(id: string, page: PrefixPage) {
      await existing(db, id)
      return onePageByKey(await graph.page(db, id, oneMore(page)), page.limit)
    },

    /** A role that holds nothing yet. Throws bad_request (400), conflict (409) when the key is taken. */
    create,

    /**
     * Changes the description. `mayChange` sees the role as it is when it is changed, and throws to leave it so. Throws
     * not_found (404), bad_request (400); forbidden (403), as every edit does, when the role reaches more than the actor.
     */
    change: patch,

    /** Throws not_found (404), conflict (409) for a system role, in_use (409) naming who has it unless forced, forbidden. */
    remove,

    /** Repeatable. Throws not_found (404), bad_request (400) for an unknown permission, forbidden (403) for one beyond. */
    addPermission,

    /** Throws not_found (404), conflict (409) for what a superuser always holds, forbidden (403). */
    removePermission,

    /** Repeatable. Throws not_found (404), bad_request (400) for an unknown role, cycle (409), forbidden (403). */
    include,

    /** Throws not_found (404), forbidden (403). */
    exclude,
  }
}

const oneMore = (page: PrefixPage): PrefixPage => ({ ...page, limit: page.limit + 1 })

const cycle = (role: Role, included: Role) =>
  new AppError('cycle', 409, `The role ${included.key} is or includes ${role.key} itself.`, {
    faults: [{ pointer: '/role', message: 'would close a cycle' }],
  })

const target = ({ id }: Role) => ({ kind: 'role', id }) as const
