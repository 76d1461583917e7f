/** A client application (RFC 6749 section 1.1) as registered here. */

export type ClientType = 'web' | 'spa' | 'native' | 'machine'
export type ClientAuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'

export interface Client {
  id: string
  name: string
  type: ClientType
  /** Undefined for public clients and private_key_jwt. */
  secretDigest: string | undefined
  firstParty: boolean
  requirePkce: boolean
  grantTypes: readonly string[]
  redirectUris: readonly string[]
  postLogoutRedirectUris: readonly string[]
  /** OpenID scopes and API scopes alike. */
  scopes: readonly string[]
  audience: string | undefined
  accessTokenTtlSeconds: number | undefined
  refreshTokenTtlSeconds: number | undefined
  tokenEndpointAuthMethod: ClientAuthMethod
  /** Other registered metadata by its RFC 7591 / OpenID names. */
  metadata: Readonly<Record<string, unknown>>
}
