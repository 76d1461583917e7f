/** An access token that was found good, as handlers see it. */
import type { AccessTokenClaims } from './claims.ts'

export interface VerifiedToken {
  /** The account, or with client credentials the client. */
  readonly subject: string
  readonly clientId: string
  readonly scopes: ReadonlySet<string>
  /** All that the token says; frozen. */
  readonly claims: AccessTokenClaims
}

export const presentToken = (claims: AccessTokenClaims): VerifiedToken => ({
  subject: claims.sub,
  clientId: claims.client_id,
  scopes: new Set(claims.scope?.split(' ').filter(Boolean)),
  claims,
})
