/** What /api/v1/accounts takes and answers, as JSON Schema; bodies also as types. */
import { accountMembers } from '../accounts/presentation.ts'
import { type BodySchema, objectOf, pageSchemaOf, type Schema } from '../http/schema.ts'
import { sessionMembers } from '../sessions/presentation.ts'

/** Far above what the policy allows, so that a password is judged by the policy and not by this. */
const PASSWORD = { type: 'string', minLength: 1, maxLength: 4096, description: 'Judged by the password policy.' }
const EMAIL = { type: 'string', minLength: 3, maxLength: 254 }
const STATUS = { enum: ['active', 'disabled'], description: 'A disabled account cannot sign in and holds nothing.' }

export interface AccountCreation {
  email: string
  password?: string
  username?: string
  first_name?: string
  last_name?: string
  locale?: string
  email_verified?: boolean
  profile?: Record<string, unknown>
  attributes?: Record<string, unknown>
}

export const accountCreation: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['email'],
  properties: {
    email: EMAIL,
    password: { ...PASSWORD, description: 'Without one the owner sets it by a password reset.' },
    username: { type: 'string', minLength: 1, maxLength: 64 },
    first_name: { type: 'string', minLength: 1, maxLength: 200 },
    last_name: { type: 'string', minLength: 1, maxLength: 200 },
    locale: { type: 'string', minLength: 2, maxLength: 35, description: 'BCP 47; also the language of the mails.' },
    email_verified: { type: 'boolean', description: 'Default: false.' },
    profile: { type: 'object', description: 'Standard claims of OpenID Connect.' },
    attributes: { type: 'object', description: 'Whatever else applications keep about the person.' },
  },
}

export interface AccountChange {
  email?: string
  email_verified?: boolean
  password?: string
  username?: string | null
  first_name?: string | null
  last_name?: string | null
  locale?: string | null
  status?: 'active' | 'disabled'
  profile?: Record<string, unknown>
  attributes?: Record<string, unknown>
}

export const accountChange: BodySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    email: { ...EMAIL, description: 'Another address counts as not verified unless `email_verified` says so.' },
    email_verified: { type: 'boolean' },
    password: PASSWORD,
    username: { type: ['string', 'null'], minLength: 1, maxLength: 64 },
    first_name: { type: ['string', 'null'], minLength: 1, maxLength: 200 },
    last_name: { type: ['string', 'null'], minLength: 1, maxLength: 200 },
    locale: { type: ['string', 'null'], minLength: 2, maxLength: 35 },
    status: STATUS,
    profile: { type: 'object', description: 'Standard claims; a merge patch (RFC 7396).' },
    attributes: { type: 'object', description: 'Whatever else; a merge patch (RFC 7396).' },
  },
}

const { created_at, updated_at, ...personal } = accountMembers

export const account: Schema = objectOf(
  {
    ...personal,
    status: STATUS,
    has_password: { type: 'boolean' },
    deletion_due_at: {
      type: ['string', 'null'],
      format: 'date-time',
      description: 'Its owner has deleted it; until then signing in brings it back.',
    },
    created_at,
    updated_at,
  },
  'Account',
)

export const accountPage = pageSchemaOf(account)

/** None of an account's sessions is the administrator's own. */
const session = objectOf({ ...sessionMembers, current: { const: false } }, 'AccountSession')

export const sessionPage = pageSchemaOf(session)

/** The id of a session, as a list shows it. */
export const sessionId: Schema = { type: 'string', pattern: '^[sg]\\.[A-Za-z0-9_-]{8,128}$' }

export const accepted: Schema = objectOf({ status: { const: 'accepted' } }, 'Accepted')
