/** /api/v1/permissions, /roles and /resources, and what accounts are given: the writing side of access. */
import type { Context } from 'koa'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import type { Need } from '../http/gatekeeper.ts'
import { type CursorValue, KEY_CURSOR, keyPageOf, pageOf } from '../http/pagination.ts'
import type { Parameter } from '../http/route.ts'
import type { Access } from './access.ts'
import { ACCOUNTS_ADMIN, PERMISSIONS_ADMIN, type Permission } from './permission.ts'
import { presentPermission, presentResource, presentRole } from './presentation.ts'
import type { Resource, ResourceInput } from './resource.ts'
import type { Role } from './role.ts'
import type { Linked } from './roles.ts'
import * as schemas from './schemas.ts'

export type AccessRoutesDeps = Pick<Access, 'permissions' | 'roles' | 'resources' | 'assignments'>

const PERMISSIONS = '/api/v1/permissions'
const ROLES = '/api/v1/roles'
const RESOURCES = '/api/v1/resources'
const ACCOUNT = '/api/v1/accounts/{id}'

const ADMIN: Need = { permissions: [PERMISSIONS_ADMIN] }
const ADMIN_OR_SELF: Need = { permissions: [PERMISSIONS_ADMIN, ACCOUNTS_ADMIN], self: 'id' }

const BY_KEY = { cursor: KEY_CURSOR, search: 'What keys begin with, in upper or lower case alike.' }
const IN_ORDER = 'In the order of their keys.'
const CEILING = 'It would give, take or change permissions that you do not hold; they are named.'
const KEY_TAKEN = 'The key is taken.'
const LINK = 'Repeatable: 201 when it is new, 200 when it was there already.'
const UUID = { type: 'string', format: 'uuid' }
const FORCE: Parameter = {
  description: 'Take it from everybody who has it.',
  schema: { enum: ['true', 'false'] },
}

const idOf = (description: string): Parameter => ({ description, schema: UUID })

export function mountAccess(api: Api, access: AccessRoutesDeps): void {
  mountPermissions(api, access)
  mountRoles(api, access)
  mountRolePermissions(api, access)
  mountRoleIncludes(api, access)
  mountResources(api, access)
  mountAccountRoles(api, access)
  mountAccountPermissions(api, access)
}

function sendPage<T>(
  ctx: Context,
  { items, next }: { items: readonly T[]; next: readonly CursorValue[] | undefined },
  present: (item: T) => object,
): void {
  ctx.set('Cache-Control', 'no-store')
  ctx.body = pageOf(items.map(present), next)
}

function sendLinked<T>(ctx: Context, { linked, isNew }: Linked<T>, present: (item: T) => object): void {
  ctx.status = isNew ? 201 : 200
  ctx.set('Cache-Control', 'no-store')
  ctx.body = present(linked)
}

