/** A client application that gets its tokens by the code flow from one of several server processes. */
import { createHash, randomBytes } from 'node:crypto'
import { hasId } from './html-form.ts'
import { basic, type Reply, send } from './http.ts'
import { createUserAgent, type Page, redirectOf, type UserAgent } from './user-agent.ts'
import type { World } from './world.ts'

/** Server processes over one store, and the issuer they share. */
export interface Reachable {
  issuer: string
  servers: readonly { address: string }[]
}

export interface Registered {
  id: string
  /** Sent by client_secret_basic; a public client has none and sends its id. */
  secret?: string | undefined
  redirectUri: string
}

export interface TokenResponse {
  access_token: string
  refresh_token: string
  id_token: string
  token_type: string
  expires_in: number
  scope: string
}

/** A code with everything that is needed to redeem it. */
export interface Authorization {
  code: string
  verifier: string
  state: string
  nonce: string
  /** All parameters of the authorization response. */
  response: URLSearchParams
}

export const PASSWORD = 'correct horse battery staple'

/** The account that signs in when nobody else is named. */
export const ANNA = { login: 'anna@example.org', password: PASSWORD }

export const createAnna = (world: Pick<World, 'core'>) =>
  world.core.accounts.create({
    email: ANNA.login,
    username: 'anna',
    password: PASSWORD,
    firstName: 'Anna',
    lastName: 'Berg',
    emailVerified: true,
  })

export type CodeFlow = ReturnType<typeof createCodeFlow>

/** Requests go to the first server process, or to the one whose place is given as `server`. */
export function createCodeFlow(world: Reachable, client: Registered) {
  const { issuer } = world
  const addressOf = (server = 0): string => world.servers[server]?.address ?? ''
  const identification: Record<string, string> = client.secret ? {} : { client_id: client.id }
  const authentication: Record<string, string> = client.secret ? { Authorization: basic(client.id, client.secret) } : {}

  /** A POST as this client. */
  const post = (
    path: string,
    form: Record<string, string>,
    server?: number,
    headers: Record<string, string> = {},
  ): Promise<Reply> =>
    send(addressOf(server), issuer, path, {
      form: { ...identification, ...form },
      headers: { ...authentication, ...headers },
    })

  /** A fresh browser profile. */
  const newAgent = (server?: number): UserAgent =>
    createUserAgent(async (url, { method, headers = {}, body } = {}) => {
      const { pathname, search } = new URL(url)
      const form = body === undefined ? {} : { form: Object.fromEntries(new URLSearchParams(body)) }
      return send(addressOf(server), issuer, pathname + search, { headers, ...form, ...(method ? { method } : {}) })
    })

  /** A URL of the authorization endpoint, with what must be kept until the answer. */
  const requestOf = (params: Record<string, string> = {}) => {
    const verifier = randomBytes(32).toString('base64url')
    const state = randomBytes(12).toString('base64url')
    const nonce = randomBytes(12).toString('base64url')
    const query = new URLSearchParams({
      client_id: client.id,
      redirect_uri: client.redirectUri,
      response_type: 'code',
      scope: 'openid',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      state,
      nonce,
      ...params,
    })
    return { url: `${issuer}/oauth2/authorize?${query}`, verifier, state, nonce }
  }

  /** An authorization request through to its answer; signs in and consents where a page asks for it. */
  const authorize = async (
    agent: UserAgent,
    params: Record<string, string> = {},
    fill: { login: string; password: string } = ANNA,
  ): Promise<Authorization> => {
    const { url, ...kept } = requestOf(params)
    let page = await agent.open(url)
    if (hasId(page.text, 'login-submit')) page = await agent.submit(page, { fill, press: 'login-submit' })
    if (hasId(page.text, 'consent-submit')) page = await agent.submit(page, { press: 'consent-submit' })
    const response = responseOf(page)
    return { ...kept, code: response.get('code') ?? '', response }
  }

  const redeem = ({ code, verifier }: Authorization, more: Record<string, string> = {}, server?: number) =>
    post(
      '/oauth2/token',
      { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: client.redirectUri, ...more },
      server,
    )

  const refresh = (
    token: string,
    more: Record<string, string> = {},
    server?: number,
    headers?: Record<string, string>,
  ) => post('/oauth2/token', { grant_type: 'refresh_token', refresh_token: token, ...more }, server, headers)

  return {
    client,
    post,
    newAgent,
    requestOf,
    authorize,
    redeem,
    refresh,
    introspect: (token: string, server?: number) => post('/oauth2/introspect', { token }, server),
    revoke: (token: string, server?: number) => post('/oauth2/revoke', { token }, server),
    userinfo: (accessToken: string, server?: number) =>
      send(addressOf(server), issuer, '/oauth2/userinfo', { headers: { Authorization: `Bearer ${accessToken}` } }),

    /** A GET by nobody in particular. */
    get: (path: string, headers: Record<string, string> = {}, server?: number) =>
      send(addressOf(server), issuer, path, { headers }),

    /** Tokens of a sign-in of their own. */
    async tokens(params: Record<string, string> = {}, agent = newAgent()): Promise<TokenResponse> {
      return tokensOf(await redeem(await authorize(agent, params)))
    },
  }
}

export function tokensOf(reply: Reply): TokenResponse {
  if (reply.status !== 200) throw new Error(`no tokens: ${reply.status} ${reply.text}`)
  return reply.json<TokenResponse>()
}

/** The parameters with which a page sends the browser back to the client. */
export function responseOf(page: Page): URLSearchParams {
  const target = redirectOf(page)
  if (!target || target.origin === page.url.origin) throw new Error(`no way back: ${page.status} ${page.text}`)
  return target.searchParams
}
