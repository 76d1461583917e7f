import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { hasId } from '../support/html-form.ts'
import type { Parameters } from '../support/relying-party.ts'
import { type Page, redirectOf, type UserAgent } from '../support/user-agent.ts'
import { type Certification, startCertification } from './certification.ts'
import { createFlows, type Flow, type Flows } from './code-flow.ts'
import { expectErrorPage, expectErrorResponse } from './outcomes.ts'

describe('RP-initiated logout certification plan', () => {
  let certification: Certification
  let flows: Flows

  before(async function () {
    this.timeout(30_000)
    certification = await startCertification()
    flows = createFlows(certification)
  })
  after(() => certification?.stop())

  it('oidcc-rp-initiated-logout-discovery-endpoint-verification', async () => {
    const { metadata, issuer } = certification
    expect(metadata.end_session_endpoint).to.match(new RegExp(`^${RegExp.escape(issuer)}/`))
  })

  it('oidcc-rp-initiated-logout', async () => {
    const flow = await flows.codeFlow()
    const state = randomBytes(96).toString('base64url') // 128 characters
    const end = await confirmedLogout(flow.agent, { ...hintOf(flow), ...target(), state })
    expectReturn(end, { state })
    await expectSignedOut(flow)
  })

  it('oidcc-rp-initiated-logout-no-state', async () => {
    const flow = await flows.codeFlow()
    const end = await confirmedLogout(flow.agent, { ...hintOf(flow), ...target() })
    expectReturn(end, {})
    await expectSignedOut(flow)
  })

  it('oidcc-rp-initiated-logout-bad-post-logout-redirect-uri', async () => {
    const flow = await flows.codeFlow()
    const uri = `${target().post_logout_redirect_uri}/${randomBytes(6).toString('hex')}`
    expectErrorPage(await open(flow.agent, { ...hintOf(flow), post_logout_redirect_uri: uri }), 'invalid_request')
  })

  it('oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri', async () => {
    const flow = await flows.codeFlow()
    const uri = `${target().post_logout_redirect_uri}?foo=bar`
    expectErrorPage(await open(flow.agent, { ...hintOf(flow), post_logout_redirect_uri: uri }), 'invalid_request')
  })

  it('oidcc-rp-initiated-logout-modified-id-token-hint', async () => {
    const flow = await flows.codeFlow()
    const hint = new UnsecuredJWT(flow.idToken).encode()
    expectErrorPage(await open(flow.agent, { id_token_hint: hint, ...target() }), 'invalid_request')
  })

  it('oidcc-rp-initiated-logout-bad-id-token-hint', async () => {
    const flow = await flows.codeFlow()
    expectErrorPage(await open(flow.agent, { id_token_hint: await forged(flow), ...target() }), 'invalid_request')
  })

  it('oidcc-rp-initiated-logout-no-id-token-hint', async () => {
    const flow = await flows.codeFlow()
    expectSignedOutPage(await confirmedLogout(flow.agent, target()))
    await expectSignedOut(flow)
  })

  it('oidcc-rp-initiated-logout-no-params', async () => {
    const flow = await flows.codeFlow()
    expectSignedOutPage(await confirmedLogout(flow.agent, {}))
    await expectSignedOut(flow)
  })

  it('oidcc-rp-initiated-logout-no-post-logout-redirect-uri', async () => {
    const flow = await flows.codeFlow()
    expectSignedOutPage(await confirmedLogout(flow.agent, { ...hintOf(flow), state: 'kept to itself' }))
    await expectSignedOut(flow)
  })

  it('oidcc-rp-initiated-logout-only-state', async () => {
    const flow = await flows.codeFlow()
    expectSignedOutPage(await confirmedLogout(flow.agent, { state: 'kept to itself' }))
    await expectSignedOut(flow)
  })

  const hintOf = ({ tokens }: Flow) => ({ id_token_hint: tokens.id_token })
  const target = () => ({ post_logout_redirect_uri: certification.rp.basic.registration.postLogoutRedirectUri })
  const open = (agent: UserAgent, params: Parameters) => agent.open(certification.rp.basic.logoutUrl(params))

  /** Every session is asked before it ends. */
  async function confirmedLogout(agent: UserAgent, params: Parameters): Promise<Page> {
    const question = await open(agent, params)
    expect([question.status, redirectOf(question)]).to.deep.equal([200, undefined])
    return agent.submit(question, { press: 'logout-confirm' })
  }

  function expectReturn(page: Page, parameters: Parameters): void {
    const uri = redirectOf(page)
    expect(`${uri?.origin}${uri?.pathname}`).to.equal(target().post_logout_redirect_uri)
    expect(Object.fromEntries(uri?.searchParams ?? [])).to.deep.equal(parameters)
  }

  function expectSignedOutPage(page: Page): void {
    expect([page.status, redirectOf(page), hasId(page.text, 'signed-out')]).to.deep.equal([200, undefined, true])
  }

  /** The browser is unknown again, and what its session was given is worth nothing. */
  async function expectSignedOut({ agent, tokens }: Flow): Promise<void> {
    const silent = await flows.authorize({ agent, params: { prompt: 'none' } })
    expectErrorResponse(silent, certification.issuer, ['login_required'])
    expect((await certification.rp.basic.userinfo(tokens.access_token)).status).to.equal(401)
  }

  /** The same claims under the same kid, signed by somebody else. */
  async function forged(flow: Flow): Promise<string> {
    const { privateKey } = await generateKeyPair('RS256')
    const { protectedHeader } = await certification.rp.basic.verifyIdToken(flow.tokens.id_token)
    return new SignJWT(flow.idToken).setProtectedHeader({ ...protectedHeader, alg: 'RS256' }).sign(privateKey)
  }
})
