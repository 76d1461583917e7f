/**
 * Who may do what: permissions, the roles that hold them, and the accounts that hold the roles. Accounts belong to
 * their own room, which asks `refuseLastSuperuser` before one goes.
 */
import type { Database, Executor } from '../storage/tables.ts'
import type { PermissionStore } from './permission-store.ts'
import type { Role } from './role.ts'
import { createRoleAssignment } from './role-assignment.ts'
import { createRoleCatalogue } from './role-catalogue.ts'
import type { RoleStore } from './role-store.ts'

export interface AccessDeps {
  db: Database
  roles: RoleStore
  permissions: PermissionStore
}

export type Access = ReturnType<typeof createAccess>

/** The verbs of role-catalogue.ts and role-assignment.ts. */
export const createAccess = ({ db, roles, permissions }: AccessDeps) => ({
  ...createRoleCatalogue({ db, roles, permissions }),
  ...createRoleAssignment({ db, roles }),

  /** Undefined when there is no such role. */
  findRoleByKey: (executor: Executor, key: string): Promise<Role | undefined> => roles.findByKey(executor, key),

  /** The keys of all permissions that a role reaches, with the roles it includes: what a giver of it must hold. */
  permissionKeysOfRole: (executor: Executor, roleId: string): Promise<string[]> =>
    roles.permissionKeys(executor, roleId),
})