function mountPermissions(api: Api, { permissions }: AccessRoutesDeps): void {
  const tag = 'Permissions'
  const not_found = 'There is no such permission.'

  api.add(
    {
      id: 'listPermissions',
      method: 'get',
      path: PERMISSIONS,
      tag,
      summary: 'List permissions',
      description: IN_ORDER,
      who: ADMIN,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.permissionPage } },
    },
    async function listPermissions(ctx, { page }) {
      sendPage(ctx, await permissions.list(keyPageOf(page)), presentPermission)
    },
  )

  api.add<schemas.NewPermissionBody>(
    {
      id: 'createPermission',
      method: 'post',
      path: PERMISSIONS,
      tag,
      summary: 'Create a permission',
      description:
        'Nobody holds it yet. Nobody gives what they do not hold, so the first to give it, to a role or an account, ' +
        'must hold `all_all`.',
      who: ADMIN,
      body: schemas.newPermissionBody,
      idempotent: true,
      answers: { 201: { description: 'The permission.', schema: schemas.permission } },
      errors: { conflict: KEY_TAKEN },
    },
    async function createPermission(ctx, { caller, body }) {
      const permission = await permissions.create(caller.actor, body)
      sendCreated(ctx, `${PERMISSIONS}/${permission.id}`, presentPermission(permission))
    },
  )

  api.add(
    {
      id: 'readPermission',
      method: 'get',
      path: `${PERMISSIONS}/{id}`,
      tag,
      summary: 'Read a permission',
      who: ADMIN,
      answers: { 200: { description: 'The permission.', schema: schemas.permission } },
      errors: { not_found },
    },
    async function readPermission(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentPermission(await permissions.find(id)))
    },
  )

  api.add<schemas.PermissionChangeBody>(
    {
      id: 'changePermission',
      method: 'patch',
      path: `${PERMISSIONS}/{id}`,
      tag,
      summary: 'Change a permission',
      description: 'Its description or its resource; a key never changes.',
      who: ADMIN,
      body: schemas.permissionChangeBody,
      ifMatch: true,
      answers: { 200: { description: 'The permission as it is now.', schema: schemas.permission } },
      errors: { not_found, forbidden: 'Somebody holds it and you do not.' },
    },
    async function changePermission(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const check = (before: Permission) => checkIfMatch(ifMatch, presentPermission(before))
      sendWithEtag(ctx, presentPermission(await permissions.change(caller.actor, id, body, check)))
    },
  )

  api.add(
    {
      id: 'deletePermission',
      method: 'delete',
      path: `${PERMISSIONS}/{id}`,
      tag,
      summary: 'Delete a permission',
      who: ADMIN,
      query: { force: FORCE },
      answers: { 204: { description: 'It is gone.' } },
      errors: {
        not_found,
        forbidden: 'Somebody holds it and you do not.',
        conflict: 'It belongs to every installation.',
        in_use: 'Roles or accounts hold it, and `force` was not said; they are named.',
      },
    },
    async function deletePermission(ctx, { caller, params: { id = '' }, query }) {
      await permissions.remove(caller.actor, id, { force: query.force === 'true' })
      ctx.status = 204
    },
  )
}

function mountRoles(api: Api, { roles }: AccessRoutesDeps): void {
  const tag = 'Roles'
  const not_found = 'There is no such role.'

  api.add(
    {
      id: 'listRoles',
      method: 'get',
      path: ROLES,
      tag,
      summary: 'List roles',
      description: IN_ORDER,
      who: ADMIN,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.rolePage } },
    },
    async function listRoles(ctx, { page }) {
      sendPage(ctx, await roles.list(keyPageOf(page)), presentRole)
    },
  )

  api.add<schemas.NewRoleBody>(
    {
      id: 'createRole',
      method: 'post',
      path: ROLES,
      tag,
      summary: 'Create a role',
      description: 'It holds nothing yet: add permissions, or include other roles.',
      who: ADMIN,
      body: schemas.newRoleBody,
      idempotent: true,
      answers: { 201: { description: 'The role.', schema: schemas.role } },
      errors: { conflict: KEY_TAKEN },
    },
    async function createRole(ctx, { caller, body }) {
      const role = await roles.create(caller.actor, body)
      sendCreated(ctx, `${ROLES}/${role.id}`, presentRole(role))
    },
  )

  api.add(
    {
      id: 'readRole',
      method: 'get',
      path: `${ROLES}/{id}`,
      tag,
      summary: 'Read a role',
      who: ADMIN,
      answers: { 200: { description: 'The role.', schema: schemas.role } },
      errors: { not_found },
    },
    async function readRole(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentRole(await roles.find(id)))
    },
  )

  api.add<schemas.RoleChangeBody>(
    {
      id: 'changeRole',
      method: 'patch',
      path: `${ROLES}/{id}`,
      tag,
      summary: 'Change the description of a role',
      description: 'A key never changes.',
      who: ADMIN,
      body: schemas.roleChangeBody,
      ifMatch: true,
      answers: { 200: { description: 'The role as it is now.', schema: schemas.role } },
      errors: { not_found, forbidden: CEILING },
    },
    async function changeRole(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const check = (before: Role) => checkIfMatch(ifMatch, presentRole(before))
      sendWithEtag(ctx, presentRole(await roles.change(caller.actor, id, body, check)))
    },
  )

  api.add(
    {
      id: 'deleteRole',
      method: 'delete',
      path: `${ROLES}/{id}`,
      tag,
      summary: 'Delete a role',
      who: ADMIN,
      query: { force: FORCE },
      answers: { 204: { description: 'It is gone.' } },
      errors: {
        not_found,
        forbidden: CEILING,
        conflict: 'It belongs to every installation.',
        in_use: 'Accounts, teams or other roles have it, and `force` was not said; they are named.',
      },
    },
    async function deleteRole(ctx, { caller, params: { id = '' }, query }) {
      await roles.remove(caller.actor, id, { force: query.force === 'true' })
      ctx.status = 204
    },
  )
}

