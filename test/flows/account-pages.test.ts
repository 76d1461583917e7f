/** The pages of registration, recovery and the own account over raw HTTP: what they refuse, and what they never tell. */
import { expect } from 'chai'
import { ANNA, createAnna, createCodeFlow } from '../support/code-flow.ts'
import { formsOf, hasId, textOf } from '../support/html-form.ts'
import { send } from '../support/http.ts'
import type { Page, UserAgent } from '../support/user-agent.ts'
import { startWorld, type World } from '../support/world.ts'

const BOB = { login: 'bob@example.org', password: ANNA.password }
const NEW_PASSWORD = 'nine rather loud foghorns'

describe('the pages of an account', function () {
  this.timeout(60_000)
  let world: World
  let closed: World
  let open: World

  before(async () => {
    world = await startWorld({ servers: 2 })
    closed = await startWorld({ env: { USHER_REGISTRATION: 'closed' } })
    open = await startWorld({ env: { USHER_REGISTRATION: 'open' } })
    await createAnna(world)
    await world.core.accounts.create({ email: BOB.login, password: BOB.password })
  })
  after(async () => {
    await Promise.all([world?.stop(), closed?.stop(), open?.stop()])
  })

  const newAgent = (of = world, server = 0): UserAgent =>
    createCodeFlow(of, { id: '-', redirectUri: '-' }).newAgent(server)
  const visit = (agent: UserAgent, path: string, of = world): Promise<Page> => agent.open(of.issuer + path)
  const pathOf = ({ url }: Page): string => url.pathname + url.search
  function tokenOn({ text, url }: Page): string {
    const controls = formsOf(text).flatMap((form) => form.controls)
    const token = controls.find(({ name }) => name === 'csrf')?.value
    if (!token) throw new Error(`no form at ${url.pathname} has a token`)
    return token
  }

  async function signedIn(person = ANNA, path = '/account'): Promise<{ agent: UserAgent; page: Page }> {
    const agent = newAgent()
    const page = await agent.submit(await visit(agent, path), { fill: person, press: 'login-submit' })
    return { agent, page }
  }

  describe('for whoever is not signed in', () => {
    it('lead to the sign-in and back to the page', async () => {
      for (const path of ['/account', '/account/sessions', '/account/email/code', '/account/sign-ins']) {
        const { page } = await signedIn(ANNA, path)
        expect([page.status, pathOf(page)], path).to.deep.equal([200, path])
      }
    })

    it('take no form, and lead to the sign-in instead', async () => {
      const { agent, page } = await signedIn(ANNA, '/account/profile')
      const stranger = newAgent(world, 1)
      const asked = await stranger.post(`${world.issuer}/account/profile`, { csrf: tokenOn(page), first_name: 'Eve' })
      expect(hasId(asked.text, 'login-submit')).to.equal(true)
      expect((await visit(agent, '/account/profile')).text).to.include('value="Anna"')
    })

    it('end at the start page when the sign-in is cancelled, not at the next sign-in', async () => {
      const agent = newAgent()
      const page = await agent.submit(await visit(agent, '/account'), { press: 'login-cancel' })
      expect([page.status, pathOf(page)]).to.deep.equal([200, '/'])
    })

    it('go back to no page but their own', async () => {
      const { agent } = await signedIn()
      for (const state of [
        '//evil.example',
        '../demo',
        'https://evil.example',
        'sessions?x=1',
        '%0d%0ax',
        'a'.repeat(99),
      ]) {
        const query = new URLSearchParams({ state, code: 'x' })
        expect(pathOf(await visit(agent, `/account/callback?${query}`)), state).to.equal('/account')
      }
    })
  })

  describe('for whoever is signed in', () => {
    it('ask for the password again where the sign-in must be fresh', async () => {
      const { agent } = await signedIn()
      const asked = await visit(agent, '/account/sign-in?page=data&fresh=1')
      expect(hasId(asked.text, 'login-submit')).to.equal(true)
      const page = await agent.submit(asked, { fill: ANNA, press: 'login-submit' })
      expect(pathOf(page)).to.equal('/account/data')
    })

    it('show the same on another server process', async () => {
      const { agent } = await signedIn()
      const [cookie] = agent.cookies().filter(({ name }) => name === 'usher_session')
      const signature = agent.cookies().find(({ name }) => name === 'usher_session.sig')
      const headers = { Cookie: `usher_session=${cookie?.value}; usher_session.sig=${signature?.value}` }
      const reply = await send(world.servers[1]?.address ?? '', world.issuer, '/account', { headers })
      expect(textOf(reply.text, 'account-email')).to.equal(ANNA.login)
    })

    it('are kept by nobody, name nobody in their addresses, and post only to this server', async () => {
      const { agent } = await signedIn()
      for (const path of [
        '',
        '/profile',
        '/password',
        '/email',
        '/email/code',
        '/sessions',
        '/applications',
        '/data',
      ]) {
        const { headers, url } = await visit(agent, `/account${path}`)
        expect(headers, path).to.include({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
        expect(headers['content-security-policy'], path).to.match(/form-action 'self'(;|$)/)
        expect(url.href).not.to.match(/anna|%40|@/)
      }
    })

    it('refuse forms without their token, with that of another page, another browser or another site', async () => {
      const { agent } = await signedIn()
      const other = await signedIn()
      const own = tokenOn(await visit(agent, '/account/profile'))
      const path = `${world.issuer}/account/profile`
      const foreign = [
        '',
        tokenOn(await visit(agent, '/account/email')),
        tokenOn(await visit(other.agent, '/account/profile')),
      ]
      for (const csrf of foreign) expect((await agent.post(path, { csrf, first_name: 'Eve' })).status).to.equal(403)
      const cookies = agent.cookies().map(({ name, value }) => `${name}=${value}`)
      const fromElsewhere = await send(world.servers[0]?.address ?? '', world.issuer, '/account/profile', {
        form: { csrf: own, first_name: 'Eve' },
        headers: { Cookie: cookies.join('; '), 'Sec-Fetch-Site': 'cross-site' },
      })
      expect(fromElsewhere.status).to.equal(403)
      expect((await visit(agent, '/account/profile')).text).not.to.include('Eve')
    })

    it('change nothing of somebody else', async () => {
      const anna = await signedIn()
      await signedIn(BOB) // a page with another session has forms
      const bob = await signedIn(BOB, '/account/sessions')
      const { id } = await accountOf(ANNA.login)
      const sessionsOfAnna = async () => (await world.core.sessions.all(id)).map((session) => session.id).sort()
      const before = await sessionsOfAnna()
      const [session] = before
      for (const [action, fields] of [
        ['sessions/end', { session: session ?? '' }],
        ['sessions/end-others', {}],
      ] as const) {
        const csrf = tokenOn(bob.page)
        const page = await bob.agent.post(`${world.issuer}/account/${action}`, { csrf, ...fields })
        expect(page.status).to.equal(200)
      }
      expect(before).not.to.be.empty
      expect(await sessionsOfAnna()).to.deep.equal(before)
      expect(pathOf(await visit(anna.agent, '/account'))).to.equal('/account')
    })

    it('say what is wrong at the field, in the language of the page, and keep what was typed', async () => {
      const { agent } = await signedIn()
      const page = await agent.submit(await visit(agent, '/account/profile?ui_locales=ru'), {
        fill: { username: 'with blanks', first_name: 'Анна' },
        press: 'profile-submit',
      })
      expect([page.status, textOf(page.text, 'username-fault')]).to.deep.equal([
        400,
        'От 1 до 64 символов, без пробелов и без @.',
      ])
      expect(page.text).to.include('value="with blanks"').and.include('value="Анна"')
    })

    it('change the password, and sign everybody out but this browser', async () => {
      await world.core.accounts.create({ email: 'cora@example.org', password: ANNA.password })
      const cora = { login: 'cora@example.org', password: ANNA.password }
      const here = await signedIn(cora, '/account/password')
      const there = await signedIn(cora)
      const passwords = { current_password: ANNA.password, new_password: NEW_PASSWORD }
      const refused = await here.agent.submit(here.page, {
        fill: { ...passwords, new_password: 'cora@example.org 1' },
        press: 'password-submit',
      })
      expect([refused.status, hasId(refused.text, 'new_password-fault')]).to.deep.equal([400, true])
      const done = await here.agent.submit(refused, { fill: passwords, press: 'password-submit' })
      expect([done.status, hasId(done.text, 'done')]).to.deep.equal([200, true])
      expect(hasId((await visit(there.agent, '/account')).text, 'login-submit')).to.equal(true)
    })

    it('repeat no words that stand in an address', async () => {
      const { agent } = await signedIn()
      const page = await visit(agent, '/account/profile?done=<b>you+won</b>')
      expect(hasId(page.text, 'done')).to.equal(false)
      expect((await visit(agent, '/account/sessions?cursor=nonsense')).status).to.equal(400)
    })
  })

  it('are found by password managers', async () => {
    const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/.well-known/change-password')
    expect([reply.status, reply.headers.location]).to.deep.equal([302, '/account/password'])
  })

  describe('of registration and recovery', () => {
    /** What a page says, without what is different on every one. */
    const saying = ({ status, text, headers, url }: Page, address: string) => ({
      status,
      path: url.pathname,
      headers: Object.keys(headers).sort(),
      text: text.replaceAll(address, '…').replaceAll(/name="csrf" value="[^"]+"/g, ''),
    })

    it('tell nobody whether an address has an account', async () => {
      for (const [path, fill, press] of [
        ['/register', { password: NEW_PASSWORD }, 'register-submit'],
        ['/recover', {}, 'recover-submit'],
      ] as const) {
        const said = []
        for (const email of [ANNA.login, 'nobody@example.org']) {
          const agent = newAgent()
          const page = await agent.submit(await visit(agent, path), { fill: { ...fill, email }, press })
          const names = agent.cookies().map(({ name }) => name)
          const [code, password] = ['000000', { ...(path === '/recover' ? { new_password: NEW_PASSWORD } : {}) }]
          const button = path === '/recover' ? 'recover-confirm' : 'verify-submit'
          const refused = await agent.submit(page, { fill: { code, ...password }, press: button })
          expect(refused.status).to.equal(400)
          said.push([saying(page, email), names, saying(refused, email)])
        }
        expect(said[0]).to.deep.equal(said[1])
      }
    })

    it('ask for another mail only in the browser that asked before', async () => {
      const agent = newAgent()
      const page = await agent.submit(await visit(agent, '/register'), {
        fill: { email: 'dora@example.org', password: NEW_PASSWORD },
        press: 'register-submit',
      })
      const again = await agent.submit(page, { press: 'verify-resend' })
      expect([again.status, hasId(again.text, 'resent')]).to.deep.equal([200, true])
      const elsewhere = await visit(newAgent(), '/verify')
      expect([hasId(elsewhere.text, 'verify-resend'), hasId(elsewhere.text, 'email')]).to.deep.equal([false, true])
      expect(elsewhere.text).not.to.include('dora')
    })

    it('refuse forms of another browser', async () => {
      const token = tokenOn(await visit(newAgent(), '/register'))
      const agent = newAgent()
      await visit(agent, '/register')
      for (const path of ['/register', '/verify', '/verify/resend', '/recover', '/recover/code']) {
        expect((await agent.post(world.issuer + path, { csrf: token, email: BOB.login })).status, path).to.equal(403)
        expect((await newAgent().post(world.issuer + path, { csrf: token, email: BOB.login })).status).to.equal(403)
      }
    })

    it('bear any cookie', async () => {
      const values = [
        'x',
        '%',
        'e30',
        Buffer.from('{"id":1}').toString('base64url'),
        Buffer.from('null').toString('base64'),
      ]
      for (const value of values) {
        const headers = { Cookie: `usher_steps=${value}` }
        const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/register', { headers })
        expect(reply.status, value).to.equal(200)
      }
    })

    it('return to the sign-in they came from, and to nothing else', async () => {
      const agent = newAgent()
      const asked = await visit(agent, '/account/sessions')
      const links = [...asked.text.matchAll(/href="(\/(?:register|recover)\?interaction=[\w-]+)"/g)].map(
        ([, link]) => link,
      )
      expect(links.length).to.equal(2)
      for (const link of links) {
        const page = await visit(agent, link ?? '')
        expect(page.text).to.include(`href="${asked.url.pathname}"`)
      }
      const forged = await visit(newAgent(), `/register?interaction=${encodeURIComponent('../evil')}`)
      expect(forged.text).to.include('id="sign-in-link" href="/account"')
    })

    it('are not there where nobody can register', async () => {
      const agent = newAgent(closed)
      const signIn = await visit(agent, '/account', closed)
      expect([hasId(signIn.text, 'register-link'), hasId(signIn.text, 'recover-link')]).to.deep.equal([false, true])
      for (const path of ['/register', '/verify']) {
        const page = await visit(agent, path, closed)
        expect([page.status, hasId(page.text, 'message'), formsOf(page.text).length]).to.deep.equal([403, true, 0])
        expect((await agent.post(closed.issuer + path, { email: BOB.login })).status).to.equal(404)
      }
    })

    it('make an account at once where everybody can register, and say when an address is taken', async () => {
      const fill = { email: 'eva@example.org', password: NEW_PASSWORD }
      const agent = newAgent(open)
      const page = await agent.submit(await visit(agent, '/register', open), { fill, press: 'register-submit' })
      expect(pathOf(page)).to.equal('/verify')
      const account = await agent.submit(await visit(agent, '/account', open), {
        fill: { login: fill.email, password: fill.password },
        press: 'login-submit',
      })
      expect(textOf(account.text, 'account-email')).to.equal(fill.email)
      const other = newAgent(open)
      const taken = await other.submit(await visit(other, '/register', open), { fill, press: 'register-submit' })
      expect([taken.status, hasId(taken.text, 'summary')]).to.deep.equal([409, true])
    })
  })

  async function accountOf(email: string) {
    const account = await world.core.accounts.findByLogin(email)
    if (!account) throw new Error('no such account')
    return account
  }
})
