/** Whose access token is presented to this server's own API: signature first, then one look at what has been revoked. */
import type { JudgeToken, TokenVerdict } from '../access/token-verdict.ts'
import type { Bearer, Identify, Identity } from '../http/authenticate.ts'
import { browserSessionId, grantSessionId } from '../sessions/session.ts'
import type { Revocation } from './revocation.ts'
import type { AccessTokenClaims, TokenFormats } from './token-formats.ts'

/**
 * Makes the judge of whatever token a service was shown. A revoked token whose time is over has expired; a
 * sender-constrained one is good only with a proof. One round trip.
 */
export function createTokenVerdict(deps: { tokens: TokenFormats; revocation: Revocation }): JudgeToken {
  return function verdictOn(token) {
    const claims = deps.tokens.inspectAccessToken(token)
    if (typeof claims === 'string') return claims
    if (claims.cnf !== undefined) return 'bound'
    const isRevoked = deps.revocation.deniesNow(claims)
    if (isRevoked === undefined) return deps.revocation.denies(claims).then(verdictOf)
    return verdictOf(isRevoked)
  }
}

const verdictOf = (isRevoked: boolean): TokenVerdict => (isRevoked ? 'revoked' : 'valid')

/**
 * Undefined for anything but a genuine, unexpired, unrevoked access token. A sender-constrained one (RFC 9449) would need
 * a proof that this API does not ask for. One round trip.
 */
export function createIdentify(deps: { tokens: TokenFormats; revocation: Revocation }): Identify {
  return function identify(token) {
    const claims = deps.tokens.verifyAccessToken(token)
    if (!claims || claims.cnf !== undefined) return undefined
    const isRevoked = deps.revocation.deniesNow(claims)
    if (isRevoked !== undefined) return isRevoked ? undefined : bearerOf(claims)
    return deps.revocation.denies(claims).then((isDead) => (isDead ? undefined : bearerOf(claims)))
  }
}

/** A token whose signature is remembered comes many times. */
const bearers = new WeakMap<AccessTokenClaims, Bearer>()

function bearerOf(claims: AccessTokenClaims): Bearer {
  const known = bearers.get(claims)
  if (known) return known
  const bearer = readBearer(claims)
  bearers.set(claims, bearer)
  return bearer
}

function readBearer(claims: AccessTokenClaims): Bearer {
  const { client_id: clientId, aud: audience } = claims
  const scopes = new Set(claims.scope?.split(' '))
  if (claims.gid === undefined) return { kind: 'client', clientId, scopes, audience, tokenId: claims.jti }
  const identity: Identity = {
    subject: claims.sub,
    clientId,
    grantId: claims.gid,
    sessionUid: claims.suid,
    session: {
      id: claims.suid === undefined ? grantSessionId(claims.gid) : browserSessionId(claims.suid),
      signedInAtMs: claims.ims,
    },
    scopes,
    audience,
    authTime: claims.auth_time ?? claims.iat,
  }
  return { kind: 'account', identity }
}
