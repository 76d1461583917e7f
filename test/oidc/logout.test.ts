/** OpenID Connect RP-Initiated Logout 1.0: who is signed out, of what, and where that leads. */
import { expect } from 'chai'
import { SignJWT } from 'jose'
import { type CodeFlow, createAnna, createCodeFlow, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { hasId } from '../support/html-form.ts'
import type { Page, UserAgent } from '../support/user-agent.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const SIGNED_OUT = 'https://client.example/signed-out'

describe('logout', () => {
  let world: World
  let flow: CodeFlow
  let other: CodeFlow

  before(async function () {
    this.timeout(30_000)
    world = await startWorld({ servers: 2 })
    await createAnna(world)
    const register = async (id: string) => {
      const { secret } = await world.core.clients.create({
        ...{ id, type: 'web', firstParty: true, redirectUris: [REDIRECT_URI], postLogoutRedirectUris: [SIGNED_OUT] },
      })
      return createCodeFlow(world, { id, secret, redirectUri: REDIRECT_URI })
    }
    flow = await register('app')
    other = await register('other')
  })
  after(() => world?.stop())

  const logoutUrl = (params: Record<string, string> = {}) =>
    `${world.issuer}/oauth2/logout?${new URLSearchParams(params)}`

  async function signedIn(params: Record<string, string> = {}): Promise<{ agent: UserAgent; tokens: TokenResponse }> {
    const agent = flow.newAgent()
    return { agent, tokens: tokensOf(await flow.redeem(await flow.authorize(agent, params))) }
  }
  const confirmed = (agent: UserAgent, page: Page) => agent.submit(page, { press: 'logout-confirm' })

  /** Whether the browser is still signed in, as a client sees it without a page. */
  async function isSignedIn(agent: UserAgent): Promise<boolean> {
    const { response } = await flow.authorize(agent, { prompt: 'none' })
    if (!response.has('code')) expect(response.get('error')).to.equal('login_required')
    return response.has('code')
  }
  const isAlive = async (tokens: TokenResponse): Promise<boolean> => {
    const used = (await flow.userinfo(tokens.access_token, 1)).status === 200
    expect((await flow.introspect(tokens.access_token, 1)).json().active).to.equal(used)
    return used
  }

  it('ends the session, its grants and its tokens at every client, and comes back with the state', async () => {
    const { agent, tokens } = await signedIn()
    const elsewhere = tokensOf(await other.redeem(await other.authorize(agent, { prompt: 'none' })))
    const page = await agent.open(
      logoutUrl({ id_token_hint: tokens.id_token, post_logout_redirect_uri: SIGNED_OUT, state: 'x y&z' }),
    )
    expect(await isAlive(tokens)).to.equal(true)
    const after = await confirmed(agent, page)
    expect(after.headers.location).to.equal(`${SIGNED_OUT}?state=x+y%26z`)
    expect(await isSignedIn(agent)).to.equal(false)
    expect(await isAlive(tokens)).to.equal(false)
    expect((await other.userinfo(elsewhere.access_token, 1)).status).to.equal(401)
    expect((await flow.refresh(tokens.refresh_token, {}, 1)).json().error).to.equal('invalid_grant')
    expect((await other.refresh(elsewhere.refresh_token)).json().error).to.equal('invalid_grant')
  })

  it('leaves the sign-in on another device alone', async () => {
    const [here, there] = [await signedIn(), await signedIn()]
    await confirmed(here.agent, await here.agent.open(logoutUrl({ id_token_hint: here.tokens.id_token })))
    expect(await isSignedIn(there.agent)).to.equal(true)
    expect(await isAlive(there.tokens)).to.equal(true)
  })

  it('leaves an offline grant alone: its refresh works, and what it gives is alive', async () => {
    const { agent, tokens } = await signedIn({ scope: 'openid offline_access', prompt: 'consent' })
    expect(tokens.scope).to.include('offline_access')
    await confirmed(agent, await agent.open(logoutUrl({ id_token_hint: tokens.id_token })))
    expect(await isSignedIn(agent)).to.equal(false)
    const refreshed = tokensOf(await flow.refresh(tokens.refresh_token, {}, 1))
    expect(await isAlive(refreshed)).to.equal(true)
  })

  it('A038: without a word from the person nobody is signed out', async () => {
    const { agent, tokens } = await signedIn()
    for (const params of [{}, { client_id: 'app' }, { id_token_hint: tokens.id_token }]) {
      const page = await agent.open(logoutUrl(params))
      expect([page.status, hasId(page.text, 'logout-confirm')]).to.deep.equal([200, true])
    }
    const forged = await agent.post(`${world.issuer}/oauth2/logout/confirm`, { logout: 'yes', xsrf: 'guessed' })
    expect(forged.status).to.equal(400)
    expect(await isSignedIn(agent)).to.equal(true)
    const after = await confirmed(agent, await agent.open(logoutUrl({ client_id: 'app' })))
    expect(hasId(after.text, 'signed-out')).to.equal(true)
    expect(await isSignedIn(agent)).to.equal(false)
  })

  it('stays signed in when the person says so, and says it', async () => {
    const { agent, tokens } = await signedIn()
    for (const params of [{}, { id_token_hint: tokens.id_token }]) {
      const answer = await agent.submit(await agent.open(logoutUrl(params)), { press: 'logout-stay' })
      const said = ['signed-out', 'still-signed-in'].filter((id) => hasId(answer.text, id))
      expect([answer.status, said]).to.deep.equal([200, ['still-signed-in']])
      expect(await isSignedIn(agent)).to.equal(true)
    }
  })

  it('A037: never leads to an address that is not registered, whatever it looks like', async () => {
    const { agent, tokens } = await signedIn()
    const hint = { id_token_hint: tokens.id_token, state: 'a-state-to-keep' }
    for (const target of [
      'https://evil.test/',
      `${SIGNED_OUT}/`,
      `${SIGNED_OUT}?more=1`,
      SIGNED_OUT.replace('https', 'http'),
      'javascript:alert(1)',
      '//evil.test',
    ]) {
      const page = await agent.open(logoutUrl({ ...hint, post_logout_redirect_uri: target }))
      expect(page.headers.location, target).to.equal(undefined)
      expect([page.status, hasId(page.text, 'error-page')], target).to.deep.equal([400, true])
    }
    expect(await isSignedIn(agent)).to.equal(true)
    const page = await agent.open(logoutUrl({ ...hint, post_logout_redirect_uri: SIGNED_OUT }))
    expect((await confirmed(agent, page)).headers.location).to.equal(`${SIGNED_OUT}?state=a-state-to-keep`)
  })

  it('A040: does not believe a hint that is not signed by us', async () => {
    const { agent, tokens } = await signedIn()
    const [, payload] = tokens.id_token.split('.')
    const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    const own = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode('x'.repeat(32)))
    for (const hint of [`${none}.${payload}.`, own, 'rubbish', tokens.access_token, tokens.refresh_token]) {
      const page = await agent.open(logoutUrl({ id_token_hint: hint, post_logout_redirect_uri: SIGNED_OUT }))
      expect([page.status, hasId(page.text, 'error-page')], hint).to.deep.equal([400, true])
    }
    expect(await isSignedIn(agent)).to.equal(true)
  })

  it('shows the page for whoever is not signed in at all', async () => {
    const agent = flow.newAgent()
    const page = await agent.open(logoutUrl())
    const after = hasId(page.text, 'signed-out') ? page : await agent.submit(page)
    expect([after.status, hasId(after.text, 'signed-out')]).to.deep.equal([200, true])
  })
})
