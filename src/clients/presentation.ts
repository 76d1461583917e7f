/** A client as the API shows it: every member by name, and nothing of its secret. */
import type { Client } from './client.ts'

export const presentClient = (client: Client) => ({
  id: client.id,
  name: client.name,
  type: client.type,
  first_party: client.firstParty,
  require_pkce: client.requirePkce,
  grant_types: client.grantTypes,
  redirect_uris: client.redirectUris,
  post_logout_redirect_uris: client.postLogoutRedirectUris,
  scopes: client.scopes,
  audience: client.audience ?? null,
  access_token_ttl_seconds: client.accessTokenTtlSeconds ?? null,
  refresh_token_ttl_seconds: client.refreshTokenTtlSeconds ?? null,
  token_endpoint_auth_method: client.tokenEndpointAuthMethod,
  metadata: client.metadata,
})