function mountRolePermissions(api: Api, { roles }: AccessRoutesDeps): void {
  const path = `${ROLES}/{id}/permissions`
  const tag = 'Roles'

  api.add(
    {
      id: 'listRolePermissions',
      method: 'get',
      path,
      tag,
      summary: 'List what a role holds itself',
      description: `Without what it holds by the roles it includes. ${IN_ORDER}`,
      who: ADMIN,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.permissionPage } },
      errors: { not_found: 'There is no such role.' },
    },
    async function listRolePermissions(ctx, { params: { id = '' }, page }) {
      sendPage(ctx, await roles.listPermissions(id, keyPageOf(page)), presentPermission)
    },
  )

  api.add<schemas.PermissionLinkBody>(
    {
      id: 'addRolePermission',
      method: 'post',
      path,
      tag,
      summary: 'Add a permission to a role',
      description: `Whoever has the role, or one that includes it, holds it at once. ${LINK}`,
      who: ADMIN,
      body: schemas.permissionLinkBody,
      answers: {
        200: { description: 'The permission, which the role held already.', schema: schemas.permission },
        201: { description: 'The permission.', schema: schemas.permission },
      },
      errors: { not_found: 'There is no such role.', forbidden: CEILING },
    },
    async function addRolePermission(ctx, { caller, params: { id = '' }, body }) {
      sendLinked(ctx, await roles.addPermission(caller.actor, id, body.permission), presentPermission)
    },
  )

  api.add(
    {
      id: 'removeRolePermission',
      method: 'delete',
      path: `${path}/{permission_id}`,
      tag,
      summary: 'Remove a permission from a role',
      who: ADMIN,
      params: { permission_id: idOf('The id of the permission.') },
      answers: { 204: { description: 'The role no longer holds it.' } },
      errors: {
        not_found: 'There is no such role, or it does not hold the permission itself.',
        forbidden: CEILING,
        conflict: 'The role `superuser` always holds `all_all`.',
      },
    },
    async function removeRolePermission(ctx, { caller, params: { id = '', permission_id = '' } }) {
      await roles.removePermission(caller.actor, id, permission_id)
      ctx.status = 204
    },
  )
}

function mountRoleIncludes(api: Api, { roles }: AccessRoutesDeps): void {
  const path = `${ROLES}/{id}/includes`
  const tag = 'Roles'

  api.add(
    {
      id: 'listRoleIncludes',
      method: 'get',
      path,
      tag,
      summary: 'List the roles that a role includes itself',
      description: IN_ORDER,
      who: ADMIN,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.rolePage } },
      errors: { not_found: 'There is no such role.' },
    },
    async function listRoleIncludes(ctx, { params: { id = '' }, page }) {
      sendPage(ctx, await roles.listIncludes(id, keyPageOf(page)), presentRole)
    },
  )

  api.add<schemas.RoleLinkBody>(
    {
      id: 'includeRole',
      method: 'post',
      path,
      tag,
      summary: 'Include another role',
      description: `The role holds whatever the included one holds, now and later. ${LINK}`,
      who: ADMIN,
      body: schemas.roleLinkBody,
      answers: {
        200: { description: 'The role, which was included already.', schema: schemas.role },
        201: { description: 'The included role.', schema: schemas.role },
      },
      errors: {
        not_found: 'There is no such role.',
        forbidden: CEILING,
        cycle: 'The other role is this one, or includes it over however many others.',
      },
    },
    async function includeRole(ctx, { caller, params: { id = '' }, body }) {
      sendLinked(ctx, await roles.include(caller.actor, id, body.role), presentRole)
    },
  )

  api.add(
    {
      id: 'excludeRole',
      method: 'delete',
      path: `${path}/{role_id}`,
      tag,
      summary: 'Include a role no longer',
      who: ADMIN,
      params: { role_id: idOf('The id of the included role.') },
      answers: { 204: { description: 'It is no longer included.' } },
      errors: { not_found: 'There is no such role, or it does not include the other itself.', forbidden: CEILING },
    },
    async function excludeRole(ctx, { caller, params: { id = '', role_id = '' } }) {
      await roles.exclude(caller.actor, id, role_id)
      ctx.status = 204
    },
  )
}

