/** From what somebody wants to register to the client that is stored: defaults per type, and every rule about it. */
import { AppError } from '../errors.ts'
import { opaqueId } from '../ids.ts'
import type { Client, ClientAuthMethod, ClientType } from './client.ts'
import { type Fault, metadataFaults } from './client-metadata.ts'
import { secretFault } from './client-secret.ts'
import { redirectUriFault } from './redirect-uri.ts'

/** Members left out get the default of the type. */
export interface ClientInput {
  /** Generated when absent. */
  id?: string
  name?: string
  type: ClientType
  /** At least 32 characters; generated when absent and needed. */
  secret?: string
  firstParty?: boolean
  requirePkce?: boolean
  grantTypes?: readonly string[]
  redirectUris?: readonly string[]
  postLogoutRedirectUris?: readonly string[]
  /** OpenID scopes and API scopes alike. */
  scopes?: readonly string[]
  /** Absolute URI: the `aud` of access tokens when a request names no resource. */
  audience?: string
  accessTokenTtlSeconds?: number
  refreshTokenTtlSeconds?: number
  tokenEndpointAuthMethod?: ClientAuthMethod
  /** Other metadata by its registered name (RFC 7591 section 2). */
  metadata?: Record<string, unknown>
}

const USER_SCOPES = ['openid', 'profile', 'email', 'offline_access']
const SIGN_IN_GRANTS = ['authorization_code', 'refresh_token']
const GRANT_TYPES = [...SIGN_IN_GRANTS, 'client_credentials', 'password']
const TYPES: readonly ClientType[] = ['web', 'spa', 'native', 'machine']
const AUTH_METHODS: readonly ClientAuthMethod[] = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
]

const DAY = 86_400
// Deny marks must outlive every access token, so a long life would be paid for at each revocation.
const MAX_ACCESS_TTL = 3_600
const MAX_REFRESH_TTL = 400 * DAY
const MAX_URIS = 50
const MAX_SCOPES = 200

const isPublic = (client: Pick<Client, 'tokenEndpointAuthMethod'>): boolean => client.tokenEndpointAuthMethod === 'none'

export const usesSecret = ({ tokenEndpointAuthMethod: method }: Pick<Client, 'tokenEndpointAuthMethod'>): boolean =>
  method === 'client_secret_basic' || method === 'client_secret_post'

/** The client that an input describes, without its secret. Throws AppError bad_request (400) with every fault. */
export function describeClient(input: ClientInput, { production }: { production: boolean }): Client {
  if (!TYPES.includes(input.type)) throw refused([{ pointer: '/type', message: `must be one of ${TYPES.join(', ')}` }])
  const isMachine = input.type === 'machine'
  const id = input.id ?? opaqueId(128)
  const client: Client = {
    id,
    name: input.name ?? id,
    type: input.type,
    secretDigest: undefined,
    firstParty: input.firstParty ?? false,
    requirePkce: input.requirePkce ?? true,
    grantTypes: input.grantTypes ?? (isMachine ? ['client_credentials'] : SIGN_IN_GRANTS),
    redirectUris: input.redirectUris ?? [],
    postLogoutRedirectUris: input.postLogoutRedirectUris ?? [],
    scopes: input.scopes ?? (isMachine ? [] : USER_SCOPES),
    audience: input.audience,
    accessTokenTtlSeconds: input.accessTokenTtlSeconds,
    refreshTokenTtlSeconds: input.refreshTokenTtlSeconds,
    tokenEndpointAuthMethod: input.tokenEndpointAuthMethod ?? defaultAuthMethod(input.type),
    metadata: input.metadata ?? {},
  }
  const faults = [
    ...formFaults(client),
    ...grantFaults(client),
    ...redirectFaults(client, production),
    ...secretFaults(client, input.secret),
    ...metadataFaults(client, production),
  ]
  if (faults.length > 0) throw refused(faults)
  return client
}

const defaultAuthMethod = (type: ClientType): ClientAuthMethod =>
  type === 'web' || type === 'machine' ? 'client_secret_basic' : 'none'

const refused = (faults: readonly Fault[]): AppError =>
  new AppError('bad_request', 400, faults.map(({ pointer, message }) => `${pointer.slice(1)} ${message}`).join('; '), {
    faults,
  })

const ID = /^[A-Za-z0-9._~-]{1,64}$/
const UUID_SHAPED = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
// RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/

