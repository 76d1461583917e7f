/** What /api/v1/clients takes and answers, as JSON Schema; bodies also as types. */
import { type BodySchema, objectOf, pageSchemaOf, type Schema } from '../http/schema.ts'
import type { ClientAuthMethod, ClientType } from './client.ts'

const TYPES: readonly ClientType[] = ['web', 'spa', 'native', 'machine']
const AUTH_METHODS: readonly ClientAuthMethod[] = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
]

const ID = { type: 'string', minLength: 1, maxLength: 64, description: 'The `client_id`.' }
const TEXTS = { type: 'array', items: { type: 'string', maxLength: 2000 }, maxItems: 200 }
const SECONDS = { type: ['integer', 'null'], minimum: 1 }

const members = {
  name: { type: 'string', minLength: 1, maxLength: 200 },
  type: { enum: TYPES, description: 'With a server of its own, in the browser, on a device, or without people.' },
  first_party: { type: 'boolean', description: 'A client of the house: it asks nobody for consent.' },
  require_pkce: { type: 'boolean' },
  grant_types: { ...TEXTS, description: 'authorization_code, refresh_token, client_credentials, password.' },
  redirect_uris: { ...TEXTS, description: 'Compared exactly.' },
  post_logout_redirect_uris: TEXTS,
  scopes: { ...TEXTS, description: 'Those of OpenID and those of APIs alike.' },
  token_endpoint_auth_method: { enum: AUTH_METHODS },
  metadata: { type: 'object', description: 'Other metadata by its registered names (RFC 7591 section 2).' },
} as const

const audience = {
  type: ['string', 'null'],
  minLength: 1,
  maxLength: 500,
  description: 'The `aud` of its access tokens when a request names no resource; null: this server.',
}

const optional = { audience, access_token_ttl_seconds: SECONDS, refresh_token_ttl_seconds: SECONDS }

export interface ClientChange {
  name?: string
  type?: ClientType
  first_party?: boolean
  require_pkce?: boolean
  grant_types?: string[]
  redirect_uris?: string[]
  post_logout_redirect_uris?: string[]
  scopes?: string[]
  audience?: string | null
  access_token_ttl_seconds?: number | null
  refresh_token_ttl_seconds?: number | null
  token_endpoint_auth_method?: ClientAuthMethod
  metadata?: Record<string, unknown>
}

export interface ClientCreation extends ClientChange {
  type: ClientType
  id?: string
  secret?: string
}

export const clientCreation: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['type'],
  properties: {
    id: { ...ID, description: 'The `client_id`; made up when left out.' },
    secret: { type: 'string', minLength: 32, maxLength: 512, description: 'Made up when left out and needed.' },
    ...members,
    ...optional,
  },
}

export const clientChange: BodySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...members,
    ...optional,
    metadata: { ...members.metadata, description: 'Members left out stay, others are replaced; null removes one.' },
  },
}

const clientMembers = { id: ID, ...members, ...optional }

export const client: Schema = objectOf(clientMembers, 'Client')

export const clientPage = pageSchemaOf(client)

const SECRET = { type: 'string', description: 'Shown this once; the server keeps only a digest of it.' }

/** Without `client_secret` where none was made up. */
export const registeredClient: Schema = {
  title: 'RegisteredClient',
  type: 'object',
  additionalProperties: false,
  required: Object.keys(clientMembers),
  properties: { ...clientMembers, client_secret: SECRET },
}

export const secret: Schema = objectOf({ client_secret: SECRET }, 'ClientSecret')

/** What stands for a client in an address. */
export const clientId: Schema = { type: 'string', pattern: '^[A-Za-z0-9._~-]{1,64}$' }
