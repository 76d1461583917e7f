/** Bodies and answers of /api/v1/visibility_groups and /api/v1/visibility, as JSON Schema and as types. */
import { DESCRIPTION, KEY } from '../access/key-schema.ts'
import { type BodySchema, INSTANT, objectOf, pageSchemaOf } from '../http/schema.ts'

const UUID = { type: 'string', format: 'uuid' }
const PARENT = { type: 'string', minLength: 1, maxLength: 100, description: 'The key of the group above.' }

export const group = objectOf(
  {
    id: UUID,
    key: KEY,
    description: DESCRIPTION,
    parent: {
      ...PARENT,
      type: ['string', 'null'],
      description: 'The key of the group above; null for the root alone.',
    },
    created_at: INSTANT,
    updated_at: INSTANT,
  },
  'VisibilityGroup',
)
export const groupPage = pageSchemaOf(group)

export interface NewGroupBody {
  key: string
  description?: string
  parent?: string
}

export const newGroupBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['key'],
  properties: {
    key: KEY,
    description: DESCRIPTION,
    parent: { ...PARENT, description: 'The key of the group above. Left out: the root.' },
  },
}

export interface GroupChangeBody {
  description?: string
  parent?: string
}

export const groupChangeBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  properties: { description: DESCRIPTION, parent: PARENT },
}

export const member = objectOf(
  {
    account_id: UUID,
    created_at: {
      format: 'date-time',
      type: ['string', 'null'],
      description: 'Since when it is in the group; null in the root, where nobody has to be put.',
    },
  },
  'VisibilityGroupMember',
)
export const memberPage = pageSchemaOf(member)

export interface MemberBody {
  account_id: string
}

export const memberBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['account_id'],
  properties: { account_id: UUID },
}

export const decision = objectOf({ visible: { type: 'boolean' } }, 'VisibilityDecision')
