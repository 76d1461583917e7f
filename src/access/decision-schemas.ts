/** Bodies and answers of policy decisions, as JSON Schema and as types. */
import { type BodySchema, objectOf } from '../http/schema.ts'

const KEY = { type: 'string', description: 'The key of a permission.' }
const SENTENCE = { type: 'string' }

export const tokenVerdict = objectOf({ msg: SENTENCE }, 'TokenVerdict')

export const combinedPermissions = {
  title: 'CombinedPermissions',
  type: 'object',
  additionalProperties: false,
  required: ['permissions'],
  properties: {
    permissions: { type: 'array', items: KEY, description: 'Sorted.' },
    roles: { type: 'array', items: { type: 'string' }, description: 'The keys of its roles, sorted; when asked for.' },
  },
}

const source = {
  title: 'PermissionSource',
  type: 'object',
  additionalProperties: false,
  required: ['kind', 'permission'],
  properties: {
    kind: { enum: ['direct', 'role', 'team'], description: 'Given to the account itself, by a role, or by a team.' },
    permission: { ...KEY, description: 'The permission it is held through: itself, or `all_all`.' },
    team: { type: 'string', description: 'The key of the team that gives the first role.' },
    roles: {
      type: 'array',
      items: { type: 'string' },
      description: 'From the role of the account to the one with the permission, each including the next.',
    },
  },
}

const explainedPart = {
  title: 'ExplainedPart',
  type: 'object',
  additionalProperties: false,
  required: ['valid'],
  properties: {
    valid: { type: 'boolean' },
    permission: { ...KEY, description: 'Of a single permission: its key.' },
    by: { type: 'array', items: source, description: 'Of a single permission: by what it is held; at most 5.' },
    match: { enum: ['any', 'all'], description: 'Of a list: how many of its parts must be met.' },
    parts: { type: 'array', items: { type: 'object' }, description: 'Of a list: its parts, each of this same form.' },
  },
}

const explanation = objectOf(
  {
    decision: explainedPart,
    missing: { type: 'array', items: KEY, description: 'What would have to be held first; at most 10.' },
  },
  'Explanation',
)

export const decision = {
  title: 'Decision',
  type: 'object',
  additionalProperties: false,
  required: ['valid'],
  properties: {
    valid: { type: 'boolean', description: 'Whether the account holds what is asked for.' },
    explanation,
  },
}

export interface QuestionBody {
  /** Of any form; what is wrong with it the parser says. */
  permissions: unknown
  explain?: boolean
}

export const questionBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['permissions'],
  properties: {
    permissions: {
      type: ['string', 'object'],
      description:
        'The key of a permission, `{"any": […]}` or `{"all": […]}`, nested at most 16 deep and 1,000 parts in all.',
      examples: ['movies:edit', { any: ['movies:edit', { all: ['movies:read', 'reviews:edit'] }] }],
    },
    explain: { type: 'boolean', description: 'Also say why.' },
  },
}
