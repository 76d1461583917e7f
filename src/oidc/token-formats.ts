/**
 * The two signed forms this server issues besides the ID token: access tokens (RFC 9068, `at+jwt`, published keys) and
 * refresh tokens (`rt+jwt`, a key of their own that is never published). Signing of access tokens is the engine's;
 * reading them back, and both ways of refresh tokens, are here.
 */
import type { ClaimsParameter } from 'oidc-provider'
import { type Clock, epochSeconds } from '../clock.ts'
import type { Keyring } from './keystore.ts'
import { createAccessTokenReader, createHs256, type ReadOwn } from './own-signatures.ts'
import { createVerifiedTokens } from './verified-tokens.ts'

/** Seconds by which clocks may differ; the engine, the stores' lives and our own checks all use this one value. */
export const CLOCK_TOLERANCE_SECONDS = 15

export interface AccessTokenClaims {
  iss: string
  sub: string
  aud: string
  client_id: string
  jti: string
  iat: number
  exp: number
  scope?: string
  /** When the sign-in began that it stems from, in milliseconds: what a not-before floor is compared with. */
  ims: number
  /** When the person proved to be who they are (RFC 9068 section 2.2.1); absent on client credentials. */
  auth_time?: number
  /** The grant; absent on client credentials. */
  gid?: string
  /** The session whose end ends this token; absent on offline grants. */
  suid?: string
  /** Claims asked for at userinfo by the `claims` parameter (OpenID Connect Core section 5.5). */
  uic?: ClaimsParameter['userinfo']
  /** The version of the access model that `roles` and `permissions` are at least as new as. */
  pv?: number
  roles?: string[]
  permissions?: string[]
  permissions_omitted?: true
  cnf?: { jkt?: string }
}

export interface RefreshTokenClaims {
  /** `<grant>.<family>.<random>`: the store keys follow from the token alone. */
  jti: string
  sub: string
  client_id: string
  iat: number
  exp: number
  /** As in access tokens: the sign-in, not this generation. */
  ims: number
}

/** Three base64url parts without padding or white space; what looser decoders forgive is refused here. */
const COMPACT = /^[\w-]{2,4096}\.[\w-]{2,16384}\.[\w-]{2,2048}$/

const MAX_LENGTH = 22_530

const isCompactJws = (value: unknown): value is string => typeof value === 'string' && COMPACT.test(value)

type Genuine = Record<string, unknown>

const ACCESS_CLAIMS = ['sub', 'aud', 'client_id', 'jti', 'iat', 'ims']
const REFRESH_CLAIMS = ['sub', 'client_id', 'jti', 'iat', 'ims']

export interface TokenFormats {
  /** The claims of a genuine, unexpired access token of this issuer; undefined for anything else. No store is asked. */
  verifyAccessToken(value: unknown): AccessTokenClaims | undefined
  /** The same, told apart: a genuine access token whose time is over, and whatever is none of this issuer's. */
  inspectAccessToken(value: unknown): AccessTokenClaims | 'expired' | 'unverifiable'
  /** Signs a refresh token (HS256, `typ: rt+jwt`). */
  signRefreshToken(claims: RefreshTokenClaims): string
  /** The claims of a genuine, unexpired refresh token; undefined for anything else. No store is asked. */
  verifyRefreshToken(value: unknown): RefreshTokenClaims | undefined
}

export function createTokenFormats(deps: { issuer: string; keyring: Keyring; clock: Clock }): TokenFormats {
  const { issuer, keyring, clock } = deps
  const readAccessToken = createAccessTokenReader(keyring.publicJwks().keys)
  const refreshTokens = createHs256(keyring.refreshTokenKeys, 'rt+jwt')
  const refreshAudience = `${issuer}/oauth2/token`

  /** RFC 7519 section 4.1, of a token whose signature is to be ours. The time is looked at last. */
  function genuine(value: unknown, read: ReadOwn, required: readonly string[]): Genuine | 'expired' | 'unverifiable' {
    const claims = isCompactJws(value) ? read(value) : undefined
    if (!claims || claims.iss !== issuer || required.some((name) => claims[name] === undefined)) return 'unverifiable'
    const { exp, nbf = 0 } = claims
    const now = epochSeconds(clock)
    if (typeof exp !== 'number' || typeof nbf !== 'number' || nbf > now + CLOCK_TOLERANCE_SECONDS) return 'unverifiable'
    return isOver(exp) ? 'expired' : claims
  }

  const isOver = (exp: number): boolean => exp <= epochSeconds(clock) - CLOCK_TOLERANCE_SECONDS

  const verified = createVerifiedTokens<AccessTokenClaims>()

  function inspectAccessToken(value: unknown): AccessTokenClaims | 'expired' | 'unverifiable' {
    if (typeof value !== 'string' || value.length > MAX_LENGTH) return 'unverifiable'
    const known = verified.find(value)
    if (known) return isOver(known.exp) ? 'expired' : known
    const claims = genuine(value, readAccessToken, ACCESS_CLAIMS)
    if (typeof claims === 'string') return claims
    const access = claims as unknown as AccessTokenClaims // the signature is ours, and so is the shape
    verified.keep(value, access)
    return access
  }

  return {
    inspectAccessToken,

    verifyAccessToken(value) {
      const claims = inspectAccessToken(value)
      return typeof claims === 'string' ? undefined : claims
    },

    signRefreshToken: (claims) => refreshTokens.sign({ ...claims, iss: issuer, aud: refreshAudience }),

    verifyRefreshToken(value) {
      const claims = genuine(value, refreshTokens.read, REFRESH_CLAIMS)
      if (typeof claims === 'string' || claims.aud !== refreshAudience) return undefined
      return claims as unknown as RefreshTokenClaims // the signature is ours, and so is the shape
    },
  }
}

/** Whole seconds for `iat`, milliseconds for `ims`, of one instant. */
export const issuedAt = (clock: Clock): { iat: number; ims: number } => ({ iat: epochSeconds(clock), ims: clock.now() })
