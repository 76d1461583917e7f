/** Bodies and answers of /api/v1/teams, as JSON Schema and as types. */
import { DESCRIPTION, KEY } from '../access/key-schema.ts'
import { type BodySchema, INSTANT, objectOf, pageSchemaOf } from '../http/schema.ts'

const UUID = { type: 'string', format: 'uuid' }
const PARENT = {
  type: ['string', 'null'],
  minLength: 1,
  maxLength: 100,
  description: 'The key of the team above; null at the top.',
}

export const team = objectOf(
  { id: UUID, key: KEY, description: DESCRIPTION, parent: PARENT, created_at: INSTANT, updated_at: INSTANT },
  'Team',
)
export const teamPage = pageSchemaOf(team)

export interface NewTeamBody {
  key: string
  description?: string
  parent?: string | null
}

export const newTeamBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['key'],
  properties: { key: KEY, description: DESCRIPTION, parent: PARENT },
}

export interface TeamChangeBody {
  description?: string
  parent?: string | null
}

export const teamChangeBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  properties: { description: DESCRIPTION, parent: PARENT },
}

export const member = objectOf(
  {
    account_id: UUID,
    manager: { type: 'boolean', description: 'Whether it may add and remove members of this very team.' },
    created_at: INSTANT,
  },
  'TeamMember',
)
export const memberPage = pageSchemaOf(member)

export interface MemberBody {
  account_id: string
  manager?: boolean
}

export const memberBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['account_id'],
  properties: {
    account_id: UUID,
    manager: { type: 'boolean', description: 'Left out: a new member does not manage, a present one stays as it is.' },
  },
}

export const teamRole = objectOf({ id: UUID, key: KEY, description: DESCRIPTION }, 'TeamRole')
export const teamRolePage = pageSchemaOf(teamRole)

export interface TeamRoleBody {
  role: string
}

export const teamRoleBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['role'],
  properties: { role: { ...KEY, description: 'The key of a role.' } },
}
