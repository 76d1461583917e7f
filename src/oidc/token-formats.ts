/**
 * The two signed forms this server issues besides the ID token: access tokens (RFC 9068, `at+jwt`, published keys) and
 * refresh tokens (`rt+jwt`, a key of their own that is never published). Signing of access tokens is the engine's;
 * reading them back, and both ways of refresh tokens, are here.
 */
import { createLocalJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify, SignJWT } from 'jose'
import type { ClaimsParameter } from 'oidc-provider'
import { type Clock, epochSeconds } from '../clock.ts'
import type { Keyring } from './keystore.ts'
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

const isCompactJws = (value: unknown): value is string => typeof value === 'string' && COMPACT.test(value)

export interface TokenFormats {
  /** The claims of a genuine, unexpired access token of this issuer; undefined for anything else. No store is asked. */
  verifyAccessToken(value: unknown): Promise<AccessTokenClaims | undefined>
  /** The same, told apart: a genuine access token whose time is over, and whatever is none of this issuer's. */
  inspectAccessToken(value: unknown): Promise<AccessTokenClaims | 'expired' | 'unverifiable'>
  /** Signs a refresh token (HS256, `typ: rt+jwt`). */
  signRefreshToken(claims: RefreshTokenClaims): Promise<string>
  /** The claims of a genuine, unexpired refresh token; undefined for anything else. No store is asked. */
  verifyRefreshToken(value: unknown): Promise<RefreshTokenClaims | undefined>
}

export function createTokenFormats(deps: { issuer: string; keyring: Keyring; clock: Clock }): TokenFormats {
  const { issuer, keyring, clock } = deps
  const published = createLocalJWKSet(keyring.publicJwks())
  const refreshKeys = new Map(keyring.refreshTokenKeys.map(({ kid, secret }) => [kid, secret]))
  const refreshAudience = `${issuer}/oauth2/token`

  const refreshKeyOf: JWTVerifyGetKey = ({ kid }) => {
    const key = refreshKeys.get(kid ?? '')
    if (!key) throw new errors.JWKSNoMatchingKey()
    return key
  }

  const verify = async (
    value: unknown,
    key: JWTVerifyGetKey,
    expected: { typ: string; audience?: string; algorithms: string[]; requiredClaims: string[] },
  ): Promise<JWTPayload | 'expired' | 'unverifiable'> => {
    if (!isCompactJws(value)) return 'unverifiable'
    try {
      const { payload } = await jwtVerify(value, key, {
        ...expected,
        issuer,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(clock.now()),
      })
      return payload
    } catch (error) {
      // It looks at times last, when everything else was found genuine.
      if (error instanceof errors.JWTExpired) return 'expired'
      if (error instanceof errors.JOSEError) return 'unverifiable'
      throw error
    }
  }

  const verified = createVerifiedTokens<AccessTokenClaims>()

  async function inspectAccessToken(value: unknown): Promise<AccessTokenClaims | 'expired' | 'unverifiable'> {
    if (!isCompactJws(value)) return 'unverifiable'
    const known = verified.find(value)
    if (known) return known.exp + CLOCK_TOLERANCE_SECONDS > epochSeconds(clock) ? known : 'expired'
    const claims = await verify(value, published, {
      typ: 'at+jwt',
      algorithms: ['ES256', 'RS256'],
      requiredClaims: ['sub', 'aud', 'client_id', 'jti', 'iat', 'exp', 'ims'],
    })
    if (typeof claims === 'string') return claims
    const genuine = claims as JWTPayload & AccessTokenClaims // the signature is ours, and so is the shape
    verified.keep(value, genuine)
    return genuine
  }

  return {
    inspectAccessToken,

    async verifyAccessToken(value) {
      const claims = await inspectAccessToken(value)
      return typeof claims === 'string' ? undefined : claims
    },

    async signRefreshToken(claims) {
      const [signing] = keyring.refreshTokenKeys
      if (!signing) throw new Error('the key ring holds no refresh token key')
      return new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'HS256', typ: 'rt+jwt', kid: signing.kid })
        .setIssuer(issuer)
        .setAudience(refreshAudience)
        .sign(signing.secret)
    },

    async verifyRefreshToken(value) {
      const claims = await verify(value, refreshKeyOf, {
        typ: 'rt+jwt',
        audience: refreshAudience,
        algorithms: ['HS256'],
        requiredClaims: ['sub', 'client_id', 'jti', 'iat', 'exp', 'ims'],
      })
      if (typeof claims === 'string') return undefined
      return claims as JWTPayload & RefreshTokenClaims // the signature is ours, and so is the shape
    },
  }
}

/** Whole seconds for `iat`, milliseconds for `ims`, of one instant. */
export const issuedAt = (clock: Clock): { iat: number; ims: number } => ({ iat: epochSeconds(clock), ims: clock.now() })
