/** What the API tells of permissions, roles and resources. */
import type { Permission } from './permission.ts'
import type { Resource } from './resource.ts'
import type { Role } from './role.ts'

export const presentPermission = ({ id, key, description, resource, createdAt, updatedAt }: Permission) => ({
  id,
  key,
  description,
  resource,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})

export const presentRole = ({ id, key, description, isSystem, createdAt, updatedAt }: Role) => ({
  id,
  key,
  description,
  is_system: isSystem,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})

export const presentResource = (resource: Resource) => ({
  id: resource.id,
  key: resource.key,
  description: resource.description,
  audience: resource.audience,
  permissions_claim: resource.permissionsClaim,
  created_at: resource.createdAt.toISOString(),
  updated_at: resource.updatedAt.toISOString(),
})
