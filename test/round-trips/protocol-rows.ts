/** What the endpoints of OAuth 2.0 and OpenID Connect cost, and what a browser sees of a sign-in. */
import { setTimeout as sleep } from 'node:timers/promises'
import { PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import type { Cast, Prepare, Rows } from './cast.ts'

const plainly =
  (work: (cast: Cast) => Promise<unknown>): Prepare =>
  (cast) =>
  () =>
    work(cast)

const withTokens =
  (work: (cast: Cast, tokens: TokenResponse) => Promise<unknown>): Prepare =>
  async (cast) => {
    const tokens = await cast.fresh()
    return () => work(cast, tokens)
  }

const document: Prepare = (_, call) => () => call({ bearer: '' })
/** A report is given again for a second. */
const behindTheReport: Prepare = async (_, call) => {
  await sleep(1_100)
  return () => call({ bearer: '' })
}
const authorizing = { prompt: 'none' }

export const PROTOCOL_ROWS: Rows = {
  'GET /.well-known/openid-configuration': [0, 0, document],
  'GET /.well-known/oauth-authorization-server': [0, 0, document],
  'GET /.well-known/jwks.json': [0, 0, document],
  'GET /.well-known/change-password': [0, 0, document],
  'GET /openapi.json': [0, 0, document],
  'GET /healthz': [0, 0, document],
  'GET /readyz': [1, 1, behindTheReport],

  'POST /oauth2/token, client credentials': [0, 0, plainly(({ grant }) => grant({ grant_type: 'client_credentials' }))],
  'POST /oauth2/token, redeeming a code': [
    7,
    1,
    async ({ flow, agent }) => {
      const authorization = await flow.authorize(agent, authorizing)
      return async () => tokensOf(await flow.redeem(authorization))
    },
    [1, 0],
  ],
  'POST /oauth2/token, refreshing': [
    4,
    0,
    withTokens(async ({ flow }, tokens) => tokensOf(await flow.refresh(tokens.refresh_token))),
    [1, 0],
  ],
  'POST /oauth2/token, repeating a refresh': [
    7,
    1,
    async ({ flow, fresh }) => {
      const { refresh_token: token } = await fresh()
      tokensOf(await flow.refresh(token))
      return async () => tokensOf(await flow.refresh(token))
    },
    [1, 0],
  ],
  'POST /oauth2/token, a forged refresh token': [
    0,
    0,
    withTokens(({ flow }, tokens) => flow.refresh(`${tokens.refresh_token}x`)),
  ],
  'POST /oauth2/token, a password': [
    5,
    2,
    plainly(async ({ grant }) =>
      tokensOf(await grant({ grant_type: 'password', username: 'anna', password: PASSWORD, scope: 'openid' })),
    ),
    [1, 2],
  ],

  'POST /oauth2/introspect, an access token': [
    0,
    0,
    withTokens(({ flow }, tokens) => flow.introspect(tokens.access_token)),
  ],
  // Of a token that lives as long as its session, the session too.
  'POST /oauth2/introspect, a refresh token': [
    3,
    0,
    withTokens(({ flow }, tokens) => flow.introspect(tokens.refresh_token)),
    [1, 0],
  ],
  'POST /oauth2/introspect, what is no token': [0, 0, plainly(({ flow }) => flow.introspect('a.b.c'))],
  'POST /oauth2/revoke, an access token': [1, 1, withTokens(({ flow }, tokens) => flow.revoke(tokens.access_token))],
  'POST /oauth2/revoke, a refresh token': [
    2,
    1,
    withTokens(({ flow }, tokens) => flow.revoke(tokens.refresh_token)),
    [1, 1],
  ],
  // Of a token that lives as long as its session, the session too.
  'GET /oauth2/userinfo': [3, 0, withTokens(({ flow }, tokens) => flow.userinfo(tokens.access_token))],
  'POST /oauth2/userinfo': [
    4,
    1,
    withTokens(({ ask }, tokens) => ask('POST', '/oauth2/userinfo', { bearer: tokens.access_token })),
  ],
  'POST /oauth2/par': [
    1,
    0,
    plainly(({ flow }) => flow.post('/oauth2/par', Object.fromEntries(new URL(flow.requestOf().url).searchParams))),
  ],

  'GET /oauth2/authorize, with a session': [5, 1, plainly(({ flow, agent }) => flow.authorize(agent, authorizing))],
  'GET /oauth2/authorize, to the sign-in page': [2, 0, plainly(({ flow, signInPage }) => signInPage(flow.newAgent()))],
  'POST /oauth2/authorize': [
    0,
    0,
    plainly(({ flow }) =>
      flow.post('/oauth2/authorize', Object.fromEntries(new URL(flow.requestOf().url).searchParams)),
    ),
  ],
  'POST /sign-in/{uid}, to the code': [
    11,
    3,
    async ({ flow, signInPage, anna }) => {
      const browser = flow.newAgent()
      const page = await signInPage(browser)
      return () => browser.submit(page, { fill: anna, press: 'login-submit' })
    },
    [1, 2],
  ],
  'GET /oauth2/logout': [
    3,
    0,
    async ({ flow, world, anna }) => {
      const browser = flow.newAgent()
      const { id_token: hint } = tokensOf(await flow.redeem(await flow.authorize(browser, {}, anna)))
      return () => browser.open(`${world.issuer}/oauth2/logout?id_token_hint=${hint}`)
    },
  ],
  'GET /account/sessions': [
    5,
    1,
    async ({ agent, world }) => {
      await agent.open(`${world.issuer}/account/sessions`)
      return () => agent.open(`${world.issuer}/account/sessions`)
    },
    [1, 1],
  ],
}
