/** Who holds which role. The roles themselves are in role-catalogue.ts. */
import { AppError } from '../errors.ts'
import { isUuid } from '../ids.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { inTransaction, sqlState } from '../storage/transaction.ts'
import { NON_REGISTERED, type Role, SUPERUSER, USER } from './role.ts'
import type { RoleStore } from './role-store.ts'

export interface RoleAssignmentDeps {
  db: Database
  roles: RoleStore
}

const MAX_HOLDERS = 1000
const FOREIGN_KEY_VIOLATION = '23503'

export function createRoleAssignment({ db, roles }: RoleAssignmentDeps) {
  async function rolesOf(accountId: string): Promise<string[]> {
    const assigned = isUuid(accountId) ? await roles.keysOfAccount(db, accountId) : []
    return [...new Set([...assigned, USER])].sort()
  }

  async function assignRole(accountId: string, roleKey: string, executor?: Executor): Promise<void> {
    if (roleKey === NON_REGISTERED) throw new AppError('conflict', 409, `No account can hold the role ${roleKey}.`)
    if (!isUuid(accountId)) throw notFound('account')
    const assign = async (within: Executor) => {
      const role = await existing(roles.findByKey(within, roleKey))
      await roles.assign(within, accountId, role.id)
    }
    try {
      await (executor ? assign(executor) : inTransaction(db, assign))
    } catch (error) {
      throw sqlState(error) === FOREIGN_KEY_VIOLATION ? notFound('account') : error
    }
  }

  async function removeRole(accountId: string, roleKey: string): Promise<void> {
    if (!isUuid(accountId)) return
    await inTransaction(db, async (executor) => {
      if (roleKey === SUPERUSER) await refuseLastSuperuser(executor, accountId)
      const role = await existing(roles.findByKey(executor, roleKey))
      await roles.unassign(executor, accountId, role.id)
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
    throw new AppError('conflict', 409, 'This is the last superuser. Make somebody else one first.')
  }

  return {
    /** The keys of the account's roles, sorted, for token claims. Every account is a `user`. */
    rolesOf,

    /** Repeatable. Throws not_found (404) for an unknown role or account. */
    assignRole,

    /** Repeatable. Throws not_found (404) for an unknown role, conflict (409) for the last active superuser. */
    removeRole,

    /** Throws conflict (409) when the account is the only active superuser. For the transaction that would end it. */
    refuseLastSuperuser,

    /** The ids of active accounts that the role is assigned to, oldest first; `user` is assigned to none. */
    holdersOf: (roleKey: string, limit = 20): Promise<string[]> =>
      roles.activeHolders(db, roleKey, Math.min(Math.max(limit, 1), MAX_HOLDERS)),
  }
}

async function existing(found: Promise<Role | undefined>): Promise<Role> {
  const role = await found
  if (!role) throw notFound('role')
  return role
}

const notFound = (what: 'account' | 'role') => new AppError('not_found', 404, `There is no such ${what}.`)