function formFaults(client: Client): Fault[] {
  const { id, name, scopes, audience, accessTokenTtlSeconds: accessTtl, refreshTokenTtlSeconds: refreshTtl } = client
  return faultsOf([
    [ID.test(id), '/id', 'must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ -'],
    // RFC 9700 section 4.15: a client that chooses its id must not be able to pass for an account.
    [!UUID_SHAPED.test(id), '/id', 'must not look like the id of an account'],
    [/^\P{Cc}{1,200}$/u.test(name) && name.isWellFormed(), '/name', 'must be 1 to 200 characters'],
    [scopes.length <= MAX_SCOPES && scopes.every((scope) => SCOPE.test(scope)), '/scopes', 'holds a malformed scope'],
    [audience === undefined || isResource(audience), '/audience', 'must be an absolute URI without fragment'],
    [isLife(accessTtl, MAX_ACCESS_TTL), '/access_token_ttl_seconds', `must be 1 to ${MAX_ACCESS_TTL}`],
    [isLife(refreshTtl, MAX_REFRESH_TTL), '/refresh_token_ttl_seconds', `must be 1 to ${MAX_REFRESH_TTL}`],
  ])
}

function grantFaults(client: Client): Fault[] {
  const { type, grantTypes, firstParty, requirePkce, tokenEndpointAuthMethod: method } = client
  const may = (grant: string) => grantTypes.includes(grant)
  const isConfidential = !isPublic(client)
  const mayBePublicOnly = type === 'spa' || type === 'native'
  return faultsOf([
    [AUTH_METHODS.includes(method), '/token_endpoint_auth_method', `must be one of ${AUTH_METHODS.join(', ')}`],
    // RFC 8252 section 8.4: "native apps […] are classified as public clients"; whatever runs in a browser is as open.
    [
      !mayBePublicOnly || !isConfidential,
      '/token_endpoint_auth_method',
      `must be none: a ${type} client keeps no secret`,
    ],
    [type !== 'machine' || isConfidential, '/token_endpoint_auth_method', 'must not be none for a machine client'],
    [grantTypes.length > 0, '/grant_types', 'must name at least one grant'],
    [grantTypes.every((grant) => GRANT_TYPES.includes(grant)), '/grant_types', `may hold ${GRANT_TYPES.join(', ')}`],
    // RFC 9700 section 2.1.1: "public clients MUST use PKCE".
    [requirePkce || isConfidential, '/require_pkce', 'cannot be switched off for a public client'],
    // RFC 9700 section 2.4: a third party must never see the password.
    [!may('password') || firstParty, '/grant_types', 'may hold password for a first-party client only'],
    // RFC 6749 section 4.4: "MUST only be used by confidential clients".
    [
      !may('client_credentials') || isConfidential,
      '/grant_types',
      'may hold client_credentials for a confidential client only',
    ],
    [
      !may('refresh_token') || may('authorization_code') || may('password'),
      '/grant_types',
      'holds refresh_token without a grant that issues one',
    ],
    [
      type !== 'machine' || !may('authorization_code'),
      '/grant_types',
      'cannot hold authorization_code for a machine client',
    ],
  ])
}

function redirectFaults(client: Client, production: boolean): Fault[] {
  const { type, grantTypes, redirectUris, postLogoutRedirectUris } = client
  const usesBrowser = grantTypes.includes('authorization_code')
  const needed = faultsOf([
    [!usesBrowser || redirectUris.length > 0, '/redirect_uris', 'must hold at least one URI'],
    [usesBrowser || redirectUris.length === 0, '/redirect_uris', 'has no use without the grant authorization_code'],
    [redirectUris.length + postLogoutRedirectUris.length <= MAX_URIS, '/redirect_uris', `are more than ${MAX_URIS}`],
  ])
  const check = (pointer: string, uris: readonly string[]): Fault[] =>
    uris.slice(0, MAX_URIS).flatMap((uri, place) => {
      const message = redirectUriFault(uri, { type, production })
      return message === undefined ? [] : [{ pointer: `${pointer}/${place}`, message }]
    })
  return [
    ...needed,
    ...check('/redirect_uris', redirectUris),
    ...check('/post_logout_redirect_uris', postLogoutRedirectUris),
  ]
}

function secretFaults(client: Client, secret: string | undefined): Fault[] {
  if (secret === undefined) return []
  const message = usesSecret(client) ? secretFault(secret) : 'is not used by this authentication method'
  return message === undefined ? [] : [{ pointer: '/secret', message }]
}

const faultsOf = (rules: readonly [isRight: boolean, pointer: string, message: string][]): Fault[] =>
  rules.flatMap(([isRight, pointer, message]) => (isRight ? [] : [{ pointer, message }]))

/** RFC 8707 section 2: "an absolute URI […] MUST NOT include a fragment component". */
const isResource = (uri: string): boolean => /^[\x21-\x7e]{1,500}$/.test(uri) && URL.canParse(uri) && !uri.includes('#')

const isLife = (seconds: number | undefined, most: number): boolean =>
  seconds === undefined || (Number.isInteger(seconds) && seconds >= 1 && seconds <= most)
