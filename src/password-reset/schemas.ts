/** What /api/v1/password-reset takes and answers, as JSON Schema; bodies also as types. */
import { type BodySchema, objectOf } from '../http/schema.ts'

const EMAIL = { type: 'string', minLength: 3, maxLength: 254 }

export interface ResetRequest {
  email: string
}

export const resetRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['email'],
  properties: { email: EMAIL },
}

export interface ResetConfirmationRequest {
  email: string
  code: string
  new_password: string
}

export const resetConfirmationRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['email', 'code', 'new_password'],
  properties: {
    email: EMAIL,
    code: { type: 'string', minLength: 1, maxLength: 64, description: 'As mailed.' },
    new_password: { type: 'string', minLength: 1, maxLength: 4096 },
  },
}

export const accepted = objectOf({ status: { const: 'accepted' } }, 'Accepted')
