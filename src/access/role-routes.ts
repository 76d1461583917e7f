/** /api/v1/roles. What is in a role has the routes of role-content-routes.ts. */
import { sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import { keyPageOf } from '../http/pagination.ts'
import type { Access } from './access.ts'
import { presentRole } from './presentation.ts'
import type { Role } from './role.ts'
import { ADMIN, BY_KEY, CEILING, FORCE, IN_ORDER, KEY_TAKEN } from './route-words.ts'
import * as schemas from './schemas.ts'

const ROLES = '/api/v1/roles'

export function mountRoles(api: Api, { roles }: Pick<Access, 'roles'>): void {
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
