/** Modules about what an authorization request may say, and what it gets for it. */
import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { UnsecuredJWT } from 'jose'
import { expectErrorPage, expectErrorResponse } from './outcomes.ts'
import type { Plan } from './plan.ts'

export function requestModules({ certification, flows }: Plan): void {
  const happy = (params: Record<string, string | undefined>) => flows().codeFlow({ params })

  it('oidcc-server', async () => {
    const { pages } = await flows().codeFlow()
    expect(pages, 'pages of a first sign-in').to.deep.equal(['sign-in', 'consent'])
  })

  it('oidcc-response-type-missing', async () => {
    const arrival = await flows().authorize({ params: { response_type: undefined } })
    expectErrorResponse(arrival, certification().issuer, ['unsupported_response_type', 'invalid_request'])
  })

  it('oidcc-userinfo-get', async () => {
    await flows().codeFlow({ userinfo: 'get' })
  })

  it('oidcc-userinfo-post-header', async () => {
    await flows().codeFlow({ userinfo: 'post-header' })
  })

  it('oidcc-userinfo-post-body', async () => {
    await flows().codeFlow({ userinfo: 'post-body' })
  })

  it('oidcc-ensure-request-without-nonce-succeeds-for-code-flow', async () => {
    const { idToken } = await happy({ nonce: undefined })
    expect(idToken).to.not.have.property('nonce')
  })

  for (const scope of ['profile', 'email', 'address', 'phone'] as const) {
    it(`oidcc-scope-${scope}`, async () => {
      expect(certification().metadata.scopes_supported).to.include(scope)
      const { userinfo } = await happy({ scope: `openid ${scope}` })
      expectClaims(userinfo, [scope])
    })
  }

  it('oidcc-scope-all', async () => {
    const { userinfo } = await happy({ scope: 'openid profile email address phone' })
    expectClaims(userinfo, ['profile', 'email', 'address', 'phone'])
  })

  it('oidcc-alternate-happy-flow', async () => {
    const { userinfo } = await flows().codeFlow({ isReversed: true, params: { scope: 'email openid profile' } })
    expectClaims(userinfo, ['profile', 'email'])
  })

  it('oidcc-display-page', async () => {
    await happy({ display: 'page' })
  })

  it('oidcc-display-popup', async () => {
    await happy({ display: 'popup' })
  })

  it('oidcc-ensure-request-with-unknown-parameter-succeeds', async () => {
    await happy({ extra: 'foobar' })
  })

  it('oidcc-login-hint', async () => {
    await happy({ login_hint: certification().person.login })
  })

  it('oidcc-ui-locales', async () => {
    await happy({ ui_locales: 'se' })
  })

  it('oidcc-claims-locales', async () => {
    await happy({ claims_locales: 'se' })
  })

  it('oidcc-ensure-request-with-acr-values-succeeds', async () => {
    const advertised = certification().metadata.acr_values_supported
    expect(advertised).to.be.an('array').that.is.not.deep.equal([])
    const { sent, idToken } = await happy({ acr_values: String(advertised).replaceAll(',', ' ') })
    expect(idToken.acr).to.be.oneOf(String(sent.acr_values).split(' '))
  })

  it('oidcc-ensure-registered-redirect-uri', async () => {
    const { redirectUri } = certification().rp.basic.registration
    const { page } = await flows().authorize({
      params: { redirect_uri: `${redirectUri}/${randomBytes(6).toString('hex')}` },
    })
    expectErrorPage(page, 'invalid_redirect_uri')
  })

  it('oidcc-ensure-post-request-succeeds', async () => {
    const { pages } = await flows().codeFlow({ method: 'POST' })
    expect(pages).to.deep.equal(['sign-in', 'consent'])
  })

  it('oidcc-server-client-secret-post', async () => {
    await flows().codeFlow({ rp: certification().rp.post })
  })

  it('oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported', async () => {
    const { id, redirectUri } = certification().rp.basic.registration
    const request = new UnsecuredJWT({
      client_id: id,
      redirect_uri: redirectUri,
      response_type: 'code',
      state: 'inner',
    })
    const arrival = await flows().authorize({ params: { request: request.encode() } })
    expectErrorResponse(arrival, certification().issuer, ['request_not_supported'])
  })

  it('oidcc-claims-essential', async () => {
    const { userinfo, idToken } = await happy({ claims: JSON.stringify({ userinfo: { name: { essential: true } } }) })
    expect(userinfo.name).to.equal(certification().person.claims.profile.name)
    expect(idToken).to.not.have.property('name')
  })

  it('oidcc-ensure-request-object-with-redirect-uri', async () => {
    const { id, redirectUri } = certification().rp.basic.registration
    const request = new UnsecuredJWT({ client_id: id, redirect_uri: redirectUri, response_type: 'code' }).encode()
    const { page } = await flows().authorize({ params: { request, redirect_uri: `${redirectUri}/bad` } })
    expectErrorPage(page, 'invalid_redirect_uri')
  })

  it('oidcc-ensure-request-with-valid-pkce-succeeds', async () => {
    const verifier = randomBytes(32).toString('base64url')
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    await flows().codeFlow({
      params: { code_challenge: challenge, code_challenge_method: 'S256' },
      redeeming: { code_verifier: verifier },
    })
  })

  /** Every claim of the scopes, and not one of another. */
  function expectClaims(
    userinfo: Record<string, unknown>,
    scopes: ('profile' | 'email' | 'address' | 'phone')[],
  ): void {
    const { sub, updated_at: updatedAt, ...rest } = userinfo
    const { claims } = certification().person
    expect(rest).to.deep.equal(Object.assign({}, ...scopes.map((scope) => claims[scope])))
    if (scopes.includes('profile')) expect(updatedAt).to.be.a('number')
  }
}
