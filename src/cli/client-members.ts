import type { Client } from '../clients/client.ts'

/** What "usher client show" prints and "usher export" writes of a client alike: by the names of RFC 7591 where it has one. */
export const clientMembers = (client: Client): Record<string, unknown> => ({
  first_party: client.firstParty,
  require_pkce: client.requirePkce,
  token_endpoint_auth_method: client.tokenEndpointAuthMethod,
  grant_types: client.grantTypes,
  redirect_uris: client.redirectUris,
  post_logout_redirect_uris: client.postLogoutRedirectUris,
  scopes: client.scopes,
  audience: client.audience,
  access_token_ttl_seconds: client.accessTokenTtlSeconds,
  refresh_token_ttl_seconds: client.refreshTokenTtlSeconds,
})
