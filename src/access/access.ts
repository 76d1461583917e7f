/**
 * Who may do what: permissions and the resources they belong to, roles that hold permissions and include roles, and what
 * accounts are given of both. Accounts belong to their own room, which asks `refuseLastSuperuser` before one goes.
 */
import type { Database, Executor } from '../storage/tables.ts'
import type { AccessChanges } from './access-change.ts'
import { changingBy } from './change-by.ts'
import type { PermissionStore } from './permission-store.ts'
import { createPermissions } from './permissions.ts'
import type { ResourceStore } from './resource-store.ts'
import { createResources } from './resources.ts'
import type { Role } from './role.ts'
import { createRoleAssignment } from './role-assignment.ts'
import { createRoleCatalogue } from './role-catalogue.ts'
import type { RoleGraphStore } from './role-graph-store.ts'
import type { RoleStore } from './role-store.ts'
import { createRoles } from './roles.ts'

export interface AccessDeps {
  db: Database
  changes: AccessChanges
  stores: { roles: RoleStore; graph: RoleGraphStore; permissions: PermissionStore; resources: ResourceStore }
}

export type Access = ReturnType<typeof createAccess>

/** The use cases by noun, and beside them the verbs of role-catalogue.ts and role-assignment.ts. */
export function createAccess({ db, changes, stores }: AccessDeps) {
  const changeBy = changingBy(changes)
  const permissions = createPermissions({ db, changeBy, ...stores })
  const resources = createResources({ db, changeBy, ...stores })
  const roles = createRoles({ db, changeBy, ...stores })
  return {
    ...{ permissions, resources, roles },
    ...createRoleCatalogue({ changes, stores, permissions, resources, roles }),
    ...createRoleAssignment({ db, changes, ...stores }),

    /** Undefined when there is no such role. */
    findRoleByKey: (executor: Executor, key: string): Promise<Role | undefined> =>
      stores.roles.findByKey(executor, key),

    /** The keys of all permissions that a role reaches, with the roles it includes: what a giver of it must hold. */
    permissionKeysOfRole: (executor: Executor, roleId: string): Promise<string[]> =>
      stores.graph.permissionKeys(executor, roleId),
  }
}
