/** /api/v1/roles/{id}/permissions and /includes: what a role holds itself, and which others it includes. */
import { sendLinked, sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import { keyPageOf } from '../http/pagination.ts'
import type { Access } from './access.ts'
import { presentPermission, presentRole } from './presentation.ts'
import { ADMIN, BY_KEY, CEILING, IN_ORDER, idOf, LINK } from './route-words.ts'
import * as schemas from './schemas.ts'

const ROLE = '/api/v1/roles/{id}'
const TAG = 'Roles'

export function mountRolePermissions(api: Api, { roles }: Pick<Access, 'roles'>): void {
  const path = `${ROLE}/permissions`

  api.add(
    {
      id: 'listRolePermissions',
      method: 'get',
      path,
      tag: TAG,
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
      tag: TAG,
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
      tag: TAG,
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

export function mountRoleIncludes(api: Api, { roles }: Pick<Access, 'roles'>): void {
  const path = `${ROLE}/includes`

  api.add(
    {
      id: 'listRoleIncludes',
      method: 'get',
      path,
      tag: TAG,
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
      tag: TAG,
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
      tag: TAG,
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
