/** Bodies and answers of permissions, roles, resources and what accounts are given, as JSON Schema and as types. */
import { type BodySchema, INSTANT, objectOf, pageSchemaOf } from '../http/schema.ts'
import { DESCRIPTION, KEY } from './key-schema.ts'

const UUID = { type: 'string', format: 'uuid' }
const RESOURCE_KEY = {
  type: ['string', 'null'],
  minLength: 1,
  maxLength: 100,
  description: 'The key of the resource it belongs to; null for none.',
}
const AUDIENCE = {
  type: ['string', 'null'],
  minLength: 1,
  maxLength: 500,
  description: 'The `aud` of tokens for its resource server: an absolute URI without a fragment; null for none.',
}
const PERMISSIONS_CLAIM = {
  type: 'boolean',
  description: 'Whether tokens for the audience carry the permissions that belong to its resources.',
}

const body = (properties: BodySchema['properties'], required: readonly string[] = []): BodySchema => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
})

export const permission = objectOf(
  {
    id: UUID,
    key: KEY,
    description: DESCRIPTION,
    resource: RESOURCE_KEY,
    created_at: INSTANT,
    updated_at: INSTANT,
  },
  'Permission',
)
export const permissionPage = pageSchemaOf(permission)

export interface NewPermissionBody {
  key: string
  description?: string
  resource?: string | null
}
export const newPermissionBody = body({ key: KEY, description: DESCRIPTION, resource: RESOURCE_KEY }, ['key'])

export type PermissionChangeBody = Omit<NewPermissionBody, 'key'>
export const permissionChangeBody = body({ description: DESCRIPTION, resource: RESOURCE_KEY })

export const role = objectOf(
  {
    id: UUID,
    key: KEY,
    description: DESCRIPTION,
    is_system: { type: 'boolean', description: 'Whether it belongs to every installation and cannot be deleted.' },
    created_at: INSTANT,
    updated_at: INSTANT,
  },
  'Role',
)
export const rolePage = pageSchemaOf(role)

export interface NewRoleBody {
  key: string
  description?: string
}
export const newRoleBody = body({ key: KEY, description: DESCRIPTION }, ['key'])

export interface RoleChangeBody {
  description?: string
}
export const roleChangeBody = body({ description: DESCRIPTION })

export const resource = objectOf(
  {
    id: UUID,
    key: KEY,
    description: DESCRIPTION,
    audience: AUDIENCE,
    permissions_claim: PERMISSIONS_CLAIM,
    created_at: INSTANT,
    updated_at: INSTANT,
  },
  'Resource',
)
export const resourcePage = pageSchemaOf(resource)

export interface NewResourceBody {
  key: string
  description?: string
  audience?: string | null
  permissions_claim?: boolean
}
export const newResourceBody = body(
  { key: KEY, description: DESCRIPTION, audience: AUDIENCE, permissions_claim: PERMISSIONS_CLAIM },
  ['key'],
)

export type ResourceChangeBody = Omit<NewResourceBody, 'key'>
export const resourceChangeBody = body({
  description: DESCRIPTION,
  audience: AUDIENCE,
  permissions_claim: PERMISSIONS_CLAIM,
})

export interface PermissionLinkBody {
  permission: string
}
export const permissionLinkBody = body({ permission: { ...KEY, description: 'The key of a permission.' } }, [
  'permission',
])

export interface RoleLinkBody {
  role: string
}
export const roleLinkBody = body({ role: { ...KEY, description: 'The key of a role.' } }, ['role'])
