import type { Client } from './client.ts'

/** Where the sign-in for the account pages returns to. */
export const accountCallback = (issuer: string): string => `${issuer}/account/callback`

/**
 * The server's own client, through which its JSON sign-in issues tokens and people come to their account pages. It is no
 * row: it can be neither changed nor removed, and its id is reserved.
 */
export const builtInClient = (issuer: string): Client =>
  Object.freeze({ ...BUILT_IN_CLIENT, redirectUris: Object.freeze([accountCallback(issuer)]) })

export const DOCS_CLIENT_ID = 'usher-docs'

/**
 * The client of the Authorize button in the description of the API: a page of this server, by code and PKCE. Like the one
 * above it is no row.
 */
export const docsClient = (redirectUri: string): Client =>
  Object.freeze({
    ...BUILT_IN_CLIENT,
    id: DOCS_CLIENT_ID,
    name: 'Usher API documentation',
    grantTypes: Object.freeze(['authorization_code']),
    redirectUris: Object.freeze([redirectUri]),
    scopes: Object.freeze(['openid']),
  })

/** What is the same on every server. */
export const BUILT_IN_CLIENT: Client = Object.freeze({
  id: 'usher',
  name: 'Usher',
  type: 'spa',
  secretDigest: undefined,
  firstParty: true,
  requirePkce: true,
  grantTypes: Object.freeze(['authorization_code', 'password', 'refresh_token']),
  redirectUris: Object.freeze([]),
  postLogoutRedirectUris: Object.freeze([]),
  scopes: Object.freeze(['openid', 'profile', 'email']),
  audience: undefined,
  accessTokenTtlSeconds: undefined,
  refreshTokenTtlSeconds: undefined,
  tokenEndpointAuthMethod: 'none',
  metadata: Object.freeze({}),
})
