/** /api/v1/me: the account, its sessions, its history, and taking it all away. */
import { expect } from 'chai'
import { decodeJwt, SignJWT } from 'jose'
import { type Api, createApi, pointersOf, problemOf } from '../support/api.ts'
import { createCodeFlow, PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { createCookieJar } from '../support/cookie-jar.ts'
import { basic, send } from '../support/http.ts'
import { isRefusedBy } from '../support/people.ts'
import { startWorld, type World } from '../support/world.ts'

const UNAUTHENTICATED = [401, 'unauthenticated']
const FORBIDDEN = [403, 'forbidden']
const BAD_REQUEST = [400, 'bad_request']
const REDIRECT_URI = 'https://client.example/cb'

interface Page<T> {
  items: T[]
  next_cursor: string | null
}
interface SessionItem {
  id: string
  current: boolean
  kind: string
  client_id: string
}
interface SignInItem {
  id: string
  outcome: string
}

describe('the account API', function () {
  this.timeout(30_000)
  let world: World
  let api: Api
  let another: Api
  let machine: string
  let serial = 0

  before(async function () {
    this.timeout(40_000)
    world = await startWorld({ servers: 2 })
    api = createApi(world)
    another = createApi(world, 1)
    const browser = {
      type: 'spa' as const,
      redirectUris: [REDIRECT_URI],
      scopes: ['openid', 'profile', 'offline_access'],
    }
    await world.core.clients.create({ ...browser, id: 'house', firstParty: true })
    await world.core.clients.create({ ...browser, id: 'third' })
    await world.core.clients.create({
      id: 'orders',
      type: 'spa',
      firstParty: true,
      grantTypes: ['password'],
      scopes: ['openid'],
      audience: 'https://orders.example',
    })
    const { secret = '' } = await world.core.clients.create({ id: 'robot', type: 'machine' })
    const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
      form: { grant_type: 'client_credentials' },
      headers: { Authorization: basic('robot', secret) },
    })
    machine = tokensOf(reply).access_token
  })
  after(() => world?.stop())

  async function newAccount() {
    serial += 1
    const account = await world.core.accounts.create({
      email: `person-${serial}@example.org`,
      username: `person-${serial}`,
      password: PASSWORD,
      emailVerified: true,
    })
    return { account, login: { login: account.email, password: PASSWORD } }
  }
  type Login = Awaited<ReturnType<typeof newAccount>>['login']
  const signIn = async (login: Login, more: object = {}): Promise<TokenResponse> => {
    const reply = await api('POST', '/session', { json: { ...login, ...more } })
    expect(reply.status, reply.text).to.equal(200)
    return reply.json<TokenResponse>()
  }
  const somebody = async () => {
    const { account, login } = await newAccount()
    const { access_token: bearer, refresh_token } = await signIn(login)
    return { account, login, bearer, refresh_token }
  }
  const me = (bearer: string, call = api) => call('GET', '/me', { bearer })

  const ROUTES = [
    ['GET', '/me'],
    ['PATCH', '/me'],
    ['DELETE', '/me'],
    ['PUT', '/me/password'],
    ['PUT', '/me/email'],
    ['POST', '/me/email/confirm'],
    ['GET', '/me/sessions'],
    ['DELETE', '/me/sessions'],
    ['DELETE', '/me/sessions/g.somebody-elses'],
    ['GET', '/me/sign-ins'],
    ['GET', '/me/export'],
  ] as const

  for (const [method, path] of ROUTES) {
    it(`${method} ${path} is for who is signed in, before anything else is looked at`, async () => {
      const { bearer } = await somebody()
      const forged = await new SignJWT(decodeJwt(bearer))
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
        .sign(new Uint8Array(32))
      for (const call of [{}, { bearer: 'x' }, { bearer: forged }, { headers: { Authorization: `DPoP ${bearer}` } }]) {
        expect(problemOf(await api(method, path, { ...call, json: '{' }))).to.deep.equal(UNAUTHENTICATED)
      }
      await api('DELETE', '/session', { bearer })
      expect(problemOf(await another(method, path, { bearer, json: '{' }))).to.deep.equal(UNAUTHENTICATED)
    })

    it(`${method} ${path} is refused to clients of others, to other audiences and to machines`, async () => {
      const { login } = await newAccount()
      const flow = createCodeFlow(world, { id: 'third', redirectUri: REDIRECT_URI })
      const { code, verifier, ...rest } = await flow.authorize(flow.newAgent(), { scope: 'openid profile' }, login)
      const third = tokensOf(await flow.redeem({ code, verifier, ...rest })).access_token
      const orders = (await signIn(login, { client_id: 'orders' })).access_token
      for (const bearer of [third, orders, machine]) {
        expect(problemOf(await api(method, path, { bearer, json: '{' }))).to.deep.equal(FORBIDDEN)
      }
    })
  }

  describe('profile', () => {
    it('tells its owner everything but the password', async () => {
      const { account, bearer } = await somebody()
      const reply = await me(bearer)
      expect(reply.json()).to.deep.equal({
        id: account.id,
        email: account.email,
        email_verified: true,
        username: account.username,
        ...{ first_name: null, last_name: null, locale: null, profile: {}, attributes: {} },
        created_at: account.createdAt.toISOString(),
        updated_at: account.updatedAt.toISOString(),
      })
      expect(reply.headers['cache-control']).to.equal('private, no-cache')
    })

    it('is spared who has it already', async () => {
      const { bearer } = await somebody()
      const { etag = '' } = (await me(bearer)).headers
      const again = await api('GET', '/me', { bearer, headers: { 'If-None-Match': etag } })
      expect([again.status, again.text]).to.deep.equal([304, ''])
    })

    it('changes by a merge patch: members left out stay, null takes away', async () => {
      const { bearer } = await somebody()
      const first = {
        first_name: 'Анна',
        locale: 'ru',
        profile: { nickname: 'Ann', website: 'https://ann.example' },
        attributes: { theme: { dark: true, size: 3 }, tags: ['a', 'b'] },
      }
      expect((await api('PATCH', '/me', { bearer, json: first })).status).to.equal(200)
      const second = {
        locale: null,
        profile: { website: null },
        attributes: { theme: { size: null, hue: '🦊' }, tags: ['c'] },
      }
      const reply = await api('PATCH', '/me', { bearer, json: second })
      expect(reply.json()).to.deep.include({
        first_name: 'Анна',
        locale: null,
        profile: { nickname: 'Ann' },
        attributes: { theme: { dark: true, hue: '🦊' }, tags: ['c'] },
      })
      expect((await me(bearer, another)).json()).to.deep.equal(reply.json())
      expect(reply.headers.etag).to.equal((await me(bearer)).headers.etag)
    })

    it('refuses what is not for its owner to set, and changes nothing', async () => {
      const { account, bearer } = await somebody()
      const before = (await me(bearer)).text
      const forbidden: [json: object, pointer: string][] = [
        [{ email: 'other@example.org' }, '/email'],
        [{ email_verified: true }, '/email_verified'],
        [{ id: account.id }, '/id'],
        [{ status: 'active' }, '/status'],
        [{ roles: ['superuser'] }, '/roles'],
        [{ is_superuser: true }, '/is_superuser'],
        [{ password_hash: 'x' }, '/password_hash'],
        [{ created_at: '2020-01-01' }, '/created_at'],
        [{ profile: { phone_number_verified: true } }, '/profile/phone_number_verified'],
        [{ profile: { sub: 'x' } }, '/profile'],
        [{ first_name: '' }, '/first_name'],
        [{ first_name: 1 }, '/first_name'],
        [{ username: 'with@at' }, '/username'],
        [{ locale: '!!' }, '/locale'],
        [{ attributes: [] }, '/attributes'],
        [{ attributes: { big: 'x'.repeat(20_000) } }, '/attributes'],
      ]
      for (const [json, pointer] of forbidden) {
        const reply = await api('PATCH', '/me', { bearer, json })
        expect(problemOf(reply), JSON.stringify(json).slice(0, 80)).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(reply)).to.include(pointer)
      }
      const nested = (depth: number) => `{"attributes":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`
      for (const depth of [100, 5_000]) {
        expect(problemOf(await api('PATCH', '/me', { bearer, json: nested(depth) }))).to.deep.equal(BAD_REQUEST)
      }
      expect((await me(bearer)).text).to.equal(before)
    })

    it('refuses a change of what the caller has not seen', async () => {
      const { bearer } = await somebody()
      const { etag = '' } = (await me(bearer)).headers
      const change = (value: string, ifMatch: string) =>
        api('PATCH', '/me', { bearer, json: { first_name: value }, headers: { 'If-Match': ifMatch } })
      expect((await change('First', etag)).status).to.equal(200)
      expect(problemOf(await change('Second', etag))).to.deep.equal([412, 'precondition_failed'])
      expect(problemOf(await change('Second', `W/${etag}`))).to.deep.equal([412, 'precondition_failed'])
      expect((await change('Third', '*')).json()).to.include({ first_name: 'Third' })
    })

    it('lets one of racing writers with the same view win, and loses no change of those without', async () => {
      const { bearer } = await somebody()
      const { etag = '' } = (await me(bearer)).headers
      const rivals = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          (i % 2 ? api : another)('PATCH', '/me', {
            bearer,
            json: { first_name: `Rival ${i}` },
            headers: { 'If-Match': etag },
          }),
        ),
      )
      expect(rivals.filter(({ status }) => status === 200)).to.have.length(1)
      expect(rivals.filter(({ status }) => status === 412)).to.have.length(7)
      const writers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          (i % 2 ? api : another)('PATCH', '/me', { bearer, json: { attributes: { [`key${i}`]: i } } }),
        ),
      )
      for (const { status } of writers) expect(status).to.equal(200)
      expect(Object.keys((await me(bearer)).json<{ attributes: object }>().attributes)).to.have.length(8)
    })

    it('refuses a username that somebody else has', async () => {
      const [one, other] = [await somebody(), await somebody()]
      const reply = await api('PATCH', '/me', { bearer: one.bearer, json: { username: other.account.username } })
      expect(problemOf(reply)).to.deep.equal([409, 'conflict'])
    })

    it('is gone at once for an account that was disabled', async () => {
      const { account, bearer } = await somebody()
      await world.core.accounts.disable(account.id)
      await isRefusedBy(another, bearer)
    })
  })

  describe('sessions', () => {
    const sessionsOf = async (bearer: string, query = '') =>
      (await api('GET', `/me/sessions${query}`, { bearer })).json<Page<SessionItem>>()

    it('lists sign-ins of every kind and says which one asks', async () => {
      const { login, bearer } = await somebody()
      const flow = createCodeFlow(world, { id: 'house', redirectUri: REDIRECT_URI })
      const agent = flow.newAgent()
      const authorization = await flow.authorize(agent, { scope: 'openid profile' }, login)
      const inBrowser = tokensOf(await flow.redeem(authorization)).access_token
      const { items, next_cursor } = await sessionsOf(bearer)
      expect(next_cursor).to.equal(null)
      expect(items.map(({ kind, current, client_id }) => [kind, current, client_id])).to.deep.equal([
        ['browser', false, 'house'],
        ['grant', true, 'usher'],
      ])
      expect(items[0]).to.have.all.keys(
        ...[
          'id',
          'current',
          'kind',
          'client_id',
          'client_name',
          'browser',
          'system',
          'ip',
          'first_seen_at',
          'last_seen_at',
        ],
      )
      const [mine] = (await sessionsOf(inBrowser)).items
      expect(mine).to.include({ kind: 'browser', current: true })
    })

    it('reads in pages, and refuses a page this server has not made', async () => {
      const { login, bearer } = await somebody()
      for (let count = 0; count < 4; count += 1) await signIn(login)
      const seen: string[] = []
      let query = '?limit=2'
      for (let page = 0; page < 3; page += 1) {
        const { items, next_cursor } = await sessionsOf(bearer, query)
        seen.push(...items.map(({ id }) => id))
        query = `?limit=2&cursor=${next_cursor}`
      }
      expect(query).to.include('null')
      expect(new Set(seen).size).to.equal(5)
      for (const bad of [
        'limit=0',
        'limit=101',
        'limit=x',
        'limit=1&limit=2',
        'cursor=x',
        'cursor=W10',
        'sort=id;drop',
        'cursor=WyJhIiwxXQ',
      ]) {
        expect(problemOf(await api('GET', `/me/sessions?${bad}`, { bearer })), bad).to.deep.equal(BAD_REQUEST)
      }
    })

    it('ends one, which is dead at once; a second time there is none', async () => {
      const { login, bearer } = await somebody()
      const other = await signIn(login)
      const ended = (await sessionsOf(bearer)).items.find(({ current }) => !current)
      expect((await api('DELETE', `/me/sessions/${ended?.id}`, { bearer })).status).to.equal(204)
      await isRefusedBy(another, other.access_token)
      expect(problemOf(await api('DELETE', `/me/sessions/${ended?.id}`, { bearer }))).to.deep.equal([404, 'not_found'])
      expect((await me(bearer)).status).to.equal(200)
    })

    it('ends no session of somebody else, and does not tell that there is one', async () => {
      const [one, other] = [await somebody(), await somebody()]
      const [theirs] = (await sessionsOf(other.bearer)).items
      for (const id of [theirs?.id, 'g.none-of-anybody', 'nonsense', '%00', '..%2f..']) {
        const reply = await api('DELETE', `/me/sessions/${id}`, { bearer: one.bearer })
        expect(problemOf(reply), id).to.deep.equal([404, 'not_found'])
      }
      expect((await me(other.bearer)).status).to.equal(200)
    })

    it('ends all others, however many and wherever, and spares the one that asks', async () => {
      const { login, bearer, refresh_token } = await somebody()
      const rest = [await signIn(login), await signIn(login), await signIn(login, { client_id: 'orders' })]
      const stranger = await somebody()
      for (const repeat of [1, 2]) {
        expect((await api('DELETE', '/me/sessions', { bearer })).status, `time ${repeat}`).to.equal(204)
      }
      for (const { access_token } of rest) await isRefusedBy(another, access_token)
      expect((await sessionsOf(bearer)).items.map(({ current }) => current)).to.deep.equal([true])
      expect((await another('POST', '/session/refresh', { json: { refresh_token } })).status).to.equal(200)
      expect((await me(stranger.bearer)).status).to.equal(200)
    })

    it('may be ended by cookie from our own pages only', async () => {
      const { login } = await newAccount()
      const jar = createCookieJar()
      await api('POST', '/session', { json: { ...login, transport: 'cookie' }, jar })
      const foreign = { jar, headers: { Origin: 'https://evil.example' } }
      for (const [method, path] of ROUTES.filter(([method]) => method !== 'GET')) {
        expect(problemOf(await api(method, path, foreign)), path).to.deep.equal(FORBIDDEN)
      }
      expect((await api('GET', '/me', { jar })).status).to.equal(200)
      expect((await api('DELETE', '/me/sessions', { jar })).status).to.equal(204)
    })
  })

  describe('sign-ins', () => {
    const historyOf = async (bearer: string, query = '') =>
      (await api('GET', `/me/sign-ins${query}`, { bearer })).json<Page<SignInItem>>()

    it('tells successes and failures, newest first, and nothing of others', async () => {
      const { login, account } = await newAccount()
      await api('POST', '/session', { json: { ...login, password: 'wrong' } })
      const headers = { 'User-Agent': 'curl/8.0' }
      const { access_token: bearer } = (await api('POST', '/session', { json: login, headers })).json<TokenResponse>()
      const { items } = await historyOf(bearer)
      expect(items.map(({ outcome }) => outcome)).to.deep.equal(['succeeded', 'wrong_password'])
      expect(items[0]).to.deep.include({ client_id: 'usher', ip: '127.0.0.1', user_agent: 'curl/8.0' })
      await world.core.accounts.disable(account.id)
      await api('POST', '/session', { json: login })
      await world.core.accounts.enable(account.id)
      const again = await signIn(login)
      expect((await historyOf(again.access_token)).items.map(({ outcome }) => outcome)).to.deep.equal([
        ...['succeeded', 'disabled', 'succeeded', 'wrong_password'],
      ])
    })

    it('tells sign-ins on the page as well', async () => {
      const { login, bearer } = await somebody()
      const flow = createCodeFlow(world, { id: 'house', redirectUri: REDIRECT_URI })
      await flow.authorize(flow.newAgent(), {}, login)
      expect((await historyOf(bearer)).items[0]).to.include({ client_id: 'house', outcome: 'succeeded' })
    })

    it('reads in pages that neither repeat nor skip', async () => {
      const { login, bearer } = await somebody()
      for (let count = 0; count < 4; count += 1) await signIn(login)
      const seen: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const page: Page<SignInItem> = await historyOf(bearer, `?limit=2${cursor && `&cursor=${cursor}`}`)
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.next_cursor
      }
      expect(seen).to.have.length(5)
      expect(seen).to.deep.equal(seen.toSorted().reverse())
      for (const bad of ['cursor=x', 'cursor=WyJ4Il0', 'cursor=WzFd']) {
        expect(problemOf(await api('GET', `/me/sign-ins?${bad}`, { bearer })), bad).to.deep.equal(BAD_REQUEST)
      }
    })

    it('stands any user agent', async () => {
      const { login } = await newAccount()
      for (const agent of ['x'.repeat(4_000), '\u00ff\u0080', '<script>']) {
        const reply = await api('POST', '/session', { json: login, headers: { 'User-Agent': agent } })
        expect(reply.status).to.equal(200)
      }
    })
  })

  it('exports all that is held, and no secret', async () => {
    const { account, bearer, refresh_token } = await somebody()
    const reply = await api('GET', '/me/export', { bearer })
    expect(reply.headers['content-disposition']).to.include('attachment')
    const document = reply.json<Record<string, unknown>>()
    expect(document).to.have.all.keys('account', 'roles', 'sessions', 'sign_ins')
    expect(document.account).to.include({ id: account.id, email: account.email, has_password: true })
    expect(document.sessions).to.have.length(1)
    expect(document.sign_ins).to.have.length(1)
    for (const secret of [account.passwordHash ?? '?', bearer, refresh_token]) expect(reply.text).not.to.include(secret)
  })

  describe('deletion', () => {
    it('ends everything at once, and signing in within the time of grace brings the account back', async () => {
      const { account, login, bearer, refresh_token } = await somebody()
      const other = await signIn(login)
      const reply = await api('DELETE', '/me', { bearer })
      expect(reply.status).to.equal(202)
      const due = Date.parse(reply.json<{ deletion_due_at: string }>().deletion_due_at)
      expect(due - Date.now()).to.be.closeTo(14 * 86_400_000, 60_000)
      for (const token of [bearer, other.access_token]) await isRefusedBy(another, token)
      expect(problemOf(await another('POST', '/session/refresh', { json: { refresh_token } }))).to.deep.equal(
        UNAUTHENTICATED,
      )
      expect(problemOf(await api('DELETE', '/me', { bearer }))).to.deep.equal(UNAUTHENTICATED)
      expect((await me((await signIn(login)).access_token)).json()).to.include({ id: account.id })
      await world.core.deletion.removeDue()
      expect((await world.core.accounts.findById(account.id))?.deletionDueAt).to.equal(undefined)
    })

    it('keeps the last superuser', async () => {
      const { account, bearer } = await somebody()
      await world.core.access.assignRole(account.id, 'superuser')
      const first = await world.core.accounts.findByLogin('admin@example.org')
      await world.core.accounts.remove(first?.id ?? '')
      expect(problemOf(await api('DELETE', '/me', { bearer }))).to.deep.equal([409, 'conflict'])
      expect((await me(bearer)).status).to.equal(200)
    })
  })
})