function mountResources(api: Api, { resources }: AccessRoutesDeps): void {
  const tag = 'Resources'
  const not_found = 'There is no such resource.'

  api.add(
    {
      id: 'listResources',
      method: 'get',
      path: RESOURCES,
      tag,
      summary: 'List resources',
      description: IN_ORDER,
      who: ADMIN,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.resourcePage } },
    },
    async function listResources(ctx, { page }) {
      sendPage(ctx, await resources.list(keyPageOf(page)), presentResource)
    },
  )

  api.add<schemas.NewResourceBody>(
    {
      id: 'createResource',
      method: 'post',
      path: RESOURCES,
      tag,
      summary: 'Create a resource',
      description: 'A protected kind of thing that permissions belong to, and the audience of its resource server.',
      who: ADMIN,
      body: schemas.newResourceBody,
      idempotent: true,
      answers: { 201: { description: 'The resource.', schema: schemas.resource } },
      errors: { conflict: KEY_TAKEN },
    },
    async function createResource(ctx, { caller, body: { key, ...rest } }) {
      const resource = await resources.create(caller.actor, { key, ...resourceOf(rest) })
      sendCreated(ctx, `${RESOURCES}/${resource.id}`, presentResource(resource))
    },
  )

  api.add(
    {
      id: 'readResource',
      method: 'get',
      path: `${RESOURCES}/{id}`,
      tag,
      summary: 'Read a resource',
      who: ADMIN,
      answers: { 200: { description: 'The resource.', schema: schemas.resource } },
      errors: { not_found },
    },
    async function readResource(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentResource(await resources.find(id)))
    },
  )

  api.add<schemas.ResourceChangeBody>(
    {
      id: 'changeResource',
      method: 'patch',
      path: `${RESOURCES}/{id}`,
      tag,
      summary: 'Change a resource',
      description: 'A key never changes.',
      who: ADMIN,
      body: schemas.resourceChangeBody,
      ifMatch: true,
      answers: { 200: { description: 'The resource as it is now.', schema: schemas.resource } },
      errors: { not_found },
    },
    async function changeResource(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const check = (before: Resource) => checkIfMatch(ifMatch, presentResource(before))
      sendWithEtag(ctx, presentResource(await resources.change(caller.actor, id, resourceOf(body), check)))
    },
  )

  api.add(
    {
      id: 'deleteResource',
      method: 'delete',
      path: `${RESOURCES}/{id}`,
      tag,
      summary: 'Delete a resource',
      who: ADMIN,
      answers: { 204: { description: 'It is gone.' } },
      errors: { not_found, in_use: 'Permissions belong to it; they are named.' },
    },
    async function deleteResource(ctx, { caller, params: { id = '' } }) {
      await resources.remove(caller.actor, id)
      ctx.status = 204
    },
  )
}

function resourceOf({ permissions_claim: claim, ...rest }: schemas.ResourceChangeBody): Omit<ResourceInput, 'key'> {
  return { ...rest, ...(claim === undefined ? {} : { permissionsClaim: claim }) }
}

