/** Bodies of /api/v1/session, as JSON Schema and as types. */
import type { BodySchema } from '../http/schema.ts'

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
