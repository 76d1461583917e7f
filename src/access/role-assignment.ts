/** Which account has which role, and which permissions it holds without one. The roles themselves are in roles.ts. */
import { type Actor, OPERATOR } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { onePageByKey } from '../http/pagination.ts'
import { isUuid } from '../ids.ts'
import type { PrefixPage } from '../storage/prefix-page.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { sqlState } from '../storage/transaction.ts'
import type { AccessChanges, Change } from './access-change.ts'
import type { Permission } from './permission.ts'
import type { PermissionStore } from './permission-store.ts'
import { lastSuperuser, notFound, unknownKey } from './refusals.ts'
import { NON_REGISTERED, type Role, SUPERUSER, USER } from './role.ts'
import type { RoleGraphStore } from './role-graph-store.ts'
import type { RoleStore } from './role-store.ts'
import type { Linked } from './roles.ts'

export interface RoleAssignmentDeps {
  db: Database
  changes: AccessChanges
  roles: RoleStore
  graph: RoleGraphStore
  permissions: PermissionStore
}

const MAX_HOLDERS = 1000
const FOREIGN_KEY_VIOLATION = '23503'

export type Assignments = ReturnType<typeof createRoleAssignment>['assignments']

export function createRoleAssignment({ db, changes, roles, graph, permissions }: RoleAssignmentDeps) {
  async function rolesOf(accountId: string): Promise<string[]> {
    const assigned = isUuid(accountId) ? await roles.keysOfAccount(db, accountId) : []
    return [...new Set([...assigned, USER])].sort()
  }

  /** The account may go while it is given something. */
  async function changeAccount<T>(actor: Actor, accountId: string, work: (change: Change) => Promise<T>): Promise<T> {
    const checked = async (change: Change) => {
      await requireAccount(change.executor, accountId)
      await change.requireOver(accountId)
      return work(change)
    }
    try {
      return await changes.change(actor, checked)
    } catch (error) {
      throw withoutAccount(error)
    }
  }

  const assign = (actor: Actor, accountId: string, roleKey: string): Promise<Linked<Role>> =>
    changeAccount(actor, accountId, (change) => assignWithin(change, accountId, roleKey))

  async function assignWithin(change: Change, accountId: string, roleKey: string): Promise<Linked<Role>> {
    const role = await roles.findByKey(change.executor, roleKey)
    if (!role) throw unknownKey('role', roleKey)
    if (role.key === USER || role.key === NON_REGISTERED) throw notAssignable(role.key)
    await change.requireHolds(await graph.permissionKeys(change.executor, role.id))
    const isNew = await roles.assign(change.executor, accountId, role.id)
    if (isNew) await note(change, accountId, 'account.role_assigned', { after: { role: role.key } })
    return { linked: role, isNew }
  }

  const unassign = (actor: Actor, accountId: string, roleId: string): Promise<void> =>
    changeAccount(actor, accountId, async (change) => {
      const role = isUuid(roleId) ? await roles.findById(change.executor, roleId) : undefined
      const wasThere = role !== undefined && (await unassignWithin(change, accountId, role))
      if (!wasThere) throw notFound('role')
    })

  async function unassignWithin(change: Change, accountId: string, role: Role): Promise<boolean> {
    const { executor } = change
    await change.requireHolds(await graph.permissionKeys(executor, role.id))
    if (role.key === SUPERUSER) await refuseLastSuperuser(executor, accountId)
    if (!(await roles.unassign(executor, accountId, role.id))) return false
    await note(change, accountId, 'account.role_removed', { before: { role: role.key } })
    return true
  }

  const give = (actor: Actor, accountId: string, permissionKey: string): Promise<Linked<Permission>> =>
    changeAccount(actor, accountId, async (change) => {
      const permission = await permissions.findByKey(change.executor, permissionKey)
      if (!permission) throw unknownKey('permission', permissionKey)
      await change.requireHolds([permission.key])
      const isNew = await permissions.give(change.executor, accountId, permission.id)
      if (isNew) await note(change, accountId, 'account.permission_given', { after: { permission: permission.key } })
      return { linked: permission, isNew }
    })

  const take = (actor: Actor, accountId: string, permissionId: string): Promise<void> =>
    changeAccount(actor, accountId, async (change) => {
      const { executor } = change
      const permission = isUuid(permissionId) ? await permissions.findById(executor, permissionId) : undefined
      if (!permission) throw notFound('permission')
      await change.requireHolds([permission.key])
      if (!(await permissions.take(executor, accountId, permission.id))) throw notFound('permission')
      await note(change, accountId, 'account.permission_taken', { before: { permission: permission.key } })
    })

  async function note(
    change: Change,
    accountId: string,
    action: `account.${string}`,
    what: { before?: object; after?: object },
  ): Promise<void> {
    change.touch('account', accountId)
    await change.record({ action, target: { kind: 'account', id: accountId }, ...what })
  }

  async function assignRole(accountId: string, roleKey: string, executor?: Executor): Promise<void> {
    if (!isUuid(accountId)) throw notFound('account')
    const work = async (change: Change) => {
      const role = await roles.findByKey(change.executor, roleKey)
      if (!role) throw notFound('role')
      await assignWithin(change, accountId, roleKey)
    }
    try {
      await (executor ? changes.within(executor, OPERATOR, work) : changes.change(OPERATOR, work))
    } catch (error) {
      throw withoutAccount(error)
    }
  }

  async function removeRole(accountId: string, roleKey: string): Promise<void> {
    if (!isUuid(accountId)) return
    await changes.change(OPERATOR, async (change) => {
      const role = await roles.findByKey(change.executor, roleKey)
      if (!role) throw notFound('role')
      await unassignWithin(change, accountId, role)
    })
  }

  async function refuseLastSuperuser(executor: Executor, accountId: string): Promise<void> {
    if (!isUuid(accountId)) return
    const held = await roles.keysOfAccount(executor, accountId)
    if (!held.includes(SUPERUSER)) return
    // Two superusers who remove each other at the same moment: the second waits here and then finds himself alone.
    await roles.lockByKey(executor, SUPERUSER)
    const holders = await roles.activeHolders(executor, SUPERUSER, 2)
    if (holders.some((id) => id !== accountId)) return
    throw lastSuperuser()
  }

  async function requireAccount(executor: Executor, accountId: string): Promise<void> {
    if (!isUuid(accountId) || !(await roles.hasAccount(executor, accountId))) throw notFound('account')
  }

  return {
    /** The keys of the roles that an account was assigned, and of `user`, which every account has; sorted. */
    rolesOf,

    /**
     * By whoever works on the server's own machine. Repeatable. Throws not_found (404) for an unknown role or account,
     * conflict (409) for a role that nobody is given.
     */
    assignRole,

    /** Like assignRole; throws conflict (409) for the last active superuser. */
    removeRole,

    /** Throws conflict (409) when the account is the only active superuser. For the transaction that would end it. */
    refuseLastSuperuser,

    /** The ids of active accounts that the role is assigned to, oldest first; `user` is assigned to none. */
    holdersOf: (roleKey: string, limit = 20): Promise<string[]> =>
      roles.activeHolders(db, roleKey, Math.min(Math.max(limit, 1), MAX_HOLDERS)),

    /** By an actor, who gives and takes only what he holds, and nothing to or from an account that holds more than he. */
    assignments: {
      /** Assigned roles in the order of keys, without `user`. Throws not_found (404). */
      async listRoles(accountId: string, page: PrefixPage) {
        await requireAccount(db, accountId)
        return onePageByKey(await roles.pageOfAccount(db, accountId, oneMore(page)), page.limit)
      },

      /** What the account holds without a role, in the order of keys. Throws not_found (404). */
      async listPermissions(accountId: string, page: PrefixPage) {
        await requireAccount(db, accountId)
        return onePageByKey(await permissions.pageOfAccount(db, accountId, oneMore(page)), page.limit)
      },

      /**
       * Repeatable. Throws not_found (404) for an unknown account, bad_request (400) for an unknown role, conflict (409)
       * for a role that nobody is given, forbidden (403).
       */
      assign,

      /** Throws not_found (404) when the account does not have it, conflict (409) for the last superuser, forbidden. */
      unassign,

      /** Repeatable. Throws not_found (404), bad_request (400) for an unknown permission, forbidden (403). */
      give,

      /** Throws not_found (404) when the account does not hold it by itself, forbidden (403). */
      take,
    },
  }
}

const oneMore = (page: PrefixPage): PrefixPage => ({ ...page, limit: page.limit + 1 })

const notAssignable = (roleKey: string) =>
  new AppError('conflict', 409, `The role ${roleKey} is assigned to nobody.`, {
    faults: [{ pointer: '/role', message: 'is not for accounts to be given' }],
  })

const withoutAccount = (error: unknown): unknown =>
  sqlState(error) === FOREIGN_KEY_VIOLATION ? notFound('account') : error
