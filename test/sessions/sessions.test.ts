/** Where an account is signed in, over whole servers: what is listed, and that what is ended is dead at once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { SessionView } from '../../src/sessions/sessions.ts'
import {
  ANNA,
  type CodeFlow,
  createAnna,
  createCodeFlow,
  responseOf,
  type TokenResponse,
  tokensOf,
} from '../support/code-flow.ts'
import { send } from '../support/http.ts'
import { createUserAgent, type UserAgent } from '../support/user-agent.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

for (const [store, env] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`sessions over ${store}`, function () {
    this.timeout(20_000)
    let world: World
    let flow: CodeFlow
    let anna: string

    before(async function () {
      this.timeout(30_000)
      world = await startWorld({ servers: 2, env })
      anna = (await createAnna(world)).id
      await world.core.clients.create({
        id: 'app',
        name: 'The application',
        type: 'spa',
        firstParty: true,
        grantTypes: ['authorization_code', 'refresh_token', 'password'],
        redirectUris: [REDIRECT_URI],
        scopes: ['openid', 'email', 'offline_access'],
      })
      flow = createCodeFlow(world, { id: 'app', redirectUri: REDIRECT_URI })
    })
    /** A sign-in of the very millisecond in which everything is ended counts as one of before. */
    const letTimePass = () => sleep(25)
    beforeEach(async () => {
      await world.core.sessions.endAll(anna)
      await letTimePass()
    })
    after(() => world?.stop())

    /** Another process hears of it within a second. */
    const untilDead = async (tokens: TokenResponse, message: string) => {
      for (let waits = 0; waits < 40; waits += 1) {
        if ((await flow.userinfo(tokens.access_token)).status === 401) return
        await letTimePass()
      }
      expect.fail(`alive after a second: ${message}`)
    }

    const items = async (currentId?: string): Promise<SessionView[]> =>
      (await world.core.sessions.list(anna, { limit: 50, currentId })).items
    const passwordGrant = async (headers: Record<string, string> = {}): Promise<TokenResponse> => {
      const form = {
        grant_type: 'password',
        client_id: 'app',
        username: 'anna',
        password: ANNA.password,
        scope: 'openid',
      }
      return tokensOf(await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', { form, headers }))
    }
    const ownOf = (session: SessionView | undefined) => ({
      id: session?.id ?? '',
      signedInAtMs: Number(session?.firstSeenAt),
    })
    /** Whether the browser is sent back to the client without being asked to sign in. */
    const isSignedIn = async (agent: UserAgent): Promise<boolean> =>
      !(await flow.authorize(agent, { prompt: 'none' })).response.has('error')
    const isAlive = async ({ access_token, refresh_token }: TokenResponse): Promise<boolean> => {
      const access = await flow.userinfo(access_token, 1)
      const refresh = await flow.refresh(refresh_token, {}, 1)
      expect([access.status, refresh.status]).to.be.deep.oneOf([
        [200, 200],
        [401, 400],
      ])
      return access.status === 200
    }

    it('lists a browser session with client, address and times, once for all its tokens', async () => {
      const agent = flow.newAgent()
      await flow.tokens({ scope: 'openid' }, agent)
      await flow.tokens({ scope: 'openid email' }, agent)
      const [session, ...more] = await items()
      expect(more).to.deep.equal([])
      expect(session).to.include({
        kind: 'browser',
        clientId: 'app',
        clientName: 'The application',
        address: '127.0.0.1',
      })
      expect(Number(session?.lastSeenAt)).to.be.greaterThan(Number(session?.firstSeenAt))
    })

    it('lists a password grant by the device that signed in, also after a refresh from elsewhere', async () => {
      const tokens = await passwordGrant({ 'User-Agent': FIREFOX })
      const [before] = await items()
      expect(before).to.include({ kind: 'grant', browser: 'Firefox 140', system: 'Linux' })
      await sleep(5)
      tokensOf(await flow.refresh(tokens.refresh_token, {}, 1))
      const [after, ...more] = await items(before?.id)
      expect(more).to.deep.equal([])
      expect(after).to.deep.include({
        id: before?.id,
        isCurrent: true,
        browser: 'Firefox 140',
        firstSeenAt: before?.firstSeenAt,
      })
      expect(Number(after?.lastSeenAt)).to.be.greaterThan(Number(before?.lastSeenAt))
    })

    it('lists offline access by itself: it outlives its browser session', async () => {
      await flow.tokens({ scope: 'openid offline_access', prompt: 'consent' })
      expect((await items()).map(({ kind }) => kind).sort()).to.deep.equal(['browser', 'grant'])
    })

    it('reads in pages that neither repeat nor skip, and drop what has gone', async () => {
      for (let count = 0; count < 7; count += 1) await passwordGrant()
      const all = await items()
      await world.core.sessions.endOne(anna, all[2]?.id ?? '')
      const read: string[] = []
      let before: Parameters<World['core']['sessions']['list']>[1]['before']
      do {
        const page = await world.core.sessions.list(anna, { limit: 2, before })
        read.push(...page.items.map(({ id }) => id))
        before = page.next
      } while (before)
      expect(read).to.deep.equal(all.filter((_, place) => place !== 2).map(({ id }) => id))
    })

    it('ends one browser session: cookie, access and refresh tokens are dead at once, the others live', async () => {
      const [one, other] = [flow.newAgent(), flow.newAgent()]
      const others = await flow.tokens({}, other)
      const kept = (await items())[0]?.id
      const tokens = await flow.tokens({}, one)
      const ended = (await items()).find(({ id }) => id !== kept)
      await world.core.sessions.endOne(anna, ended?.id ?? '')
      expect(await isAlive(tokens)).to.equal(false)
      expect(await isSignedIn(one)).to.equal(false)
      expect([await isAlive(others), await isSignedIn(other)]).to.deep.equal([true, true])
      expect((await items()).map(({ id }) => id)).to.deep.equal([kept])
    })

    it('ends one grant and leaves the others', async () => {
      const [ended, kept] = [await passwordGrant(), await passwordGrant()]
      const [, first] = await items()
      await world.core.sessions.endOne(anna, first?.id ?? '')
      expect([await isAlive(ended), await isAlive(kept)]).to.deep.equal([false, true])
    })

    it('knows no session of another account, and none twice', async () => {
      const tokens = await passwordGrant()
      const [session] = await items()
      const stranger = '01939c4e-0000-7000-8000-000000000001'
      for (const [account, id] of [
        [stranger, session?.id],
        [anna, 'g.unknown-grant'],
        [anna, 's.unknown-session'],
        [anna, 'x'],
        [anna, 'g.a{b}c*d'],
      ] as const) {
        const refusal = await world.core.sessions.endOne(account, id ?? '').catch((error) => error)
        expect(refusal).to.have.property('code', 'not_found')
      }
      expect(await isAlive(tokens)).to.equal(true)
      await world.core.sessions.endOne(anna, session?.id ?? '')
      const again = await world.core.sessions.endOne(anna, session?.id ?? '').catch((error) => error)
      expect(again).to.have.property('code', 'not_found')
    })

    it('ends all others at once and spares the one that asks, whichever kind it is', async () => {
      const agents = [flow.newAgent(), flow.newAgent()] as const
      const browser = await flow.tokens({ scope: 'openid' }, agents[0])
      const [browserSession] = await items()
      const browserId = browserSession?.id ?? ''
      const rest = [await flow.tokens({ scope: 'openid' }, agents[1]), await passwordGrant()]
      await world.core.sessions.endOthers(anna, ownOf(browserSession))
      expect(await isAlive(browser)).to.equal(true)
      expect(await isSignedIn(agents[0])).to.equal(true)
      for (const tokens of rest) expect(await isAlive(tokens)).to.equal(false)
      expect(await isSignedIn(agents[1])).to.equal(false)
      expect((await items()).map(({ id }) => id)).to.deep.equal([browserId])

      const grant = await passwordGrant()
      const [grantSession] = await items()
      const grantId = grantSession?.id ?? ''
      await world.core.sessions.endOthers(anna, ownOf(grantSession))
      expect(await isAlive(grant)).to.equal(true)
      expect(await isSignedIn(agents[0])).to.equal(false)
      expect((await items()).map(({ id }) => id)).to.deep.equal([grantId])
    })

    it('lets no session that is ended save itself by ending the others at the same time', async () => {
      for (let round = 0; round < 10; round += 1) {
        await letTimePass()
        const tokens = await passwordGrant()
        const [own] = await items()
        const attempts = Array.from({ length: 4 }, () => world.core.sessions.endOthers(anna, ownOf(own)))
        await Promise.allSettled([...attempts.slice(2), world.core.sessions.endAll(anna), ...attempts])
        await untilDead(tokens, `round ${round}`)
        const refusal = await world.core.sessions.endOthers(anna, ownOf(own)).catch((error) => error)
        expect(refusal).to.have.property('code', 'unauthenticated')
      }
    })

    it('lets a code live no longer than the sign-in behind it', async () => {
      const authorization = await flow.authorize(flow.newAgent())
      await world.core.sessions.endAll(anna)
      expect((await flow.redeem(authorization)).status).to.equal(400)
    })

    it('lets no sign-in through whose password was checked before everything was ended', async () => {
      // The browser comes back with the answer to the right password just after.
      const agent = createUserAgent(async (url, { method, headers = {}, body } = {}) => {
        const { pathname, search } = new URL(url)
        if (/^\/oauth2\/authorize\/[\w-]+$/.test(pathname)) await world.core.sessions.endAll(anna)
        const form = body === undefined ? {} : { form: Object.fromEntries(new URLSearchParams(body)) }
        const address = world.servers[0]?.address ?? ''
        return send(address, world.issuer, pathname + search, { headers, ...form, ...(method ? { method } : {}) })
      })
      const request = flow.requestOf()
      const form = await agent.open(request.url)
      const page = await agent.submit(form, { fill: ANNA, press: 'login-submit' })
      const response = responseOf(page)
      const reply = await flow.redeem({ ...request, response, code: response.get('code') ?? '' })
      expect([reply.status, reply.json().error]).to.deep.equal([400, 'invalid_grant'])
      expect(await items()).to.deep.equal([])
    })
  })
}
