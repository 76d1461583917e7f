/** /api/v1/teams: teams, who is in them, and the roles they have. */
import { TEAMS_ADMIN } from '../access/permission.ts'
import { sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import type { Need } from '../http/gatekeeper.ts'
import { KEY_CURSOR, keyPageOf, uuidOf } from '../http/pagination.ts'
import type { Parameter } from '../http/route.ts'
import { presentMember, presentTeam, presentTeamRole } from './presentation.ts'
import * as schemas from './schemas.ts'
import type { Teams } from './teams.ts'

export interface TeamRoutesDeps {
  teams: Teams
}

const PATH = '/api/v1/teams'
const TAG = 'Teams'
const ADMIN: Need = { permissions: [TEAMS_ADMIN] }
const ADMIN_OR_MANAGER: Need = { permissions: [TEAMS_ADMIN], manages: 'id' }

const NO_TEAM = 'There is no such team.'
const CEILING = 'It would give or take permissions that you do not hold; they are named.'
const UUID = { type: 'string', format: 'uuid' }
const FORCE: Parameter = {
  description: 'Delete it with its members and roles.',
  schema: { enum: ['true', 'false'] },
}

export function mountTeams(api: Api, { teams }: TeamRoutesDeps): void {
  mountTeamRoutes(api, teams)
  mountMemberRoutes(api, teams)
  mountRoleRoutes(api, teams)
}

function mountTeamRoutes(api: Api, teams: Teams): void {
  api.add(
    {
      id: 'listTeams',
      method: 'get',
      path: PATH,
      tag: TAG,
      summary: 'List teams',
      description: 'In the order of their keys.',
      who: ADMIN,
      page: { cursor: KEY_CURSOR, search: 'What keys begin with.' },
      answers: { 200: { description: 'One page.', schema: schemas.teamPage } },
    },
    async function listTeams(ctx, { page }) {
      sendPage(ctx, await teams.list(keyPageOf(page)), presentTeam)
    },
  )

  api.add<schemas.NewTeamBody>(
    {
      id: 'createTeam',
      method: 'post',
      path: PATH,
      tag: TAG,
      summary: 'Create a team',
      description: 'At the top, or below the team whose key `parent` is. Teams lie at most five deep.',
      who: ADMIN,
      body: schemas.newTeamBody,
      idempotent: true,
      answers: { 201: { description: 'The team.', schema: schemas.team } },
      errors: { conflict: 'The key is taken, or the team would lie too deep.' },
    },
    async function createTeam(ctx, { caller, body }) {
      const team = await teams.create(caller.actor, body)
      sendCreated(ctx, `${PATH}/${team.id}`, presentTeam(team))
    },
  )

  api.add(
    {
      id: 'readTeam',
      method: 'get',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read a team',
      who: ADMIN_OR_MANAGER,
      answers: { 200: { description: 'The team.', schema: schemas.team } },
      errors: { not_found: NO_TEAM },
    },
    async function readTeam(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentTeam(await teams.find(id)))
    },
  )

  api.add<schemas.TeamChangeBody>(
    {
      id: 'changeTeam',
      method: 'patch',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Change or move a team',
      description:
        'Another `parent` moves it with everything below it; null moves it to the top. Its members lose what reached them from above and gain what does so there, and the caller must hold both.',
      who: ADMIN,
      body: schemas.teamChangeBody,
      ifMatch: true,
      answers: { 200: { description: 'The team as it is now.', schema: schemas.team } },
      errors: {
        not_found: NO_TEAM,
        forbidden: CEILING,
        cycle: 'The new parent is the team itself or lies below it.',
        conflict: 'The team, or one below it, would lie too deep.',
      },
    },
    async function changeTeam(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const check = (before: Parameters<typeof presentTeam>[0]) => checkIfMatch(ifMatch, presentTeam(before))
      sendWithEtag(ctx, presentTeam(await teams.update(caller.actor, id, body, check)))
    },
  )

  api.add(
    {
      id: 'deleteTeam',
      method: 'delete',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Delete a team',
      who: ADMIN,
      query: { force: FORCE },
      answers: { 204: { description: 'It is gone.' } },
      errors: {
        not_found: NO_TEAM,
        forbidden: CEILING,
        in_use: 'There are teams below it, or it has members or roles and `force` was not said.',
      },
    },
    async function deleteTeam(ctx, { caller, params: { id = '' }, query }) {
      await teams.remove(caller.actor, id, { force: query.force === 'true' })
      ctx.status = 204
    },
  )
}

