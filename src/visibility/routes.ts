/** /api/v1/visibility_groups: the tree of groups and who is in which. /api/v1/visibility: who sees what is whose. */
import { ACCOUNTS_ADMIN, PERMISSIONS_ADMIN, TEAMS_ADMIN } from '../access/permission.ts'
import { sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import type { Need } from '../http/gatekeeper.ts'
import { KEY_CURSOR, keyPageOf, uuidOf } from '../http/pagination.ts'
import { presentGroup, presentGroupMember } from './presentation.ts'
import * as schemas from './schemas.ts'
import type { Visibility } from './visibility.ts'
import { LEVELS, type Level } from './visibility-decision.ts'

export interface VisibilityRoutesDeps {
  visibility: Visibility
}

const PATH = '/api/v1/visibility_groups'
const TAG = 'Visibility groups'
const ADMIN: Need = { permissions: [TEAMS_ADMIN] }
const NO_GROUP = 'There is no such visibility group.'
const UUID = { type: 'string', format: 'uuid' }

export function mountVisibility(api: Api, { visibility }: VisibilityRoutesDeps): void {
  mountGroupRoutes(api, visibility)
  mountMemberRoutes(api, visibility)
  mountDecisionRoute(api, visibility)
}

function mountGroupRoutes(api: Api, visibility: Visibility): void {
  api.add(
    {
      id: 'listVisibilityGroups',
      method: 'get',
      path: PATH,
      tag: TAG,
      summary: 'List visibility groups',
      description: 'In the order of their keys. There is always a root, above all others.',
      who: ADMIN,
      page: { cursor: KEY_CURSOR, search: 'What keys begin with.' },
      answers: { 200: { description: 'One page.', schema: schemas.groupPage } },
    },
    async function listGroups(ctx, { page }) {
      sendPage(ctx, await visibility.list(keyPageOf(page)), presentGroup)
    },
  )

  api.add<schemas.NewGroupBody>(
    {
      id: 'createVisibilityGroup',
      method: 'post',
      path: PATH,
      tag: TAG,
      summary: 'Create a visibility group',
      description: 'Below the group whose key `parent` is, or below the root. Groups lie at most sixteen deep.',
      who: ADMIN,
      body: schemas.newGroupBody,
      idempotent: true,
      answers: { 201: { description: 'The group.', schema: schemas.group } },
      errors: { conflict: 'The key is taken, or the group would lie too deep.' },
    },
    async function createGroup(ctx, { caller, body }) {
      const group = await visibility.create(caller.actor, body)
      sendCreated(ctx, `${PATH}/${group.id}`, presentGroup(group))
    },
  )

  api.add(
    {
      id: 'readVisibilityGroup',
      method: 'get',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read a visibility group',
      who: ADMIN,
      answers: { 200: { description: 'The group.', schema: schemas.group } },
      errors: { not_found: NO_GROUP },
    },
    async function readGroup(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentGroup(await visibility.find(id)))
    },
  )

  api.add<schemas.GroupChangeBody>(
    {
      id: 'changeVisibilityGroup',
      method: 'patch',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Change or move a visibility group',
      description: 'Another `parent` moves it with everything below it.',
      who: ADMIN,
      body: schemas.groupChangeBody,
      ifMatch: true,
      answers: { 200: { description: 'The group as it is now.', schema: schemas.group } },
      errors: {
        not_found: NO_GROUP,
        cycle: 'The new parent is the group itself or lies below it.',
        conflict: 'The root cannot be moved, and nothing lies more than sixteen deep.',
      },
    },
    async function changeGroup(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const check = (before: Parameters<typeof presentGroup>[0]) => checkIfMatch(ifMatch, presentGroup(before))
      sendWithEtag(ctx, presentGroup(await visibility.update(caller.actor, id, body, check)))
    },
  )

  api.add(
    {
      id: 'deleteVisibilityGroup',
      method: 'delete',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Delete a visibility group',
      who: ADMIN,
      query: {
        force: { description: 'Put its accounts into the group above.', schema: { enum: ['true', 'false'] } },
      },
      answers: { 204: { description: 'It is gone.' } },
      errors: {
        not_found: NO_GROUP,
        conflict: 'The root cannot be deleted.',
        in_use: 'There are groups below it, or accounts in it and `force` was not said.',
      },
    },
    async function deleteGroup(ctx, { caller, params: { id = '' }, query }) {
      await visibility.remove(caller.actor, id, { force: query.force === 'true' })
      ctx.status = 204
    },
  )
}

