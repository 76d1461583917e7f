/**
 * A client application as OpenID Connect Core section 3.1 and RFC 9700 want it: code flow with PKCE, state and nonce,
 * endpoints read from discovery, every token verified with the published keys before it is believed.
 */
import { createHash } from 'node:crypto'
import { createRemoteJWKSet, customFetch, decodeJwt, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { Clock } from '../clock.ts'
import { opaqueId } from '../ids.ts'
import type { CallIssuer } from './own-listener.ts'

export interface RelyingPartyDeps {
  issuer: string
  clientId: string
  redirectUri: string
  afterSignOut: string
  /** The `aud` that access tokens of this client must have. */
  audience: string
  scope: string
  call: CallIssuer
  clock: Clock
}

/** What a client keeps between its request and the answer; neither state nor verifier may be seen by anybody else. */
export interface PendingRequest {
  state: string
  nonce: string
  verifier: string
}

export interface Tokens {
  idToken: string
  accessToken: string
  refreshToken: string | undefined
}

/** The answer cannot be believed, or the server said no. `error` is its code, or ours. */
export class Refused extends Error {
  readonly error: string

  constructor(error: string, description: string, options?: ErrorOptions) {
    super(description, options)
    this.name = 'Refused'
    this.error = error
  }
}

export type RelyingParty = ReturnType<typeof createRelyingParty>

export function createRelyingParty(deps: RelyingPartyDeps) {
  const { issuer, clientId, redirectUri, call, clock } = deps
  let keys: JWTVerifyGetKey | undefined

  /** RFC 8414 section 3.3: "The issuer value returned MUST be identical to the authorization server's issuer identifier". */
  async function discover(): Promise<Record<string, string>> {
    const metadata = membersOf((await call(`${issuer}/.well-known/openid-configuration`)).body)
    if (metadata.issuer !== issuer) throw new Refused('invalid_issuer', 'discovery names another issuer')
    return metadata
  }

  async function publishedKeys(jwksUri: string): Promise<JWTVerifyGetKey> {
    keys ??= createRemoteJWKSet(new URL(jwksUri), {
      [customFetch]: async (url) => Response.json((await call(url)).body),
    })
    return keys
  }

  /** Exchanges a code or a refresh token and verifies what comes back. */
  async function requestTokens(form: Record<string, string>, nonce?: string): Promise<Tokens> {
    const metadata = await discover()
    const { status, body } = await call(metadata.token_endpoint ?? '', { form: { client_id: clientId, ...form } })
    const answer = membersOf(body)
    if (status !== 200)
      throw new Refused(answer.error ?? 'server_error', answer.error_description ?? `status ${status}`)
    const { id_token: idToken = '', access_token: accessToken = '', refresh_token: refreshToken } = answer
    const key = await publishedKeys(metadata.jwks_uri ?? '')
    await Promise.all([verifyIdToken(idToken, key, nonce), verifyAccessToken(accessToken, key)])
    return { idToken, accessToken, refreshToken }
  }

  /** OpenID Connect Core section 3.1.3.7; a refreshed ID token need not carry the nonce (section 12.2). */
  async function verifyIdToken(token: string, key: JWTVerifyGetKey, nonce?: string): Promise<void> {
    const payload = await verify(token, key, { audience: clientId, algorithms: ['ES256', 'RS256'] })
    if (nonce !== undefined && payload.nonce !== nonce) throw new Refused('invalid_token', 'the nonce is another one')
  }

  /** RFC 9068 section 4. */
  async function verifyAccessToken(token: string, key: JWTVerifyGetKey): Promise<void> {
    await verify(token, key, { audience: deps.audience, typ: 'at+jwt', algorithms: ['ES256', 'RS256'] })
  }

  async function verify(token: string, key: JWTVerifyGetKey, expected: object) {
    const requiredClaims = ['sub', 'iat', 'exp']
    const currentDate = new Date(clock.now())
    try {
      return (await jwtVerify(token, key, { ...expected, issuer, requiredClaims, currentDate, clockTolerance: 5 }))
        .payload
    } catch (cause) {
      if (!(cause instanceof errors.JOSEError)) throw cause
      throw new Refused('invalid_token', cause.message, { cause })
    }
  }

  return {
    /** Where to send the browser, and what to remember meanwhile. */
    async begin(): Promise<{ url: string; pending: PendingRequest }> {
      const { authorization_endpoint: endpoint = '' } = await discover()
      const pending = { state: opaqueId(), nonce: opaqueId(), verifier: opaqueId() }
      const parameters = new URLSearchParams({
        client_id: clientId,
        redirect_uri: redirectUri,
        response_type: 'code',
        scope: deps.scope,
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: createHash('sha256').update(pending.verifier).digest('base64url'),
        code_challenge_method: 'S256',
      })
      return { url: `${endpoint}?${parameters}`, pending }
    },

    /** Redeems the code of an authorization response. Throws Refused. */
    async finish(response: Readonly<Record<string, unknown>>, pending: PendingRequest): Promise<Tokens> {
      const { state, iss, code, error, error_description: description } = response
      if (state !== pending.state) throw new Refused('invalid_state', 'the answer belongs to another request')
      // RFC 9207 section 2.4: "Clients MUST then compare the extracted and URL-decoded value to the issuer identifier".
      if (iss !== issuer) throw new Refused('invalid_issuer', 'the answer comes from another issuer')
      if (typeof error === 'string') throw new Refused(error, typeof description === 'string' ? description : '')
      if (typeof code !== 'string') throw new Refused('invalid_response', 'the answer has no code')
      const grant = { grant_type: 'authorization_code', code, redirect_uri: redirectUri }
      return await requestTokens({ ...grant, code_verifier: pending.verifier }, pending.nonce)
    },

    /** Throws Refused, with `invalid_grant` when the refresh token is dead. */
    async refresh(before: Tokens): Promise<Tokens> {
      const form = { grant_type: 'refresh_token', refresh_token: before.refreshToken ?? '' }
      const tokens = await requestTokens(form)
      // OpenID Connect Core section 12.2: "its sub Claim Value MUST be the same as in the ID Token issued when the
      // original authentication occurred".
      const isSamePerson = decodeJwt(tokens.idToken).sub === decodeJwt(before.idToken).sub
      if (!isSamePerson) throw new Refused('invalid_token', 'the refreshed ID token is about somebody else')
      return tokens
    },

    /** The claims at the userinfo endpoint. Throws Refused. */
    async userinfo(accessToken: string): Promise<unknown> {
      const { userinfo_endpoint: endpoint = '' } = await discover()
      const { status, body } = await call(endpoint, { bearer: accessToken })
      const answer = membersOf(body)
      if (status === 200) return body
      throw new Refused(answer.error ?? 'server_error', answer.error_description ?? `status ${status}`)
    },

    /** RP-initiated logout by client_id: an id_token_hint in the address would put a token into histories and logs. */
    async signOutUrl(): Promise<string> {
      const { end_session_endpoint: endpoint } = await discover()
      const parameters = { client_id: clientId, post_logout_redirect_uri: deps.afterSignOut }
      return `${endpoint}?${new URLSearchParams(parameters)}`
    },
  }
}

/** The text members of a JSON object; everything else is none of ours. */
function membersOf(body: unknown): Record<string, string> {
  if (typeof body !== 'object' || body === null) return {}
  return Object.fromEntries(Object.entries(body).filter(([, value]) => typeof value === 'string'))
}
