/** What the server's own machine sees to: the base set of every installation, and what a declarative file adds. */
import { OPERATOR, SYSTEM } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import type { Executor } from '../storage/tables.ts'
import type { AccessChanges, Change } from './access-change.ts'
import { BASE_PERMISSIONS, checkKeyAndDescription, type PermissionInput } from './permission.ts'
import type { PermissionStore } from './permission-store.ts'
import type { Permissions } from './permissions.ts'
import { checkResource, type ResourceInput } from './resource.ts'
import type { ResourceStore } from './resource-store.ts'
import type { Resources } from './resources.ts'
import { BASE_ROLES, checkRole, NON_REGISTERED, type Role, type RoleInput } from './role.ts'
import type { RoleGraphStore } from './role-graph-store.ts'
import type { RoleStore } from './role-store.ts'
import type { Roles } from './roles.ts'

export interface RoleCatalogueDeps {
  changes: AccessChanges
  stores: { roles: RoleStore; graph: RoleGraphStore; permissions: PermissionStore; resources: ResourceStore }
  roles: Roles
  permissions: Permissions
  resources: Resources
}

export type Outcome = 'created' | 'changed' | 'unchanged'

interface Keyed {
  id: string
  key: string
}

interface Stored {
  id: string
  updatedAt: Date
}

export function createRoleCatalogue({ changes, stores, roles, permissions, resources }: RoleCatalogueDeps) {
  const asOperator = <T>(executor: Executor | undefined, work: (change: Change) => Promise<T>): Promise<T> =>
    executor ? changes.within(executor, OPERATOR, work) : changes.change(OPERATOR, work)

  /** Adds what is missing and leaves alone what an operator has changed since. */
  const initialize = (executor?: Executor): Promise<{ created: string[] }> =>
    executor ? changes.within(executor, SYSTEM, addBaseSet) : changes.change(SYSTEM, addBaseSet)

  async function addBaseSet(change: Change): Promise<{ created: string[] }> {
    const created: string[] = []
    for (const base of BASE_PERMISSIONS) {
      if (await stores.permissions.findByKey(change.executor, base.key)) continue
      created.push((await permissions.create(change, base)).key)
    }
    for (const { permissions: held, ...base } of BASE_ROLES) {
      const found = await stores.roles.findByKey(change.executor, base.key)
      const role = found ?? (await roles.create(change, base))
      if (!found) created.push(role.key)
      for (const key of held) await roles.addPermission(change, role.id, key)
    }
    return { created }
  }

  const ensurePermission = async (input: PermissionInput, executor?: Executor): Promise<Outcome> => {
    checkKeyAndDescription(input)
    return asOperator(executor, (change) => bring(change, input, stores.permissions, permissions))
  }

  const ensureResource = async (input: ResourceInput, executor?: Executor): Promise<Outcome> => {
    checkResource(input)
    return asOperator(executor, (change) => bring(change, input, stores.resources, resources))
  }

  async function ensureRole(input: RoleInput, executor?: Executor): Promise<Outcome> {
    checkRole(input)
    return asOperator(executor, async (change) => {
      const { key, description, permissions: held, includes } = input
      const before = await stores.roles.findByKey(change.executor, key)
      const role =
        before ?? (await roles.create(change, { key, ...(description === undefined ? {} : { description }) }))
      const isRedescribed = description !== undefined && description !== role.description
      if (isRedescribed) await roles.change(change, role.id, { description })
      const isRefilled = held !== undefined && (await replacePermissions(change, role, held))
      const isRelinked = includes !== undefined && (await replaceIncludes(change, role, includes))
      if (!before) return 'created'
      return isRedescribed || isRefilled || isRelinked ? 'changed' : 'unchanged'
    })
  }

  async function dropIncludes({ key, includes }: RoleInput, executor?: Executor): Promise<Outcome> {
    return asOperator(executor, async (change) => {
      const role = includes && (await stores.roles.findByKey(change.executor, key))
      if (!role) return 'unchanged'
      const wanted = await stores.roles.findByKeys(change.executor, includes)
      return (await excludeOthers(change, role, wanted)) ? 'changed' : 'unchanged'
    })
  }

  async function replacePermissions(change: Change, role: Role, keys: readonly string[]): Promise<boolean> {
    const { executor } = change
    const wanted = allOf('permission', keys, await stores.permissions.findByKeys(executor, keys))
    const held = await stores.roles.permissionIds(executor, role.id)
    const added = wanted.filter(({ id }) => !held.includes(id))
    const dropped = held.filter((id) => !wanted.some((permission) => permission.id === id))
    for (const { key } of added) await roles.addPermission(change, role.id, key)
    for (const id of dropped) await roles.removePermission(change, role.id, id)
    return added.length + dropped.length > 0
  }

  /** What goes goes first, so that a file may turn an edge round. */
  async function replaceIncludes(change: Change, role: Role, keys: readonly string[]): Promise<boolean> {
    const { executor } = change
    const wanted = allOf('role', keys, await stores.roles.findByKeys(executor, keys), '/includes')
    const included = await stores.graph.includedIds(executor, role.id)
    const added = wanted.filter(({ id }) => !included.includes(id))
    const isCut = await excludeOthers(change, role, wanted)
    for (const { key } of added) await roles.include(change, role.id, key).catch(refuseAsInclude)
    return isCut || added.length > 0
  }

  async function excludeOthers(change: Change, role: Role, wanted: readonly Role[]): Promise<boolean> {
    const included = await stores.graph.includedIds(change.executor, role.id)
    const dropped = included.filter((id) => !wanted.some((other) => other.id === id))
    for (const id of dropped) await roles.exclude(change, role.id, id)
    return dropped.length > 0
  }

  async function requireRoles(keys: readonly string[], executor: Executor): Promise<void> {
    const unbased = keys.filter((key) => !BASE_ROLES.some((role) => role.key === key))
    allOf('role', unbased, await stores.roles.findByKeys(executor, unbased))
    if (!keys.includes(NON_REGISTERED)) return
    throw new AppError('conflict', 409, `The role ${NON_REGISTERED} is assigned to nobody.`, {
      faults: [{ pointer: '/roles', message: `holds ${NON_REGISTERED}, which is not for accounts to be given` }],
    })
  }

  async function requirePermissions(keys: readonly string[], executor: Executor): Promise<void> {
    allOf('permission', keys, await stores.permissions.findByKeys(executor, keys))
  }

  return {
    /**
     * The base permissions and system roles; without an executor in a transaction of its own. Repeatable, also by two
     * servers at once; answers what was missing.
     */
    initialize,

    /**
     * For a declarative file; without an executor in a transaction of its own. Throws bad_request (400), also for an
     * unknown resource.
     */
    ensurePermission,

    /** Like ensurePermission. */
    ensureResource,

    /**
     * Like ensurePermission; throws bad_request (400) for unknown permissions and roles, conflict (409) for a weak
     * superuser, cycle (409).
     */
    ensureRole,

    /**
     * Takes from a role what it includes and by its description no longer does. For a file whose roles could not be
     * brought into their places one after the other as long as old edges stand.
     */
    dropIncludes,

    /**
     * Throws bad_request (400) naming what is no role, conflict (409) for one that no account is given. The system roles
     * count before they are there.
     */
    requireRoles,

    /** Throws bad_request (400) naming what is no permission. */
    requirePermissions,
  }
}