function mountMemberRoutes(api: Api, visibility: Visibility): void {
  const path = `${PATH}/{id}/members`

  api.add(
    {
      id: 'listVisibilityGroupMembers',
      method: 'get',
      path,
      tag: TAG,
      summary: 'List the accounts in a visibility group',
      description: 'In the order of their ids. In the root is whoever has been put nowhere else.',
      who: ADMIN,
      page: { cursor: ['string'] },
      answers: { 200: { description: 'One page.', schema: schemas.memberPage } },
      errors: { not_found: NO_GROUP },
    },
    async function listMembers(ctx, { params: { id = '' }, page: { limit, cursor } }) {
      sendPage(ctx, await visibility.members(id, { limit, after: cursor && uuidOf(cursor[0]) }), presentGroupMember)
    },
  )

  api.add<schemas.MemberBody>(
    {
      id: 'putIntoVisibilityGroup',
      method: 'post',
      path,
      tag: TAG,
      summary: 'Put an account into a visibility group',
      description: 'Out of the group it is in: every account is in exactly one.',
      who: ADMIN,
      body: schemas.memberBody,
      answers: {
        200: { description: 'The account was in the group already.', schema: schemas.member },
        201: { description: 'The account is in the group now.', schema: schemas.member },
      },
      errors: { not_found: NO_GROUP },
    },
    async function putMember(ctx, { caller, params: { id = '' }, body }) {
      const { isNew, member } = await visibility.putMember(caller.actor, id, body.account_id)
      if (isNew) sendCreated(ctx, `${PATH}/${id}/members/${member.accountId}`, presentGroupMember(member))
      else sendWithEtag(ctx, presentGroupMember(member))
    },
  )

  api.add(
    {
      id: 'takeOutOfVisibilityGroup',
      method: 'delete',
      path: `${path}/{account_id}`,
      tag: TAG,
      summary: 'Put an account back into the root',
      who: ADMIN,
      params: { account_id: { description: 'The id of the account.', schema: UUID } },
      answers: { 204: { description: 'The account is in the root.' } },
      errors: {
        not_found: 'There is no such group, or the account is not in it.',
        conflict: 'Nobody can be taken out of the root.',
      },
    },
    async function takeOut(ctx, { caller, params: { id = '', account_id: accountId = '' } }) {
      await visibility.takeOutMember(caller.actor, id, accountId)
      ctx.status = 204
    },
  )
}

function mountDecisionRoute(api: Api, visibility: Visibility): void {
  const account = (description: string) => ({ description, schema: UUID, required: true })

  api.add(
    {
      id: 'decideVisibility',
      method: 'get',
      path: '/api/v1/visibility/decision',
      tag: TAG,
      summary: 'Ask whether an account may see a thing of another',
      description:
        'The service that keeps the thing says how widely it is shown: `owner` to nobody else, `group` to the accounts in the owner’s group, `group_and_below` also to those in the groups below it, `everyone` to all. Owners always see what is theirs. The answer rests on memory that was confirmed against the database less than 800 ms ago.',
      who: {
        selfQuery: 'viewer',
        scopes: ['access:read'],
        permissions: [TEAMS_ADMIN, PERMISSIONS_ADMIN, ACCOUNTS_ADMIN],
      },
      query: {
        viewer: account('The id of the account that looks.'),
        owner: account('The id of the account whose thing it is.'),
        level: { description: 'How widely the thing is shown.', schema: { enum: [...LEVELS] }, required: true },
      },
      answers: { 200: { description: 'The decision.', schema: schemas.decision } },
      errors: { not_found: 'There is no such account.' },
    },
    async function decideVisibility(ctx, { query: { viewer = '', owner = '', level } }) {
      ctx.set('Cache-Control', 'no-store')
      ctx.body = { visible: await visibility.decide({ viewer, owner, level: level as Level }) } // checked by its schema
    },
  )
}
