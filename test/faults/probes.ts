/** One request to each endpoint that needs a store, with everything it needs obtained while the stores were well. */
import { type CodeFlow, createAnna, createCodeFlow, PASSWORD, tokensOf } from '../support/code-flow.ts'
import type { Reply } from '../support/http.ts'
import type { World } from '../support/world.ts'

export type Probe = () => Promise<Reply>

const REDIRECT_URI = 'https://client.example/cb'

/** Makes the account and the client `app` that the probes use. */
export async function createProbedClient(world: World): Promise<CodeFlow> {
  await createAnna(world)
  const { secret } = await world.core.clients.create({
    id: 'app',
    type: 'web',
    firstParty: true,
    grantTypes: ['authorization_code', 'refresh_token', 'password', 'client_credentials'],
    redirectUris: [REDIRECT_URI],
  })
  return createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI })
}

/** What a store may be asked for, by name. Each may be sent once. */
export async function preparedProbes(flow: CodeFlow) {
  const agent = flow.newAgent()
  const tokens = tokensOf(await flow.redeem(await flow.authorize(agent)))
  const unredeemed = await flow.authorize(agent)
  const unused = tokensOf(await flow.redeem(await flow.authorize(agent)))
  // A revocation that is answered with 503 may be in force.
  const doomed = tokensOf(await flow.redeem(await flow.authorize(flow.newAgent())))
  const waiting = flow.newAgent()
  const signInPage = await waiting.open(flow.requestOf().url)
  const asBrowser = (url: string, { cookies } = agent) => {
    const { pathname, search } = new URL(url)
    const sent = cookies().filter(({ path }) => pathname.startsWith(path))
    return flow.get(pathname + search, {
      Accept: 'text/html',
      Cookie: sent.map(({ name, value }) => `${name}=${value}`).join('; '),
    })
  }
  return {
    tokens,
    unused,
    unredeemed,
    api: {
      'redeeming a code': () => flow.redeem(unredeemed),
      refreshing: () => flow.refresh(unused.refresh_token),
      'the password grant': () =>
        flow.post('/oauth2/token', { grant_type: 'password', username: 'anna', password: PASSWORD, scope: 'openid' }),
      'introspecting an access token': () => flow.introspect(tokens.access_token),
      'introspecting a refresh token': () => flow.introspect(tokens.refresh_token),
      'revoking an access token': () => flow.revoke(doomed.access_token),
      'revoking a refresh token': () => flow.revoke(doomed.refresh_token),
      userinfo: () => flow.userinfo(tokens.access_token),
      'pushing a request': () => {
        const { searchParams } = new URL(flow.requestOf().url)
        return flow.post('/oauth2/par', Object.fromEntries(searchParams))
      },
    } satisfies Record<string, Probe>,
    pages: {
      'authorizing with a session': () => asBrowser(flow.requestOf().url),
      'authorizing silently': () => asBrowser(flow.requestOf({ prompt: 'none' }).url),
      'authorizing without a session': () => asBrowser(flow.requestOf().url, flow.newAgent()),
      'the sign-in page': () => asBrowser(signInPage.url.href, waiting),
      'signing out': () => asBrowser(`${signInPage.url.origin}/oauth2/logout`),
    } satisfies Record<string, Probe>,
  }
}