/** How a noun is found and written by those who describe it. */
interface Finding {
  findByKey(executor: Executor, key: string): Promise<Stored | undefined>
}
interface Writing<Input extends { key: string }> {
  create(by: Change, input: Input): Promise<unknown>
  change(by: Change, id: string, wanted: Omit<Input, 'key'>): Promise<Stored>
}

/** Makes what has no such key yet, and changes what has it to be as described. */
async function bring<Input extends { key: string }>(
  change: Change,
  input: Input,
  store: Finding,
  verbs: Writing<Input>,
): Promise<Outcome> {
  const { key, ...wanted } = input
  const before = await store.findByKey(change.executor, key)
  if (before) return outcomeOf(before, await verbs.change(change, before.id, wanted))
  await verbs.create(change, input)
  return 'created'
}

/** A body of the API names one role, a description of a role many. */
function refuseAsInclude(error: unknown): never {
  if (!(error instanceof AppError && error.code === 'cycle')) throw error
  const faults = error.faults.map(({ message }) => ({ pointer: '/includes', message }))
  throw new AppError('cycle', 409, error.message, { cause: error, faults })
}

/** A change that changes nothing answers what was. */
const outcomeOf = (before: Stored, after: Stored): Outcome =>
  before.updatedAt.getTime() === after.updatedAt.getTime() ? 'unchanged' : 'changed'

/** Throws bad_request (400) naming every key that names nothing. */
function allOf<T extends Keyed>(
  noun: 'permission' | 'role',
  keys: readonly string[],
  found: readonly T[],
  pointer = `/${noun}s`,
): readonly T[] {
  const missing = keys.filter((key) => !found.some((item) => item.key === key))
  if (missing.length === 0) return found
  throw new AppError('bad_request', 400, `There is no ${noun} ${missing.join(', ')}.`, {
    faults: missing.map((key) => ({ pointer, message: `holds the unknown ${noun} ${key}` })),
  })
}
