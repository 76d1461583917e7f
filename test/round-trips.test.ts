/**
 * What an operation asks of the stores, exactly: a change that adds a round trip, or saves one, must say so here. Clients
 * are in the cache, and signatures are checked without a store. Roles and permissions are in memory; what confirms that
 * memory once in 800 ms belongs to no operation, and is counted by itself.
 */
import { expect } from 'chai'
import {
  type CodeFlow,
  createAnna,
  createCodeFlow,
  PASSWORD,
  type TokenResponse,
  tokensOf,
} from './support/code-flow.ts'
import { type CountedWorld, startCountedWorld } from './support/counted-world.ts'
import type { UserAgent } from './support/user-agent.ts'

const REDIRECT_URI = 'https://client.example/cb'

/** Prepares one request, and answers the work that is counted. */
type Prepare = () => Promise<() => Promise<unknown>>
/** Round trips to Redis and to SQL. */
type Trips = readonly [redis: number, sql: number]

describe('round trips', () => {
  let world: CountedWorld
  let flow: CodeFlow
  let agent: UserAgent

  before(async function () {
    this.timeout(30_000)
    world = await startCountedWorld()
    await createAnna(world)
    const { secret } = await world.core.clients.create({
      id: 'app',
      type: 'web',
      firstParty: true,
      grantTypes: ['authorization_code', 'refresh_token', 'password', 'client_credentials'],
      redirectUris: [REDIRECT_URI],
    })
    flow = createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI })
    agent = flow.newAgent()
    await flow.authorize(agent)
    // Scripts travel once per connection as text.
    const tokens = await fresh()
    const rotated = tokensOf(await flow.refresh(tokens.refresh_token))
    await flow.refresh(tokens.refresh_token)
    await flow.revoke(rotated.refresh_token)
  })
  after(() => world?.stop())

  const fresh = async (): Promise<TokenResponse> =>
    tokensOf(await flow.redeem(await flow.authorize(agent, { prompt: 'none' })))
  const withTokens =
    (work: (tokens: TokenResponse) => Promise<unknown>): Prepare =>
    async () => {
      const tokens = await fresh()
      return () => work(tokens)
    }
  const always =
    (work: () => Promise<unknown>): Prepare =>
    async () =>
      work

  const client = (form: Record<string, string>) => flow.post('/oauth2/token', form)
  const pageOf = async (person: UserAgent) => person.open(flow.requestOf().url)

  /** `aim` is the budget an operation should come down to, where it is not there yet. */
  const ROWS: [operation: string, is: Trips, aim: Trips | undefined, prepare: Prepare][] = [
    ['the published keys', [0, 0], undefined, always(() => flow.get('/.well-known/jwks.json'))],
    ['the published metadata', [0, 0], undefined, always(() => flow.get('/.well-known/openid-configuration'))],
    ['client credentials', [0, 0], undefined, always(() => client({ grant_type: 'client_credentials' }))],
    ['introspecting an access token', [0, 0], undefined, withTokens((tokens) => flow.introspect(tokens.access_token))],
    ['introspecting a refresh token', [1, 0], undefined, withTokens((tokens) => flow.introspect(tokens.refresh_token))],
    ['introspecting what is no token', [0, 0], undefined, always(() => flow.introspect('a.b.c'))],
    ['revoking an access token', [1, 1], undefined, withTokens((tokens) => flow.revoke(tokens.access_token))],
    ['revoking a refresh token', [2, 1], [1, 1], withTokens((tokens) => flow.revoke(tokens.refresh_token))],
    ['userinfo', [4, 1], [1, 1], withTokens((tokens) => flow.userinfo(tokens.access_token))],
    ['refreshing', [8, 1], [1, 0], withTokens((tokens) => flow.refresh(tokens.refresh_token))],
    ['a forged refresh token', [0, 0], undefined, withTokens((tokens) => flow.refresh(`${tokens.refresh_token}x`))],
    [
      'repeating a refresh',
      [6, 1],
      [1, 0],
      async () => {
        const { refresh_token: token } = await fresh()
        tokensOf(await flow.refresh(token))
        return () => flow.refresh(token)
      },
    ],
    [
      'redeeming a code',
      [7, 1],
      [1, 0],
      async () => {
        const authorization = await flow.authorize(agent, { prompt: 'none' })
        return () => flow.redeem(authorization)
      },
    ],
    ['authorizing with a session', [6, 1], undefined, always(() => flow.authorize(agent, { prompt: 'none' }))],
    ['showing the sign-in page', [2, 0], undefined, always(() => pageOf(flow.newAgent()))],
    [
      'signing in by the page, to the code',
      [16, 3],
      undefined,
      async () => {
        const person = flow.newAgent()
        const page = await pageOf(person)
        const fill = { login: 'anna', password: PASSWORD }
        return () => person.submit(page, { fill, press: 'login-submit' })
      },
    ],
    [
      'the password grant',
      [10, 3],
      [1, 1],
      always(() => client({ grant_type: 'password', username: 'anna', password: PASSWORD, scope: 'openid' })),
    ],
  ]

  for (const [operation, [redis, sql], aim, prepare] of ROWS) {
    it(`${operation}: ${redis} of Redis, ${sql} of SQL${aim ? `; to become ${aim.join(' and ')}` : ''}`, async () => {
      const ask = await prepare()
      await client({ grant_type: 'client_credentials' }) // so that the client is in the cache
      const { counts } = await world.counting(ask)
      expect(counts).to.deep.equal({ redis, sql })
    })
  }

  it('a hundred decisions: nothing but one confirmation of what is remembered', async () => {
    const { id } = await world.core.accounts.create({ email: 'decided@example.org' })
    await world.core.decisions.decide(id, 'movies:edit')
    const [begunMs, before] = [performance.now(), world.confirmations()]
    const { counts } = await world.counting(async () => {
      for (let count = 0; count < 100; count += 1) await world.core.decisions.decide(id, { any: ['a', `b${count}`] })
    })
    expect(counts).to.deep.equal({ redis: 0, sql: 0 })
    const windows = 1 + Math.floor((performance.now() - begunMs) / 800)
    expect(world.confirmations() - before).to.be.at.most(windows)
  })
})