function mountAccountRoles(api: Api, { assignments }: AccessRoutesDeps): void {
  const path = `${ACCOUNT}/roles`
  const tag = 'Accounts'
  const params = { id: idOf('The id of the account.') }

  api.add(
    {
      id: 'listAccountRoles',
      method: 'get',
      path,
      tag,
      summary: 'List the roles assigned to an account',
      description: `Without \`user\`, which every account has, and without those of its teams. ${IN_ORDER}`,
      who: ADMIN_OR_SELF,
      params,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.rolePage } },
      errors: { not_found: 'There is no such account.' },
    },
    async function listAccountRoles(ctx, { params: { id = '' }, page }) {
      sendPage(ctx, await assignments.listRoles(id, keyPageOf(page)), presentRole)
    },
  )

  api.add<schemas.RoleLinkBody>(
    {
      id: 'assignRole',
      method: 'post',
      path,
      tag,
      summary: 'Assign a role to an account',
      description: `Whoever assigns it holds all that it holds, and all that the account holds. ${LINK}`,
      who: ADMIN,
      params,
      body: schemas.roleLinkBody,
      answers: {
        200: { description: 'The role, which the account had already.', schema: schemas.role },
        201: { description: 'The role.', schema: schemas.role },
      },
      errors: {
        not_found: 'There is no such account.',
        forbidden: CEILING,
        conflict: 'The role is `user`, which every account has, or `non_registered`, which none has.',
      },
    },
    async function assignRole(ctx, { caller, params: { id = '' }, body }) {
      sendLinked(ctx, await assignments.assign(caller.actor, id, body.role), presentRole)
    },
  )

  api.add(
    {
      id: 'unassignRole',
      method: 'delete',
      path: `${path}/{role_id}`,
      tag,
      summary: 'Take a role from an account',
      who: ADMIN,
      params: { ...params, role_id: idOf('The id of the role.') },
      answers: { 204: { description: 'The account no longer has it.' } },
      errors: {
        not_found: 'There is no such account, or it does not have the role.',
        forbidden: CEILING,
        conflict: 'The account is the last superuser.',
      },
    },
    async function unassignRole(ctx, { caller, params: { id = '', role_id = '' } }) {
      await assignments.unassign(caller.actor, id, role_id)
      ctx.status = 204
    },
  )
}

function mountAccountPermissions(api: Api, { assignments }: AccessRoutesDeps): void {
  const path = `${ACCOUNT}/permissions`
  const tag = 'Accounts'
  const params = { id: idOf('The id of the account.') }

  api.add(
    {
      id: 'listAccountPermissions',
      method: 'get',
      path,
      tag,
      summary: 'List what an account holds without a role',
      description: IN_ORDER,
      who: ADMIN_OR_SELF,
      params,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.permissionPage } },
      errors: { not_found: 'There is no such account.' },
    },
    async function listAccountPermissions(ctx, { params: { id = '' }, page }) {
      sendPage(ctx, await assignments.listPermissions(id, keyPageOf(page)), presentPermission)
    },
  )

  api.add<schemas.PermissionLinkBody>(
    {
      id: 'givePermission',
      method: 'post',
      path,
      tag,
      summary: 'Give a permission to an account',
      description: `Whoever gives it holds it, and all that the account holds. ${LINK}`,
      who: ADMIN,
      params,
      body: schemas.permissionLinkBody,
      answers: {
        200: { description: 'The permission, which the account held already.', schema: schemas.permission },
        201: { description: 'The permission.', schema: schemas.permission },
      },
      errors: { not_found: 'There is no such account.', forbidden: CEILING },
    },
    async function givePermission(ctx, { caller, params: { id = '' }, body }) {
      sendLinked(ctx, await assignments.give(caller.actor, id, body.permission), presentPermission)
    },
  )

  api.add(
    {
      id: 'takePermission',
      method: 'delete',
      path: `${path}/{permission_id}`,
      tag,
      summary: 'Take a permission from an account',
      description: 'What it holds by roles it goes on holding.',
      who: ADMIN,
      params: { ...params, permission_id: idOf('The id of the permission.') },
      answers: { 204: { description: 'The account no longer holds it by itself.' } },
      errors: {
        not_found: 'There is no such account, or it does not hold the permission without a role.',
        forbidden: CEILING,
      },
    },
    async function takePermission(ctx, { caller, params: { id = '', permission_id = '' } }) {
      await assignments.take(caller.actor, id, permission_id)
      ctx.status = 204
    },
  )
}
