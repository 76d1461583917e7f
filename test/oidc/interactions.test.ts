/** Sign-in and consent over raw HTTP: what a request may ask of them, and what nobody may do to them. */
import { expect } from 'chai'
import {
  ANNA,
  type CodeFlow,
  createAnna,
  createCodeFlow,
  PASSWORD,
  responseOf,
  tokensOf,
} from '../support/code-flow.ts'
import { controlOf, hasId } from '../support/html-form.ts'
import { send } from '../support/http.ts'
import { redirectOf } from '../support/user-agent.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const BORIS = { login: 'boris@example.org', password: PASSWORD }

describe('interactions', () => {
  let world: World
  let ours: CodeFlow
  let theirs: CodeFlow

  before(async function () {
    this.timeout(30_000)
    world = await startWorld({ servers: 2 })
    await createAnna(world)
    await world.core.accounts.create({ email: BORIS.login, password: BORIS.password })
    const register = async (id: string, firstParty: boolean, type: 'web' | 'native' = 'web') => {
      const { secret } = await world.core.clients.create({
        ...{
          id,
          type,
          firstParty,
          redirectUris: [REDIRECT_URI],
          scopes: ['openid', 'email', 'profile', 'offline_access'],
        },
      })
      return createCodeFlow(world, { id, secret, redirectUri: REDIRECT_URI })
    }
    ours = await register('ours', true)
    theirs = await register('theirs', false)
    await register('native', true, 'native')
  })
  after(() => world?.stop())

  const signIn = { fill: ANNA, press: 'login-submit' }
  const subjectOf = async (flow: CodeFlow, code: Awaited<ReturnType<CodeFlow['authorize']>>) =>
    (await flow.userinfo(tokensOf(await flow.redeem(code)).access_token)).json().email

  describe('consent', () => {
    it('is not asked for by a client of the house, native or not', async () => {
      const native = createCodeFlow(world, { id: 'native', redirectUri: REDIRECT_URI })
      for (const flow of [ours, native]) {
        const agent = flow.newAgent()
        const page = await agent.submit(await agent.open(flow.requestOf().url), signIn)
        expect(responseOf(page).has('code')).to.equal(true)
      }
    })

    it('is asked for by a third party once, again for more, and whenever the client wants', async () => {
      const agent = theirs.newAgent()
      const first = await agent.submit(await agent.open(theirs.requestOf().url), signIn)
      expect(hasId(first.text, 'consent-submit')).to.equal(true)
      expect(responseOf(await agent.submit(first, { press: 'consent-submit' })).has('code')).to.equal(true)
      expect(responseOf(await agent.open(theirs.requestOf().url)).has('code')).to.equal(true)
      for (const params of [{ scope: 'openid email' }, { prompt: 'consent' }]) {
        const page = await agent.open(theirs.requestOf(params).url)
        expect(hasId(page.text, 'consent-submit'), JSON.stringify(params)).to.equal(true)
        await agent.submit(page, { press: 'consent-submit' })
      }
      const silent = responseOf(await agent.open(theirs.requestOf({ prompt: 'none', scope: 'openid profile' }).url))
      expect(silent.get('error')).to.equal('consent_required')
    })

    it('is given to nobody but the client that asked', async () => {
      const agent = ours.newAgent()
      await ours.authorize(agent)
      const page = await agent.open(theirs.requestOf().url)
      expect(hasId(page.text, 'consent-submit')).to.equal(true)
      const denied = responseOf(await agent.submit(page, { press: 'consent-deny' }))
      expect(Object.fromEntries(denied)).to.include({ error: 'access_denied', iss: world.issuer })
    })
  })

  describe('sign-in', () => {
    it('is asked for again by prompt=login and by a short max_age, and kept by a long one', async () => {
      const agent = ours.newAgent()
      await ours.authorize(agent)
      const isAsked = async (params: Record<string, string>) =>
        hasId((await agent.open(ours.requestOf(params).url)).text, 'login-submit')
      expect(await isAsked({ prompt: 'login' })).to.equal(true)
      expect(await isAsked({ max_age: '10000' })).to.equal(false)
      expect(await isAsked({ max_age: '0' })).to.equal(true)
    })

    it('is filled in with the hint, escaped', async () => {
      const page = await ours.newAgent().open(ours.requestOf({ login_hint: '"><b>Ö & Ж' }).url)
      expect(controlOf(page.text, 'login').control.value).to.equal('"><b>Ö & Ж')
      expect(page.text).not.to.include('"><b>')
    })

    it('goes on to where it was started, whichever process answers', async () => {
      const [first, second] = [ours.newAgent(0), ours.newAgent(1)]
      const page = await first.open(ours.requestOf().url)
      const cookie = first
        .cookies()
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      const { action, controls } = controlOf(page.text, 'login-submit').form
      const csrf = controls.find(({ name }) => name === 'csrf')?.value ?? ''
      const reply = await send(world.servers[1]?.address ?? '', world.issuer, action, {
        form: { csrf, login: ANNA.login, password: ANNA.password },
        headers: { Cookie: cookie },
      })
      expect([reply.status, reply.headers.location]).to.satisfy(
        ([status, location]: [number, string]) => status === 303 && location.includes('/oauth2/authorize/'),
      )
      expect(second.cookies()).to.be.empty
    })

    it('cannot be finished from another browser, without the form token or from another site', async () => {
      const agent = ours.newAgent()
      const page = await agent.open(ours.requestOf().url)
      const { action, controls } = controlOf(page.text, 'login-submit').form
      const csrf = controls.find(({ name }) => name === 'csrf')?.value ?? ''
      const cookie = agent
        .cookies()
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      const post = (headers: Record<string, string>, form: Record<string, string>) =>
        send(world.servers[0]?.address ?? '', world.issuer, action, {
          form: { login: ANNA.login, password: ANNA.password, ...form },
          headers: { Accept: 'text/html', ...headers },
        })
      expect((await post({}, { csrf })).status, 'another browser').to.equal(400)
      expect((await post({ Cookie: cookie }, {})).status, 'no token').to.equal(403)
      expect((await post({ Cookie: cookie }, { csrf: 'x' })).status, 'a guessed token').to.equal(403)
      expect((await post({ Cookie: cookie, Origin: 'https://evil.test' }, { csrf })).status).to.equal(403)
      expect((await post({ Cookie: cookie, 'Sec-Fetch-Site': 'cross-site' }, { csrf })).status).to.equal(403)
      // S-9700-11: after the credentials were posted only a redirect that drops them.
      expect((await post({ Cookie: cookie }, { csrf })).status).to.equal(303)
    })

    it('cannot be gone back to when it is over', async () => {
      const agent = ours.newAgent()
      const page = await agent.open(ours.requestOf().url)
      expect(responseOf(await agent.submit(page, signIn)).has('code')).to.equal(true)
      const late = await agent.open(page.url)
      expect([late.status, hasId(late.text, 'error-page')]).to.deep.equal([400, true])
    })

    it('tells an unknown name from a wrong password in nothing', async () => {
      const answers = await Promise.all(
        [ANNA.login, 'nobody@example.org'].map(async (login) => {
          const agent = ours.newAgent()
          const page = await agent.open(ours.requestOf().url)
          return agent.submit(page, { fill: { login, password: 'wrong wrong wrong' }, press: 'login-submit' })
        }),
      )
      const [known, unknown] = answers.map(({ status, text, headers }) => ({
        status,
        text: text
          .replaceAll(/\/sign-in\/[\w-]+/g, '')
          .replaceAll(/interaction=[\w-]+/g, '')
          .replaceAll(/name="csrf" value="[^"]+"/g, '')
          .replaceAll(/(anna|nobody)@example\.org/g, '')
          .replaceAll(/valid for \d+ minutes/g, ''),
        headers: Object.keys(headers).sort(),
      }))
      expect(known).to.deep.equal(unknown)
    })
  })

  describe('in two tabs', () => {
    it('finishes both, in either order', async () => {
      for (const order of [
        [0, 1],
        [1, 0],
      ]) {
        const agent = ours.newAgent()
        const flows = [ours, theirs]
        const pages = [await agent.open(ours.requestOf().url), await agent.open(theirs.requestOf().url)]
        for (const place of order) {
          const page = pages[place]
          if (!page) throw new Error('there are two pages')
          let after = await agent.submit(page, signIn)
          if (hasId(after.text, 'consent-submit')) after = await agent.submit(after, { press: 'consent-submit' })
          expect(responseOf(after).has('code'), flows[place]?.client.id).to.equal(true)
        }
      }
    })

    it('never mixes two people: the second one takes the session over, the first one is signed out', async () => {
      const agent = ours.newAgent()
      const scope = 'openid email'
      const [first, second] = [ours.requestOf({ scope }), ours.requestOf({ scope })]
      const pages = [await agent.open(first.url), await agent.open(second.url)]
      const [forAnna, forBoris] = pages
      if (!forAnna || !forBoris) throw new Error('there are two pages')
      const anna = responseOf(await agent.submit(forAnna, signIn))
      const annas = tokensOf(await ours.redeem({ ...first, code: anna.get('code') ?? '', response: anna }))
      let page = await agent.submit(forBoris, { fill: BORIS, press: 'login-submit' })
      // The engine signs the former person out by a page of its own that submits itself.
      if (redirectOf(page) === undefined) page = await agent.submit(page)
      const boris = responseOf(page)
      const code = { ...second, code: boris.get('code') ?? '', response: boris }
      expect(await subjectOf(ours, code)).to.equal(BORIS.login)
      expect((await ours.userinfo(annas.access_token)).status).to.equal(401)
      expect(await subjectOf(ours, await ours.authorize(agent, { prompt: 'none', scope }))).to.equal(BORIS.login)
    })
  })

  describe('a request that is wrong', () => {
    const NOT_REGISTERED = {
      A001: 'https://client.example@evil.test/cb',
      A003: 'https://client.example.evil.test/cb',
      'A004 a': `${REDIRECT_URI}/..;/x`,
      'A004 b': `${REDIRECT_URI}/../open`,
      'A006 a': 'https:evil.test',
      'A006 b': '//evil.test',
      'a query': `${REDIRECT_URI}?x=1`,
      'a fragment': `${REDIRECT_URI}#x`,
      'another case': REDIRECT_URI.toUpperCase(),
      'a script': 'javascript:alert(1)',
    }
    for (const [name, uri] of Object.entries(NOT_REGISTERED)) {
      it(`${name}: stays here when the way back is not registered`, async () => {
        const page = await ours.newAgent().open(ours.requestOf({ redirect_uri: uri }).url)
        expect([page.status, page.headers.location, hasId(page.text, 'error-page')]).to.deep.equal([
          400,
          undefined,
          true,
        ])
        const twin = await ours.newAgent().open(ours.requestOf().url)
        expect(hasId(twin.text, 'login-submit')).to.equal(true)
      })
    }

    it('A011, A013: stays here when it cannot be understood, and goes back when it can', async () => {
      const { url } = ours.requestOf()
      const other = encodeURIComponent('https://evil.test/cb')
      for (const twice of [
        `redirect_uri=${other}`,
        `redirect_uri=${encodeURIComponent(REDIRECT_URI)}`,
        'client_id=ours',
      ]) {
        const page = await ours.newAgent().open(`${url}&${twice}`)
        expect([page.status, page.headers.location]).to.deep.equal([400, undefined])
      }
      const foreign = { response_type: 'token', redirect_uri: 'https://evil.test/cb' }
      expect((await ours.newAgent().open(ours.requestOf(foreign).url)).headers.location).to.equal(undefined)
      const own = ours.requestOf({ response_type: 'unheard-of' })
      const response = responseOf(await ours.newAgent().open(own.url))
      expect(Object.fromEntries(response)).to.include({
        ...{ error: 'unsupported_response_type', state: own.state, iss: world.issuer },
      })
    })

    it('A015, A016: goes back without a code when the proof key is missing or plain', async () => {
      const bare = new URL(ours.requestOf().url)
      bare.searchParams.delete('code_challenge')
      bare.searchParams.delete('code_challenge_method')
      const undeclared = new URL(ours.requestOf().url)
      undeclared.searchParams.delete('code_challenge_method')
      for (const url of [bare.href, undeclared.href, ours.requestOf({ code_challenge_method: 'plain' }).url]) {
        const response = responseOf(await ours.newAgent().open(url))
        expect(Object.fromEntries(response)).to.include({ error: 'invalid_request', iss: world.issuer })
        expect(response.has('code')).to.equal(false)
      }
    })

    it('A017: a code cannot be redeemed without its proof, and is spent by nobody else’s try', async () => {
      const agent = ours.newAgent()
      const authorization = await ours.authorize(agent)
      const tries = [
        await ours.post('/oauth2/token', {
          ...{ grant_type: 'authorization_code', code: authorization.code, redirect_uri: REDIRECT_URI },
        }),
        await ours.redeem({ ...authorization, verifier: '' }),
        await ours.redeem({ ...authorization, verifier: 'x'.repeat(43) }),
        await theirs.redeem(authorization),
        await ours.redeem(authorization, { redirect_uri: 'https://client.example/other' }),
      ]
      for (const reply of tries) {
        expect([reply.status, reply.json().error], reply.text).to.deep.equal([400, 'invalid_grant'])
      }
      const fresh = await ours.authorize(agent)
      tokensOf(await ours.redeem(fresh))
    })
  })
})
