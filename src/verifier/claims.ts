/** What an access token says (RFC 9068 section 2.2), and the rules it has to meet to be believed (section 4). */
import { TokenError } from './errors.ts'

export interface AccessTokenClaims {
  readonly iss: string
  /** The account, or with client credentials the client. */
  readonly sub: string
  readonly aud: string | readonly string[]
  readonly client_id: string
  readonly jti: string
  readonly iat: number
  readonly exp: number
  readonly nbf?: number
  readonly scope?: string
  readonly auth_time?: number
  /** The version of the access model that roles and permissions are at least as new as. */
  readonly pv?: number
  readonly roles?: readonly string[]
  readonly permissions?: readonly string[]
  /** There are too many to put into a token; the server has to be asked. */
  readonly permissions_omitted?: boolean
  /** What revocation names: the sign-in in milliseconds, the grant, the session. */
  readonly ims?: number
  readonly gid?: string
  readonly suid?: string
  readonly [claim: string]: unknown
}

export interface Expected {
  issuer: string
  audience: string
  clockToleranceSeconds: number
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value)
const isList = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'string')
const isAudience = (value: unknown): boolean => isText(value) || isList(value)

const REQUIRED: Readonly<Record<string, (value: unknown) => boolean>> = {
  iss: isText,
  sub: isText,
  aud: isAudience,
  client_id: isText,
  jti: isText,
  iat: isNumber,
  exp: isNumber,
}
const OPTIONAL: typeof REQUIRED = {
  nbf: isNumber,
  scope: (value) => typeof value === 'string',
  auth_time: isNumber,
  pv: isNumber,
  roles: isList,
  permissions: isList,
  ims: isNumber,
  gid: isText,
  suid: isText,
}

/**
 * The claims of a payload whose signature is true, frozen, because all requests with the token share them. Throws
 * TokenError missing_claim, sender_constrained, wrong_issuer or wrong_audience.
 */
export function readClaims(payload: Record<string, unknown>, { issuer, audience }: Expected): AccessTokenClaims {
  for (const [name, isWellFormed] of Object.entries(REQUIRED)) {
    if (!isWellFormed(payload[name])) throw missing(name)
  }
  for (const [name, isWellFormed] of Object.entries(OPTIONAL)) {
    if (payload[name] !== undefined && !isWellFormed(payload[name])) throw missing(name)
  }
  // RFC 9449 section 7.1: without its proof a bound token is worth nothing, and proofs are not read here.
  if (payload.cnf !== undefined) throw new TokenError('sender_constrained', 'The token is bound to a key (cnf).')
  const claims = deepFrozen(payload) as AccessTokenClaims // every member has been looked at
  if (claims.iss !== issuer) throw new TokenError('wrong_issuer', `The token was issued by ${claims.iss}.`)
  if (![claims.aud].flat().includes(audience)) {
    throw new TokenError('wrong_audience', `The token is for ${[claims.aud].flat().join(', ')}.`)
  }
  return claims
}

/** Throws TokenError expired or not_yet_valid. */
export function checkTimes({ exp, nbf }: AccessTokenClaims, nowMs: number, { clockToleranceSeconds }: Expected): void {
  const now = nowMs / 1000
  // RFC 7519 section 4.1.4: "the current date/time MUST be before the expiration date/time", by differing clocks.
  if (exp <= now - clockToleranceSeconds) throw new TokenError('expired', 'The token has expired.')
  if (nbf !== undefined && nbf > now + clockToleranceSeconds) {
    throw new TokenError('not_yet_valid', 'The token is not valid yet.')
  }
}

const missing = (name: string) => new TokenError('missing_claim', `The token has no well-formed ${name}.`)

function deepFrozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFrozen(member)
  return Object.freeze(value)
}
