/** /api/v1/session: sign-in, rotation and sign-out as JSON, with tokens in the body or in cookies. */
import { expect } from 'chai'
import { decodeJwt } from 'jose'
import { type Api, createApi, pointersOf, problemOf } from '../support/api.ts'
import { ANNA, createAnna, type TokenResponse } from '../support/code-flow.ts'
import { type CookieJar, createCookieJar } from '../support/cookie-jar.ts'
import { eventually } from '../support/eventually.ts'
import { type Reply, send } from '../support/http.ts'
import { startTlsFront, type TlsFront } from '../support/tls.ts'
import { startWorld, type World } from '../support/world.ts'

const UNAUTHENTICATED = [401, 'unauthenticated']
const FORBIDDEN = [403, 'forbidden']
/** The device cookie stays when a session goes. */
const sessionCookies = (jar: CookieJar) => jar.all().filter(({ name }) => !name.endsWith('usher_device'))
const namesOf = (reply: Reply) => (reply.headers['set-cookie'] ?? []).map((line) => line.split('=')[0]).sort()

for (const [store, env] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`the session API over ${store}`, function () {
    this.timeout(20_000)
    let world: World
    let api: Api
    let another: Api

    before(async function () {
      this.timeout(30_000)
      world = await startWorld({ servers: 2, env })
      await createAnna(world)
      await world.core.accounts.create({ email: 'bob@example.org', password: ANNA.password })
      await world.core.clients.create({
        id: 'app',
        type: 'spa',
        firstParty: true,
        grantTypes: ['password', 'refresh_token'],
        scopes: ['openid', 'offline_access', 'orders:read'],
        audience: 'https://orders.example',
      })
      const thirdParty = { redirectUris: ['https://other.example/cb'], scopes: ['openid'] }
      await world.core.clients.create({ id: 'third', type: 'spa', ...thirdParty })
      await world.core.clients.create({ id: 'secretive', type: 'web', firstParty: true, grantTypes: ['password'] })
      api = createApi(world)
      another = createApi(world, 1)
    })
    after(() => world?.stop())

    const signIn = async (more: object = {}): Promise<TokenResponse> => {
      const reply = await api('POST', '/session', { json: { ...ANNA, ...more } })
      expect(reply.status, reply.text).to.equal(200)
      return reply.json<TokenResponse>()
    }
    const signInByCookie = async (): Promise<CookieJar> => {
      const jar = createCookieJar()
      const reply = await api('POST', '/session', { json: { ...ANNA, transport: 'cookie' }, jar })
      expect(reply.status, reply.text).to.equal(200)
      return jar
    }
    const refresh = (refresh_token: string, call = api) => call('POST', '/session/refresh', { json: { refresh_token } })
    const signOut = (bearer: string, call = api) => call('DELETE', '/session', { bearer })

    describe('sign-in', () => {
      it('refuses a wrong password and an unknown login alike, down to the headers', async () => {
        const wrong = await api('POST', '/session', { json: { ...ANNA, password: 'wrong' } })
        const unknown = await api('POST', '/session', { json: { login: 'nobody@example.org', password: 'wrong' } })
        for (const reply of [wrong, unknown]) expect(problemOf(reply)).to.deep.equal([401, 'invalid_credentials'])
        expect(Object.keys(unknown.headers)).to.deep.equal(Object.keys(wrong.headers))
        const { request_id: _, ...rest } = wrong.json<{ request_id: string }>()
        expect(unknown.json()).to.deep.include(rest)
      })

      it('refuses clients that may not see passwords, unknown ones and those with a secret', async () => {
        for (const client_id of ['third', 'nobody', 'secretive']) {
          expect(problemOf(await api('POST', '/session', { json: { ...ANNA, client_id } })), client_id).to.deep.equal(
            FORBIDDEN,
          )
        }
      })

      it('refuses what is not exactly the expected shape, naming every fault', async () => {
        const malformed: [json: unknown, pointers: string[]][] = [
          [{}, ['/login', '/password']],
          [{ ...ANNA, scope: 'admin', 'a/b~': 1 }, ['/scope', '/a~1b~0']],
          [{ ...ANNA, login: 1 }, ['/login']],
          [{ ...ANNA, password: { $ne: '' } }, ['/password']],
          [{ ...ANNA, password: '' }, ['/password']],
          [{ ...ANNA, transport: 'carrier pigeon' }, ['/transport']],
          [{ ...ANNA, password: 'x'.repeat(5_000) }, ['/password']],
          [[], ['']],
          ['null', ['']],
        ]
        for (const [json, pointers] of malformed) {
          const reply = await api('POST', '/session', { json })
          expect(problemOf(reply), JSON.stringify(json)).to.deep.equal([400, 'bad_request'])
          expect(pointersOf(reply)).to.have.members(pointers)
        }
        for (const text of [
          '{',
          '{"login":"a\\u0000","password":"x"}',
          '{"login":"\\ud800","password":"x"}',
          '{"__proto__":{}}',
        ]) {
          expect(problemOf(await api('POST', '/session', { json: text })), text).to.deep.equal([400, 'bad_request'])
        }
        const form = await api('POST', '/session', { json: 'login=a', headers: { 'Content-Type': 'text/plain' } })
        expect(problemOf(form)).to.deep.equal([415, 'unsupported_media_type'])
        const large = await api('POST', '/session', { json: { ...ANNA, login: 'x'.repeat(70_000) } })
        expect(problemOf(large)).to.deep.equal([413, 'payload_too_large'])
      })

      it('issues the tokens of the token endpoint, by e-mail address or username', async () => {
        for (const login of [ANNA.login, 'anna']) {
          const reply = await api('POST', '/session', { json: { ...ANNA, login } })
          expect(reply.status).to.equal(200)
          expect(reply.json()).to.have.all.keys('access_token', 'refresh_token', 'token_type', 'expires_in')
          expect(reply.headers).to.include({ 'cache-control': 'no-store' }).and.not.to.have.property('set-cookie')
          const { client_id, aud, scope } = decodeJwt(reply.json<TokenResponse>().access_token)
          expect({ client_id, aud }).to.deep.equal({ client_id: 'usher', aud: `${world.issuer}/api/v1` })
          expect(scope).to.equal('openid profile email')
        }
      })

      it('signs in for another client of the house, with its audience and without offline access', async () => {
        const { access_token } = await signIn({ client_id: 'app', transport: 'body' })
        expect(decodeJwt(access_token)).to.include({
          client_id: 'app',
          aud: 'https://orders.example',
          scope: 'openid orders:read',
        })
      })

      it('lets nobody register the id of the built-in client', async () => {
        const input = { id: 'usher', type: 'spa' as const, redirectUris: ['https://evil.example/cb'] }
        const refusal = await world.core.clients.create(input).catch((error) => error)
        expect(refusal).to.have.property('code', 'conflict')
      })
    })

    describe('rotation', () => {
      it('gives a new pair, and the same one again to who did not hear the answer', async () => {
        const first = await signIn()
        const second = (await refresh(first.refresh_token)).json<TokenResponse>()
        expect(second).to.have.all.keys('access_token', 'refresh_token', 'token_type', 'expires_in')
        expect(second.refresh_token).not.to.equal(first.refresh_token)
        expect((await refresh(first.refresh_token, another)).json()).to.deep.equal(second)
      })

      it('ends the session when an old token comes back', async () => {
        const first = await signIn()
        const second = (await refresh(first.refresh_token)).json<TokenResponse>()
        const third = (await refresh(second.refresh_token)).json<TokenResponse>()
        expect(problemOf(await refresh(first.refresh_token, another))).to.deep.equal(UNAUTHENTICATED)
        for (const { refresh_token, access_token } of [second, third]) {
          expect(problemOf(await refresh(refresh_token))).to.deep.equal(UNAUTHENTICATED)
          expect(problemOf(await signOut(access_token))).to.deep.equal(UNAUTHENTICATED)
        }
      })

      it('gives racing requests one and the same pair', async () => {
        const { refresh_token } = await signIn()
        const replies = await Promise.all(
          Array.from({ length: 8 }, (_, i) => refresh(refresh_token, i % 2 ? api : another)),
        )
        const bodies = new Set(replies.map(({ status, text }) => `${status} ${text}`))
        expect([...bodies][0]).to.match(/^200 /)
        expect(bodies.size).to.equal(1)
      })

      it('refuses what is no refresh token of ours', async () => {
        const { access_token, refresh_token } = await signIn()
        for (const token of ['x', access_token, `${refresh_token.slice(0, -4)}AAAA`, 'a.b.c']) {
          expect(problemOf(await refresh(token))).to.deep.equal(UNAUTHENTICATED)
        }
        expect(problemOf(await api('POST', '/session/refresh', { json: { refresh_token: 1 } }))).to.deep.equal([
          400,
          'bad_request',
        ])
      })
    })

    describe('sign-out', () => {
      it('is for who is signed in', async () => {
        const reply = await api('DELETE', '/session')
        expect(problemOf(reply)).to.deep.equal(UNAUTHENTICATED)
        expect(reply.headers['www-authenticate']).to.equal('Bearer realm="usher"')
        const forged = await signOut('not.a.token')
        expect(forged.headers['www-authenticate']).to.include('error="invalid_token"')
        const basic = await api('DELETE', '/session', { headers: { Authorization: 'Basic YTpi' } })
        expect(problemOf(basic)).to.deep.equal(UNAUTHENTICATED)
      })

      it('kills the access token, the refresh token and the session at once, and soon in every process', async () => {
        const [mine, other] = [await signIn(), await signIn()]
        const reply = await signOut(mine.access_token)
        expect([reply.status, reply.json()]).to.deep.equal([200, { signed_out: true }])
        const isOver = async (call: Api) => {
          expect(problemOf(await signOut(mine.access_token, call))).to.deep.equal(UNAUTHENTICATED)
          expect(problemOf(await refresh(mine.refresh_token, call))).to.deep.equal(UNAUTHENTICATED)
        }
        await isOver(api)
        await eventually(() => isOver(another))
        const userinfo = await send(world.servers[1]?.address ?? '', world.issuer, '/oauth2/userinfo', {
          headers: { Authorization: `Bearer ${mine.access_token}` },
        })
        expect(userinfo.status).to.equal(401)
        expect((await refresh(other.refresh_token)).status).to.equal(200)
      })

      it('ends a session whose tokens are for another audience as well', async () => {
        const { access_token, refresh_token } = await signIn({ client_id: 'app' })
        expect((await signOut(access_token)).status).to.equal(200)
        expect(problemOf(await refresh(refresh_token))).to.deep.equal(UNAUTHENTICATED)
      })

      it('succeeds for one or more of racing requests, and all end in the same state', async () => {
        const { access_token, refresh_token } = await signIn()
        const replies = await Promise.all(
          Array.from({ length: 6 }, (_, i) => signOut(access_token, i % 2 ? api : another)),
        )
        expect(replies.map(({ status }) => status)).to.include(200)
        for (const { status } of replies) expect(status).to.be.oneOf([200, 401])
        expect(problemOf(await refresh(refresh_token))).to.deep.equal(UNAUTHENTICATED)
      })
    })

    describe('by cookie', () => {
      it('hands out no token to scripts', async () => {
        const jar = createCookieJar()
        const reply = await api('POST', '/session', { json: { ...ANNA, transport: 'cookie' }, jar })
        expect(reply.json()).to.deep.equal({ expires_in: 300 })
        expect(namesOf(reply)).to.deep.equal(['usher_access', 'usher_device', 'usher_refresh'])
        expect(
          sessionCookies(jar).map(({ httpOnly, path, sameSite }) => ({ httpOnly, path, sameSite })),
        ).to.have.deep.members([
          { httpOnly: true, path: '/', sameSite: 'lax' },
          { httpOnly: true, path: '/', sameSite: 'strict' },
        ])
      })

      it('rotates the cookies, and takes them away with the session', async () => {
        const jar = await signInByCookie()
        const before = sessionCookies(jar).map(({ value }) => value)
        const refreshed = await api('POST', '/session/refresh', { jar })
        expect([refreshed.status, refreshed.json()]).to.deep.equal([200, { expires_in: 300 }])
        for (const { value } of sessionCookies(jar)) expect(before).not.to.include(value)
        const stolen = Object.fromEntries(jar.all().map(({ name, value }) => [name, value]))
        const out = await api('DELETE', '/session', { jar })
        expect([out.status, sessionCookies(jar)]).to.deep.equal([200, []])
        expect(problemOf(await signOut(stolen.usher_access ?? ''))).to.deep.equal(UNAUTHENTICATED)
        expect(problemOf(await refresh(stolen.usher_refresh ?? ''))).to.deep.equal(UNAUTHENTICATED)
      })

      it('signs out by the refresh cookie alone once the access cookie has run out', async () => {
        const jar = await signInByCookie()
        const value = jar.all().find(({ name }) => name === 'usher_refresh')?.value ?? ''
        const headers = { Cookie: `usher_refresh=${value}` }
        expect(problemOf(await api('DELETE', '/session', { headers }))).to.deep.equal(FORBIDDEN)
        const own = { ...headers, 'Sec-Fetch-Site': 'same-origin' }
        expect((await api('DELETE', '/session', { headers: own })).status).to.equal(200)
        expect(problemOf(await refresh(value))).to.deep.equal(UNAUTHENTICATED)
      })

      it('refuses every change that another site could have caused', async () => {
        const jar = await signInByCookie()
        const cookie = { Cookie: jar.headerFor(new URL('/api/v1/session', world.issuer)) ?? '' }
        const foreign: Record<string, string>[] = [
          {},
          { Origin: 'https://evil.example' },
          { Origin: 'null' },
          { Origin: `${world.issuer}.evil.example` },
          { Origin: world.issuer, 'Sec-Fetch-Site': 'cross-site' },
          { 'Sec-Fetch-Site': 'same-site' },
          { 'Sec-Fetch-Site': 'none' },
        ]
        for (const headers of foreign) {
          for (const [method, path] of [
            ['DELETE', '/session'],
            ['POST', '/session/refresh'],
          ] as const) {
            const reply = await api(method, path, { headers: { ...cookie, ...headers } })
            expect(problemOf(reply), JSON.stringify(headers)).to.deep.equal(FORBIDDEN)
          }
        }
        const login = { json: { ...ANNA, transport: 'cookie' }, headers: { Origin: 'https://evil.example' } }
        expect(problemOf(await api('POST', '/session', login))).to.deep.equal(FORBIDDEN)
        expect((await api('POST', '/session/refresh', { jar })).status).to.equal(200)
      })

      it('looks at no cookie where a bearer token is given', async () => {
        const jar = await signInByCookie()
        const headers = { Cookie: jar.headerFor(new URL('/', world.issuer)) ?? '' }
        expect(problemOf(await api('DELETE', '/session', { bearer: 'x', headers }))).to.deep.equal(UNAUTHENTICATED)
        expect((await api('POST', '/session/refresh', { jar })).status).to.equal(200)
      })

      it('clears the cookies of a session that has ended', async () => {
        const jar = await signInByCookie()
        const anna = await world.core.accounts.findByLogin(ANNA.login)
        await world.core.sessions.endAll(anna?.id ?? '')
        expect(problemOf(await api('POST', '/session/refresh', { jar }))).to.deep.equal(UNAUTHENTICATED)
        expect(sessionCookies(jar)).to.deep.equal([])
      })
    })

    it('answers too many wrong passwords with 429 and Retry-After, whether or not there is such an account', async () => {
      const from = (login: string) => api('POST', '/session', { json: { login, password: 'wrong' } })
      const statuses = { known: [] as unknown[], unknown: [] as unknown[] }
      for (let count = 0; count < 12; count += 1) {
        for (const [kind, login] of [
          ['known', 'bob@example.org'],
          ['unknown', 'ghost@example.org'],
        ] as const) {
          const reply = await from(login)
          statuses[kind].push([...problemOf(reply), reply.headers['retry-after'] !== undefined])
        }
      }
      expect(statuses.known).to.deep.include([429, 'rate_limited', true])
      expect(statuses.unknown).to.deep.include([429, 'rate_limited', true])
    })
  })
}

