/**
 * Clients as the engine wants them: the metadata of RFC 7591 and OpenID registration, plus our own members under
 * `usher:`. The secret's digest stands where the engine looks for a secret; comparing is ours (provider.ts).
 */
import type { Adapter, AdapterPayload, Client as EngineClient } from 'oidc-provider'
import type { Client } from '../clients/client.ts'
import { inEngineTerms } from './engine-errors.ts'
import { isOidcScope } from './scopes.ts'

export const FIRST_PARTY = 'usher:first_party'
export const REQUIRE_PKCE = 'usher:require_pkce'
export const AUDIENCE = 'usher:audience'
export const API_SCOPES = 'usher:api_scopes'
export const LEAN_ID_TOKEN = 'usher:lean_id_token'
export const ACCESS_TOKEN_TTL = 'usher:access_token_ttl'
export const REFRESH_TOKEN_TTL = 'usher:refresh_token_ttl'

export const EXTRA_CLIENT_METADATA = [
  FIRST_PARTY,
  REQUIRE_PKCE,
  AUDIENCE,
  API_SCOPES,
  LEAN_ID_TOKEN,
  ACCESS_TOKEN_TTL,
  REFRESH_TOKEN_TTL,
]

/** The scopes of OpenID that a client is registered for. */
export const oidcScopesOf = ({ scope }: EngineClient): string[] => scope?.split(' ') ?? []

/** The engine's metadata of a client. API scopes stay out of `scope`: the engine refuses values it does not know there. */
export function engineMetadata(client: Client): AdapterPayload & { client_id: string } {
  const { lean_id_token: leanIdToken, ...registered } = client.metadata
  const oidcScopes = client.scopes.filter(isOidcScope)
  const hasFront = client.grantTypes.includes('authorization_code')
  return {
    id_token_signed_response_alg: 'ES256',
    ...registered,
    client_id: client.id,
    client_name: client.name,
    application_type: client.type === 'native' ? 'native' : 'web',
    token_endpoint_auth_method: client.tokenEndpointAuthMethod,
    ...(client.secretDigest === undefined ? {} : { client_secret: client.secretDigest }),
    grant_types: [...client.grantTypes],
    response_types: hasFront ? ['code'] : [],
    redirect_uris: [...client.redirectUris],
    post_logout_redirect_uris: [...client.postLogoutRedirectUris],
    ...(oidcScopes.length === 0 ? {} : { scope: oidcScopes.join(' ') }),
    [FIRST_PARTY]: client.firstParty,
    [REQUIRE_PKCE]: client.requirePkce,
    [LEAN_ID_TOKEN]: leanIdToken === true,
    [API_SCOPES]: client.scopes.filter((scope) => !isOidcScope(scope)),
    ...(client.audience === undefined ? {} : { [AUDIENCE]: client.audience }),
    ...(client.accessTokenTtlSeconds === undefined ? {} : { [ACCESS_TOKEN_TTL]: client.accessTokenTtlSeconds }),
    ...(client.refreshTokenTtlSeconds === undefined ? {} : { [REFRESH_TOKEN_TTL]: client.refreshTokenTtlSeconds }),
  }
}

const readOnly = async () => {
  throw new Error('clients are written by their own room')
}
const none = async () => undefined

/** The engine asks for the client on every request; for the same client it gets the same object. */
export function createClientAdapter(findClient: (id: string) => Promise<Client | undefined>): Adapter {
  const translated = new WeakMap<Client, AdapterPayload>()
  const find = async (id: string): Promise<AdapterPayload | undefined> => {
    const client = await findClient(id)
    if (!client) return undefined
    const known = translated.get(client)
    if (known) return known
    const metadata = Object.freeze(engineMetadata(client))
    translated.set(client, metadata)
    return metadata
  }
  return {
    find: inEngineTerms(find),
    findByUid: none,
    findByUserCode: none,
    upsert: readOnly,
    consume: readOnly,
    destroy: readOnly,
    revokeByGrantId: readOnly,
  }
}
