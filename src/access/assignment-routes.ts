/** /api/v1/accounts/{id}/roles and /permissions: what an account is given. */
import { sendLinked, sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import type { Need } from '../http/gatekeeper.ts'
import { keyPageOf } from '../http/pagination.ts'
import type { Access } from './access.ts'
import { ACCOUNTS_ADMIN, PERMISSIONS_ADMIN } from './permission.ts'
import { presentPermission, presentRole } from './presentation.ts'
import { ADMIN, BY_KEY, CEILING, IN_ORDER, idOf, LINK } from './route-words.ts'
import * as schemas from './schemas.ts'

const ACCOUNT = '/api/v1/accounts/{id}'
const ADMIN_OR_SELF: Need = { permissions: [PERMISSIONS_ADMIN, ACCOUNTS_ADMIN], self: 'id' }
const TAG = 'Accounts'
const PARAMS = { id: idOf('The id of the account.') }

export function mountAccountRoles(api: Api, { assignments }: Pick<Access, 'assignments'>): void {
  const path = `${ACCOUNT}/roles`

  api.add(
    {
      id: 'listAccountRoles',
      method: 'get',
      path,
      tag: TAG,
      summary: 'List the roles assigned to an account',
      description: `Without \`user\`, which every account has, and without those of its teams. ${IN_ORDER}`,
      who: ADMIN_OR_SELF,
      params: PARAMS,
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
      tag: TAG,
      summary: 'Assign a role to an account',
      description: `Whoever assigns it holds all that it holds, and all that the account holds. ${LINK}`,
      who: ADMIN,
      params: PARAMS,
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
      tag: TAG,
      summary: 'Take a role from an account',
      who: ADMIN,
      params: { ...PARAMS, role_id: idOf('The id of the role.') },
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

export function mountAccountPermissions(api: Api, { assignments }: Pick<Access, 'assignments'>): void {
  const path = `${ACCOUNT}/permissions`

  api.add(
    {
      id: 'listAccountPermissions',
      method: 'get',
      path,
      tag: TAG,
      summary: 'List what an account holds without a role',
      description: IN_ORDER,
      who: ADMIN_OR_SELF,
      params: PARAMS,
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
      tag: TAG,
      summary: 'Give a permission to an account',
      description: `Whoever gives it holds it, and all that the account holds. ${LINK}`,
      who: ADMIN,
      params: PARAMS,
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
      tag: TAG,
      summary: 'Take a permission from an account',
      description: 'What it holds by roles it goes on holding.',
      who: ADMIN,
      params: { ...PARAMS, permission_id: idOf('The id of the permission.') },
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
