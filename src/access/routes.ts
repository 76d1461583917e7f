/** The writing side of access, file by file, in the order in which the description of the API lists it. */
import type { Api } from '../http/api.ts'
import type { Access } from './access.ts'
import { mountAccountPermissions, mountAccountRoles } from './assignment-routes.ts'
import { mountPermissions } from './permission-routes.ts'
import { mountResources } from './resource-routes.ts'
import { mountRoleIncludes, mountRolePermissions } from './role-content-routes.ts'
import { mountRoles } from './role-routes.ts'

export type AccessRoutesDeps = Pick<Access, 'permissions' | 'roles' | 'resources' | 'assignments'>

/** Adds the routes of permissions, roles and their contents, resources, and what accounts are given. */
export function mountAccess(api: Api, access: AccessRoutesDeps): void {
  mountPermissions(api, access)
  mountRoles(api, access)
  mountRolePermissions(api, access)
  mountRoleIncludes(api, access)
  mountResources(api, access)
  mountAccountRoles(api, access)
  mountAccountPermissions(api, access)
}