describe('the session API on an https issuer', function () {
  this.timeout(30_000)
  let front: TlsFront
  let world: World

  before(async () => {
    front = await startTlsFront('login.localhost')
    world = await startWorld({ issuer: front.origin, env: { USHER_TRUSTED_PROXIES: '1' } })
    front.forwardTo(world.servers[0]?.address ?? '')
    await createAnna(world)
  })
  after(async () => {
    await world?.stop()
    await front?.close()
  })

  it('sets __Host- cookies of less than 4096 bytes, and lists the address behind the proxy', async () => {
    const reply = await front.exchange(`${front.origin}/api/v1/session`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...ANNA, transport: 'cookie' }),
    })
    const jar = createCookieJar()
    jar.take(new URL(front.origin), reply.headers['set-cookie'])
    expect(jar.all().map(({ name, secure, path }) => ({ name, secure, path }))).to.have.deep.members([
      { name: '__Host-usher_access', secure: true, path: '/' },
      { name: '__Host-usher_device', secure: true, path: '/' },
      { name: '__Host-usher_refresh', secure: true, path: '/' },
    ])
    for (const line of reply.headers['set-cookie'] ?? []) expect(line.length).to.be.lessThan(4096)
    const anna = await world.core.accounts.findByLogin('anna')
    const { items } = await world.core.sessions.list(anna?.id ?? '', { limit: 5 })
    expect(items[0]?.address).to.equal('127.0.0.1')
  })
})
