/** The contract of the pages with whoever drives them: ids, names and forms, in every language and without JavaScript. */
import { expect } from 'chai'
import { controlOf, hasId } from '../support/html-form.ts'
import { type Page, redirectOf, type UserAgent } from '../support/user-agent.ts'
import { type Certification, CLIENT_PAGES, startCertification } from './certification.ts'
import { answerPages, createFlows, type Flows } from './code-flow.ts'
import { expectErrorPage, expectErrorResponse } from './outcomes.ts'

const LANGUAGES = ['en', 'ru']

describe('pages driven by raw HTTP', () => {
  let certification: Certification
  let flows: Flows

  before(async function () {
    this.timeout(30_000)
    certification = await startCertification()
    flows = createFlows(certification)
  })
  after(() => certification?.stop())

  for (const language of LANGUAGES) {
    it(`keep their ids and names in ${language}: sign-in, consent, sign-out, signed out`, async () => {
      const agent = certification.newAgent()
      const signIn = await begin(agent, { ui_locales: language, login_hint: 'ada' })
      expectPage(signIn, language)
      expectFields(signIn)
      const { control } = controlOf(signIn.text, 'login')
      expect(control.value, 'login_hint').to.equal('ada')

      const consent = await signInOn(agent, signIn)
      expectPage(consent, language)
      expectButton(consent, 'consent-submit')
      const end = await agent.submit(consent, { press: 'consent-submit' })
      expect(certification.rp.basic.responseOn(end)).to.include.keys('code')

      const question = await agent.open(certification.rp.basic.logoutUrl({ ui_locales: language }))
      expectPage(question, language)
      expectButton(question, 'logout-confirm')
      const { form, control: confirm } = controlOf(question.text, 'logout-confirm')
      expect([form.id, confirm.name, confirm.value]).to.deep.equal(['op.logoutForm', 'logout', 'yes'])
      const signedOut = await agent.submit(question, { press: 'logout-confirm' })
      expect([signedOut.status, hasId(signedOut.text, 'signed-out')]).to.deep.equal([200, true])
    })

    it(`say what is wrong with a request in ${language}, with code and description as text`, async () => {
      const page = await begin(certification.newAgent(), {
        ui_locales: language,
        redirect_uri: 'https://evil.example/',
      })
      expectErrorPage(page, 'invalid_redirect_uri')
    })
  }

  it('show who asks at the sign-in, and let its logo be loaded there', async () => {
    const { text, headers } = await begin(certification.newAgent())
    expect(text).to.include('Conformance cf-basic')
    for (const uri of [CLIENT_PAGES.logo_uri, CLIENT_PAGES.policy_uri, CLIENT_PAGES.tos_uri])
      expect(text).to.include(uri)
    const { origin } = new URL(CLIENT_PAGES.logo_uri)
    expect(headers['content-security-policy']).to.match(new RegExp(`img-src [^;]*${RegExp.escape(origin)}`))
  })

  it('come again after a wrong password, with the login and without the password', async () => {
    const agent = certification.newAgent()
    const fill = { login: certification.person.login, password: 'not the right one' }
    const page = await agent.submit(await begin(agent), { fill, press: 'login-submit' })
    expect(redirectOf(page)).to.equal(undefined)
    expectFields(page)
    expect(controlOf(page.text, 'login').control.value).to.equal(fill.login)
    expect(page.text).to.not.include(fill.password)
    const { pages } = await answerPages(agent, { ...page, status: 200 }, certification.person)
    expect(pages, 'the same interaction goes on').to.deep.equal(['sign-in', 'consent'])
  })

  for (const mode of ['query', 'form_post']) {
    it(`return access_denied with the state by ${mode} when sign-in or consent is declined`, async () => {
      const declining: [button: string, isSignedIn: boolean][] = [
        ['login-cancel', false],
        ['consent-deny', true],
      ]
      for (const [press, isSignedIn] of declining) {
        const agent = certification.newAgent()
        const first = await begin(agent, { response_mode: mode, state: 'kept' })
        const page = await agent.submit(isSignedIn ? await signInOn(agent, first) : first, { press })
        const response = certification.rp.basic.responseOn(page)
        expectErrorResponse({ agent, sent: { state: 'kept' }, pages: [], page, response }, certification.issuer, [
          'access_denied',
        ])
      }
    })
  }

  it('ask nothing for a first-party client, except for consent when it wants that asked', async () => {
    const { house } = certification.rp
    const first = await flows.codeFlow({ rp: house, params: { scope: 'openid profile' } })
    expect(first.pages).to.deep.equal(['sign-in'])
    const second = await flows.codeFlow({ rp: house, agent: first.agent, params: { prompt: 'consent' } })
    expect(second.pages).to.deep.equal(['consent'])
  })

  it('are not shown for what was consented to before, and again for what is new', async () => {
    const first = await flows.codeFlow()
    const same = await flows.codeFlow({ agent: first.agent })
    expect(same.pages).to.deep.equal([])
    const more = await flows.codeFlow({ agent: first.agent, params: { scope: 'openid email' } })
    expect(more.pages).to.deep.equal(['consent'])
  })

  it('take an authorization request by POST also from a browser that is signed in', async () => {
    const { agent } = await flows.codeFlow()
    const { pages } = await flows.codeFlow({ agent, method: 'POST' })
    expect(pages).to.deep.equal([])
  })

  it('sign only the asking client out when the person stays', async () => {
    const { agent } = await flows.codeFlow()
    const question = await agent.open(certification.rp.basic.logoutUrl({}))
    const page = await agent.submit(question, { press: 'logout-stay' })
    expect(page.status).to.equal(200)
    const { pages } = await flows.codeFlow({ agent })
    expect(pages, 'no new sign-in').to.not.include('sign-in')
  })

  it('end a sign-out without a session by a form that needs no question', async () => {
    const agent = certification.newAgent()
    const page = await agent.open(certification.rp.basic.logoutUrl({}))
    expect(hasId(page.text, 'logout-confirm')).to.equal(false)
    const end = await agent.submit(page)
    expect([end.status, hasId(end.text, 'signed-out')]).to.deep.equal([200, true])
  })

  it('set cookies that are Secure, HttpOnly, Lax, and bound to this host or this sign-in by their prefix', async () => {
    const agent = certification.newAgent()
    const page = await begin(agent)
    await signInOn(agent, page)
    const cookies = agent.cookies()
    expect(cookies).to.not.deep.equal([])
    for (const { name, secure, httpOnly, sameSite, path } of cookies) {
      expect({ name, secure, httpOnly, sameSite }).to.deep.equal({
        name,
        secure: true,
        httpOnly: true,
        sameSite: 'lax',
      })
      expect(name).to.match(path === '/' ? /^__Host-/ : /^__Secure-/)
    }
  })

  const begin = (agent: UserAgent, params: Record<string, string> = {}): Promise<Page> => {
    const { id, redirectUri } = certification.rp.basic.registration
    const usual = { client_id: id, redirect_uri: redirectUri, response_type: 'code', scope: 'openid profile email' }
    return agent.open(certification.rp.basic.authorizationUrl({ ...usual, ...params }))
  }

  const signInOn = (agent: UserAgent, page: Page): Promise<Page> => {
    const { login, password } = certification.person
    return agent.submit(page, { fill: { login, password }, press: 'login-submit' })
  }
})

function expectPage({ status, headers, text }: Page, language: string): void {
  expect([status, headers['content-type']?.split(';')[0]], text).to.deep.equal([200, 'text/html'])
  expect(text).to.match(new RegExp(`<html[^>]* lang="${language}"`))
}

/** Names and kinds of the sign-in's fields, and the button in one form with them. */
function expectFields(page: Page): void {
  const login = controlOf(page.text, 'login')
  const password = controlOf(page.text, 'password')
  expect([login.control.name, password.control.name, password.control.type]).to.deep.equal([
    'login',
    'password',
    'password',
  ])
  expect(password.control.value).to.equal('')
  const { form } = expectButton(page, 'login-submit')
  expect(form.controls.map(({ id }) => id)).to.include.members(['login', 'password'])
}

function expectButton({ text }: Page, id: string) {
  const found = controlOf(text, id)
  expect([found.form.method, found.control.type], id).to.deep.equal(['POST', 'submit'])
  return found
}
