/**
 * A relying party as a stranger would write it: it knows the issuer, its own credentials and what the specifications
 * say, and speaks HTTP. Signatures are checked by jose with the published keys.
 */
import { expect } from 'chai'
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, type JWTVerifyResult, jwtVerify } from 'jose'
import { formsOf } from './html-form.ts'
import { basic, type Reply } from './http.ts'
import type { Exchange } from './tls.ts'
import { type Page, redirectOf } from './user-agent.ts'

export interface Registration {
  id: string
  secret: string
  authentication: 'client_secret_basic' | 'client_secret_post'
  redirectUri: string
  postLogoutRedirectUri: string
}

type Address = 'issuer' | 'jwks_uri' | `${'authorization' | 'token' | 'userinfo' | 'end_session'}_endpoint`
export type Metadata = Record<string, unknown> & Record<Address, string>

export type Parameters = Record<string, string>

export interface RelyingParty {
  registration: Registration
  authorizationUrl(parameters: Parameters): URL
  /** What came back to the redirect URI, by redirect or by a form that posts itself; undefined for any other page. */
  responseOn(page: Page): Parameters | undefined
  /** A token request with client authentication. */
  token(form: Parameters): Promise<Reply>
  redeem(code: string, extra?: Parameters): Promise<Reply>
  refresh(refreshToken: string): Promise<Reply>
  userinfo(accessToken: string, how?: 'get' | 'post-header' | 'post-body'): Promise<Reply>
  /** Signature, issuer, audience and times; anything wrong throws. */
  verifyIdToken(idToken: string): Promise<JWTVerifyResult<JWTPayload>>
  logoutUrl(parameters: Parameters): URL
}

export async function discover(exchange: Exchange, issuer: string): Promise<Metadata> {
  const reply = await exchange(`${issuer}/.well-known/openid-configuration`)
  expect(reply.status, 'discovery').to.equal(200)
  return reply.json<Metadata>()
}

/** The published keys. Every one has a kid of its own, and none has a private member. */
export async function fetchKeys(exchange: Exchange, jwksUri: string): Promise<JSONWebKeySet> {
  const reply = await exchange(jwksUri)
  expect(reply.status, 'JWKS').to.equal(200)
  const jwks = reply.json<JSONWebKeySet & Record<string, unknown>>()
  const kids = jwks.keys.map(({ kid }) => kid)
  expect(kids, 'kid of every key').to.not.include(undefined)
  expect(new Set(kids).size, 'distinct kids').to.equal(kids.length)
  for (const key of jwks.keys) expect(key).to.not.have.any.keys('d', 'p', 'q', 'dp', 'dq', 'qi', 'k')
  return jwks
}

export function createRelyingParty(options: {
  exchange: Exchange
  metadata: Metadata
  jwks: JSONWebKeySet
  registration: Registration
}): RelyingParty {
  const { exchange, metadata, registration } = options
  const { id, secret, authentication, redirectUri } = registration
  const keys = createLocalJWKSet(options.jwks)
  const isBasic = authentication === 'client_secret_basic'

  const post = (url: string, form: Parameters, headers: Record<string, string> = {}) =>
    exchange(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString(),
    })

  const token = (form: Parameters) =>
    isBasic
      ? post(metadata.token_endpoint, form, { Authorization: basic(id, secret) })
      : post(metadata.token_endpoint, { ...form, client_id: id, client_secret: secret })

  return {
    registration,
    token,
    authorizationUrl: (parameters) => withQuery(metadata.authorization_endpoint, parameters),
    logoutUrl: (parameters) => withQuery(metadata.end_session_endpoint, parameters),
    responseOn: (page) => redirectedParameters(page, redirectUri) ?? postedParameters(page, redirectUri),
    redeem: (code, extra = {}) =>
      token({ grant_type: 'authorization_code', code, redirect_uri: redirectUri, ...extra }),
    refresh: (refreshToken) => token({ grant_type: 'refresh_token', refresh_token: refreshToken }),
    async userinfo(accessToken, how = 'get') {
      const url = metadata.userinfo_endpoint
      const headers = { Authorization: `Bearer ${accessToken}` }
      if (how === 'post-body') return post(url, { access_token: accessToken })
      return how === 'get' ? exchange(url, { headers }) : post(url, {}, headers)
    },
    verifyIdToken: (idToken) =>
      jwtVerify(idToken, keys, {
        issuer: metadata.issuer,
        audience: id,
        algorithms: ['RS256'],
        requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
      }),
  }
}

function withQuery(endpoint: string, parameters: Parameters): URL {
  const url = new URL(endpoint)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.append(name, value)
  return url
}

function redirectedParameters(page: Page, redirectUri: string): Parameters | undefined {
  const target = redirectOf(page)
  if (!target || `${target.origin}${target.pathname}` !== redirectUri) return undefined
  expect(target.hash, 'no fragment').to.equal('')
  return once([...target.searchParams])
}

/** OAuth 2.0 Form Post Response Mode section 2. */
function postedParameters({ text, status }: Page, redirectUri: string): Parameters | undefined {
  const form = formsOf(text).find(({ action }) => action === redirectUri)
  if (!form) return undefined
  expect([form.method, status < 500], 'a form that posts').to.deep.equal(['POST', true])
  expect(text, 'a form that posts itself').to.match(/forms\[0\]\.submit\(\)/)
  return once(form.controls.flatMap(({ name, value }) => (name === undefined ? [] : [[name, value]])))
}

function once(pairs: string[][]): Parameters {
  const names = pairs.map(([name]) => name)
  expect(new Set(names).size, 'no parameter twice').to.equal(names.length)
  return Object.fromEntries(pairs)
}
