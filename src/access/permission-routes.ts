/** /api/v1/permissions. */
import { sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import { keyPageOf } from '../http/pagination.ts'
import type { Access } from './access.ts'
import type { Permission } from './permission.ts'
import { presentPermission } from './presentation.ts'
import { ADMIN, BY_KEY, FORCE, IN_ORDER, KEY_TAKEN } from './route-words.ts'
import * as schemas from './schemas.ts'

const PERMISSIONS = '/api/v1/permissions'

export function mountPermissions(api: Api, { permissions }: Pick<Access, 'permissions'>): void {
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
