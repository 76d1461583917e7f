/** What /api/v1/session takes and answers, as JSON Schema; bodies also as types. */
import { type BodySchema, objectOf, type Schema } from '../http/schema.ts'

export interface SignInRequest {
  login: string
  password: string
  client_id?: string
  transport?: 'body' | 'cookie'
}

export const signInRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['login', 'password'],
  properties: {
    login: { type: 'string', minLength: 1, maxLength: 512, description: 'E-mail address or username.' },
    password: { type: 'string', minLength: 1, maxLength: 4096 },
    client_id: { type: 'string', minLength: 1, maxLength: 64, description: 'A first-party client; the built-in one.' },
    transport: {
      enum: ['body', 'cookie'],
      default: 'body',
      description: 'Where the tokens go: into the answer, or into cookies that scripts cannot read.',
    },
  },
}

export interface RefreshRequest {
  refresh_token?: string
}

export const refreshRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    refresh_token: { type: 'string', minLength: 1, maxLength: 8192, description: 'Left out: the one of the cookie.' },
  },
}

/** With the tokens in the body; without them they are in cookies. */
export const issued: Schema = {
  title: 'IssuedTokens',
  type: 'object',
  additionalProperties: false,
  required: ['expires_in'],
  properties: {
    access_token: { type: 'string', description: 'A JWT (RFC 9068).' },
    refresh_token: {
      type: 'string',
      description: 'For clients that may refresh. Good once: each use answers another.',
    },
    token_type: { const: 'Bearer' },
    expires_in: { type: 'integer', description: 'Seconds until the access token expires.' },
  },
}

export const signedOut = objectOf({ signed_out: { const: true } })