function mountMemberRoutes(api: Api, teams: Teams): void {
  const path = `${PATH}/{id}/members`

  api.add(
    {
      id: 'listTeamMembers',
      method: 'get',
      path,
      tag: TAG,
      summary: 'List the members of a team',
      description: 'In the order of their accounts. Members of the teams below are not among them.',
      who: ADMIN_OR_MANAGER,
      page: { cursor: ['string'] },
      answers: { 200: { description: 'One page.', schema: schemas.memberPage } },
      errors: { not_found: NO_TEAM },
    },
    async function listMembers(ctx, { params: { id = '' }, page: { limit, cursor } }) {
      sendPage(ctx, await teams.members(id, { limit, after: cursor && uuidOf(cursor[0]) }), presentMember)
    },
  )

  api.add<schemas.MemberBody>(
    {
      id: 'addTeamMember',
      method: 'post',
      path,
      tag: TAG,
      summary: 'Add an account to a team, or make a member a manager',
      description:
        'Managers of this very team may do so as well. Whoever adds a member must hold every permission that reaches the team.',
      who: ADMIN_OR_MANAGER,
      body: schemas.memberBody,
      answers: {
        200: { description: 'The account was a member already.', schema: schemas.member },
        201: { description: 'The new member.', schema: schemas.member },
      },
      errors: { not_found: NO_TEAM, forbidden: CEILING },
    },
    async function addMember(ctx, { caller, params: { id = '' }, body }) {
      const membership = { accountId: body.account_id, isManager: body.manager }
      const { isNew, member } = await teams.addMember(caller.actor, id, membership)
      if (isNew) sendCreated(ctx, `${PATH}/${id}/members/${member.accountId}`, presentMember(member))
      else sendWithEtag(ctx, presentMember(member))
    },
  )

  api.add(
    {
      id: 'removeTeamMember',
      method: 'delete',
      path: `${path}/{account_id}`,
      tag: TAG,
      summary: 'Remove an account from a team',
      who: ADMIN_OR_MANAGER,
      params: { account_id: { description: 'The id of the account.', schema: UUID } },
      answers: { 204: { description: 'It is no member any more.' } },
      errors: { not_found: 'There is no such team, or the account is no member of it.', forbidden: CEILING },
    },
    async function removeMember(ctx, { caller, params: { id = '', account_id: accountId = '' } }) {
      await teams.removeMember(caller.actor, id, accountId)
      ctx.status = 204
    },
  )
}

function mountRoleRoutes(api: Api, teams: Teams): void {
  const path = `${PATH}/{id}/roles`

  api.add(
    {
      id: 'listTeamRoles',
      method: 'get',
      path,
      tag: TAG,
      summary: 'List the roles of a team',
      description:
        'In the order of their keys. What the teams above have reaches its members too, and is not listed here.',
      who: ADMIN_OR_MANAGER,
      page: { cursor: KEY_CURSOR, search: 'What keys begin with.' },
      answers: { 200: { description: 'One page.', schema: schemas.teamRolePage } },
      errors: { not_found: NO_TEAM },
    },
    async function listRoles(ctx, { params: { id = '' }, page }) {
      sendPage(ctx, await teams.roles(id, keyPageOf(page)), presentTeamRole)
    },
  )

  api.add<schemas.TeamRoleBody>(
    {
      id: 'addTeamRole',
      method: 'post',
      path,
      tag: TAG,
      summary: 'Give a role to a team',
      description: 'It reaches the members of the team and of every team below it.',
      who: ADMIN,
      body: schemas.teamRoleBody,
      answers: {
        200: { description: 'The team had the role already.', schema: schemas.teamRole },
        201: { description: 'The role.', schema: schemas.teamRole },
      },
      errors: {
        not_found: NO_TEAM,
        forbidden: CEILING,
        conflict: 'Every account is a `user`, and nobody is `non_registered`: neither is for teams.',
      },
    },
    async function addRole(ctx, { caller, params: { id = '' }, body }) {
      const { isNew, role } = await teams.addRole(caller.actor, id, body.role)
      if (isNew) sendCreated(ctx, `${PATH}/${id}/roles/${role.id}`, presentTeamRole(role))
      else sendWithEtag(ctx, presentTeamRole(role))
    },
  )

  api.add(
    {
      id: 'removeTeamRole',
      method: 'delete',
      path: `${path}/{role_id}`,
      tag: TAG,
      summary: 'Take a role from a team',
      who: ADMIN,
      params: { role_id: { description: 'The id of the role.', schema: UUID } },
      answers: { 204: { description: 'The team does not have it any more.' } },
      errors: { not_found: 'There is no such team, or it does not have the role.', forbidden: CEILING },
    },
    async function removeRole(ctx, { caller, params: { id = '', role_id: roleId = '' } }) {
      await teams.removeRole(caller.actor, id, roleId)
      ctx.status = 204
    },
  )
}
