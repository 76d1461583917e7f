/** What every happy path has to satisfy, whatever module it belongs to. A warning of the suite is a failure here. */
import { createHash } from 'node:crypto'
import { expect } from 'chai'
import type { JWTPayload, JWTVerifyResult } from 'jose'
import type { Reply } from '../support/http.ts'
import type { Parameters } from '../support/relying-party.ts'

const YEAR_SECONDS = 365 * 86_400
const FRESH_SECONDS = 300

/** Claims an ID token may have unasked: about the token and the sign-in, not about the person. */
const UNASKED = ['iss', 'sub', 'aud', 'exp', 'iat', 'nonce', 'at_hash', 'auth_time', 'acr', 'amr', 'azp', 'sid', 'jti']

/** OpenID Connect Core section 5.1. */
const TYPES: Readonly<Record<string, 'string' | 'boolean' | 'number' | 'object'>> = {
  ...Object.fromEntries(
    ['sub', 'name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile', 'picture']
      .concat(['website', 'email', 'gender', 'birthdate', 'zoneinfo', 'locale', 'phone_number', 'acr'])
      .map((name) => [name, 'string' as const]),
  ),
  email_verified: 'boolean',
  phone_number_verified: 'boolean',
  address: 'object',
  updated_at: 'number',
  auth_time: 'number',
}

export interface TokenResponse {
  access_token: string
  id_token: string
  token_type: string
  expires_in: number
  scope?: string
  refresh_token?: string
}

/** RFC 9207 and RFC 6749 section 4.1.2. @returns the code */
export function checkAuthorizationResponse(response: Parameters, issuer: string, state: string | undefined): string {
  const { code = '', ...rest } = response
  expect(rest, 'authorization response').to.deep.equal({ iss: issuer, ...(state === undefined ? {} : { state }) })
  expect(code.length * 6, 'bits of the code by its length').to.be.at.least(128)
  expect(measuredEntropy(code), 'measured entropy of the code').to.be.at.least(96)
  return code
}

export function checkTokenResponse(reply: Reply): TokenResponse {
  expect(reply.status, reply.text).to.equal(200)
  expectUncachedJson(reply)
  const body = reply.json<TokenResponse & Record<string, unknown>>()
  expect(body).to.include.keys('access_token', 'id_token', 'token_type', 'expires_in')
  expect(body.token_type).to.equal('Bearer')
  expect(body.expires_in).to.be.a('number').that.is.greaterThan(0).and.at.most(YEAR_SECONDS)
  expect(measuredEntropy(body.access_token), 'measured entropy of the access token').to.be.at.least(96)
  return body
}

export interface IdTokenExpectations {
  nonce: string | undefined
  accessToken: string
  /** Names of the claims asked for by the `claims` parameter. */
  requested: readonly string[]
}

/** Beyond what verifying it proves (RFC 7519, OpenID Connect Core section 3.1.3.7). */
export function checkIdToken(
  token: JWTVerifyResult<JWTPayload>,
  { nonce, accessToken, requested }: IdTokenExpectations,
) {
  const { payload: claims, protectedHeader } = token
  expect(protectedHeader.kid, 'kid').to.be.a('string').that.is.not.equal('')
  const now = Date.now() / 1000
  expect(claims.iat, 'iat not in the future').to.be.at.most(now + 1)
  expect(claims.iat, 'iat fresh').to.be.at.least(now - FRESH_SECONDS)
  expect(claims.nonce, 'nonce').to.equal(nonce)
  if ('acr' in claims) expect(claims.acr, 'acr').to.not.equal('')
  expect(claims.sub, 'sub').to.be.a('string').with.lengthOf.within(1, 255)
  if ('at_hash' in claims) expect(claims.at_hash, 'at_hash').to.equal(halfHash(accessToken))
  const unexpected = Object.keys(claims).filter((name) => !UNASKED.includes(name) && !requested.includes(name))
  expect(unexpected, 'claims nobody asked for').to.deep.equal([])
  checkClaimTypes(claims)
}

export function checkUserinfo(reply: Reply, subject: string | undefined): Record<string, unknown> {
  expect(reply.status, reply.text).to.equal(200)
  expect(reply.headers['content-type'], 'content type').to.match(/^application\/json(;|$)/)
  const claims = reply.json()
  expect(claims.sub, 'sub of userinfo').to.equal(subject)
  checkClaimTypes(claims)
  return claims
}

/** RFC 6749 section 5.1: "Cache-Control" with a value of "no-store" wherever tokens are. */
export function expectUncachedJson({ headers }: Reply): void {
  expect(headers['content-type'], 'content type').to.match(/^application\/json(;|$)/)
  expect(headers['cache-control'], 'Cache-Control').to.include('no-store')
}

/** RFC 6749 section 5.2. */
export function expectOAuthError(reply: Reply, error: string): void {
  expect(reply.status, reply.text).to.equal(400)
  expectUncachedJson(reply)
  expect(reply.json().error).to.equal(error)
}

/** Bits by Shannon's formula over the characters that are there: an upper bound, as the suite measures it. */
export function measuredEntropy(text: string): number {
  const counts = new Map<string, number>()
  for (const letter of text) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  const shares = [...counts.values()].map((count) => count / text.length)
  return -text.length * shares.reduce((sum, share) => sum + share * Math.log2(share), 0)
}

function checkClaimTypes(claims: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(claims)) {
    const type = TYPES[name]
    if (type) expect(value, `type of ${name}`).to.be.a(type)
    if (type === 'string') expect(value, name).to.not.equal('')
  }
}

/** OpenID Connect Core section 3.1.3.6, for a token signed with SHA-256. */
const halfHash = (text: string): string =>
  createHash('sha256').update(text, 'ascii').digest().subarray(0, 16).toString('base64url')
