/**
 * Who may do what: permissions, the roles that hold them, and the accounts that hold the roles. Accounts belong to
 * their own room, which asks `refuseLastSuperuser` before one goes.
 */
import type { Database } from '../storage/tables.ts'
import type { PermissionStore } from './permission-store.ts'
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
})
