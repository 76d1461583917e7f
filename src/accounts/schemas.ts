/** What /api/v1/registration and /api/v1/me take and answer, as JSON Schema; bodies also as types. */
import { type BodySchema, INSTANT, objectOf, pageSchemaOf, type Schema } from '../http/schema.ts'
import { accountMembers } from './presentation.ts'

const EMAIL = { type: 'string', minLength: 3, maxLength: 254 }
/** Far above what the policy allows, so that a password is judged by the policy and not by this. */
const PASSWORD = { type: 'string', minLength: 1, maxLength: 4096 }
/** As mailed. What can be no code is refused as a wrong one is. */
const CODE = { type: 'string', minLength: 1, maxLength: 64 }
const NAME = { type: ['string', 'null'], minLength: 1, maxLength: 200 }

export interface RegistrationRequest {
  email: string
  password: string
  username?: string
  first_name?: string
  last_name?: string
  locale?: string
}

export const registrationRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['email', 'password'],
  properties: {
    email: EMAIL,
    password: PASSWORD,
    username: { type: 'string', minLength: 1, maxLength: 64 },
    first_name: { type: 'string', minLength: 1, maxLength: 200 },
    last_name: { type: 'string', minLength: 1, maxLength: 200 },
    locale: { type: 'string', minLength: 2, maxLength: 35, description: 'BCP 47; also the language of the mail.' },
  },
}

export interface VerificationRequest {
  email: string
  code: string
}

export const verificationRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['email', 'code'],
  properties: { email: EMAIL, code: CODE },
}

export interface ProfileRequest {
  username?: string | null
  first_name?: string | null
  last_name?: string | null
  locale?: string | null
  profile?: Record<string, unknown>
  attributes?: Record<string, unknown>
}

export const profileRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    username: { type: ['string', 'null'], minLength: 1, maxLength: 64 },
    first_name: NAME,
    last_name: NAME,
    locale: { type: ['string', 'null'], minLength: 2, maxLength: 35 },
    profile: { type: 'object', description: 'Standard claims; a merge patch (RFC 7396).' },
    attributes: { type: 'object', description: 'Whatever else; a merge patch (RFC 7396).' },
  },
}

export interface PasswordChangeRequest {
  current_password: string
  new_password: string
}

export const passwordChangeRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['current_password', 'new_password'],
  properties: { current_password: PASSWORD, new_password: PASSWORD },
}

export interface EmailChangeBody {
  password: string
  new_email: string
}

export const emailChangeBody: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['password', 'new_email'],
  properties: { password: PASSWORD, new_email: EMAIL },
}

export interface CodeRequest {
  code: string
}

export const codeRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['code'],
  properties: { code: CODE },
}

/** An account as its owner sees it. */
export const account = objectOf(accountMembers, 'OwnAccount')

export const accepted = objectOf({ status: { const: 'accepted' } }, 'Accepted')

const signIn = objectOf(
  {
    id: accountMembers.id,
    outcome: { enum: ['succeeded', 'wrong_password', 'disabled'] },
    client_id: { type: 'string', description: 'The application that asked.' },
    ip: { type: 'string' },
    user_agent: { type: 'string' },
    created_at: INSTANT,
  },
  'SignIn',
)

export const signInPage = pageSchemaOf(signIn)

/** What other rooms hold is theirs to describe. */
export const accountExport: Schema = {
  title: 'AccountExport',
  type: 'object',
  required: ['account', 'sign_ins'],
  properties: {
    account: objectOf({ ...accountMembers, has_password: { type: 'boolean' } }),
    sign_ins: { type: 'array', items: signIn },
  },
  additionalProperties: true,
}

export const deletion = objectOf({ deletion_due_at: INSTANT })
