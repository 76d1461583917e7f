/** openid-client, the certified relying party library, against a whole server. It checks iss, nonce, state and at_hash itself. */
import { expect } from 'chai'
import * as client from 'openid-client'
import { CALLBACK, type InteropWorld, SIGNED_OUT, startInteropWorld } from './interop-world.ts'
import { newBrowser, signInByHand } from './sign-in-by-hand.ts'

describe('openid-client', () => {
  let world: InteropWorld
  let confidential: client.Configuration
  let publicClient: client.Configuration

  before(async function () {
    this.timeout(30_000)
    world = await startInteropWorld()
    const discover = (id: string, authentication: client.ClientAuth) =>
      client.discovery(new URL(world.issuer), id, { id_token_signed_response_alg: 'ES256' }, authentication, {
        execute: [client.allowInsecureRequests],
      })
    confidential = await discover('web', client.ClientSecretBasic(world.webSecret))
    publicClient = await discover('spa', client.None())
  })
  after(() => world?.stop())

  /** The whole code flow with PKCE; `browser` keeps the session for a later sign-out. */
  async function signIn(config: client.Configuration, more: Record<string, string> = {}, browser = newBrowser()) {
    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()]
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope: 'openid profile email notes:read',
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
      nonce: expectedNonce,
      ...more,
    })
    const callback = await signInByHand(browser, url)
    const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
    const tokens = await client.authorizationCodeGrant(config, callback, checks)
    return { tokens, callback, checks, browser }
  }
  const claimsOf = (tokens: client.TokenEndpointResponse & client.TokenEndpointResponseHelpers): client.IDToken => {
    const claims = tokens.claims()
    if (!claims) throw new Error('an ID token was expected')
    return claims
  }

  it('signs in, asks for userinfo and refreshes as a confidential client', async () => {
    const { tokens } = await signIn(confidential)
    const { sub } = claimsOf(tokens)
    const userinfo = await client.fetchUserInfo(confidential, tokens.access_token, sub)
    expect(userinfo).to.include({ sub, email: 'anna@example.org', email_verified: true, name: 'Anna Berg' })
    const refreshed = await client.refreshTokenGrant(confidential, tokens.refresh_token ?? '')
    expect(claimsOf(refreshed).sub).to.equal(sub)
    expect(refreshed.refresh_token).not.to.equal(tokens.refresh_token)
    expect((await client.fetchUserInfo(confidential, refreshed.access_token, sub)).sub).to.equal(sub)
  })

  it('signs in as a public client that asks for consent and offline access', async () => {
    const { tokens } = await signIn(publicClient, { scope: 'openid offline_access', prompt: 'consent' })
    const refreshed = await client.refreshTokenGrant(publicClient, tokens.refresh_token ?? '')
    expect(claimsOf(refreshed).sub).to.equal(claimsOf(tokens).sub)
  })

  it('sees tokens die that it revokes', async () => {
    const { tokens } = await signIn(confidential)
    expect(await client.tokenIntrospection(confidential, tokens.access_token)).to.include({ active: true })
    expect(await client.tokenIntrospection(confidential, tokens.refresh_token ?? '')).to.include({ active: true })
    await client.tokenRevocation(confidential, tokens.refresh_token ?? '')
    expect(await client.tokenIntrospection(confidential, tokens.access_token)).to.deep.equal({ active: false })
    expect(await client.tokenIntrospection(confidential, tokens.refresh_token ?? '')).to.deep.equal({ active: false })
  })

  it('gets a token of its own by client credentials', async () => {
    const machine = await client.discovery(
      new URL(world.issuer),
      'service',
      {},
      client.ClientSecretBasic(world.serviceSecret),
      { execute: [client.allowInsecureRequests] },
    )
    const tokens = await client.clientCredentialsGrant(machine, { scope: 'notes:read' })
    expect(await client.tokenIntrospection(machine, tokens.access_token)).to.include({
      ...{ active: true, sub: 'service', scope: 'notes:read', token_type: 'Bearer' },
    })
  })

  it('pushes its request (RFC 9126)', async () => {
    const verifier = client.randomPKCECodeVerifier()
    const url = await client.buildAuthorizationUrlWithPAR(confidential, {
      redirect_uri: CALLBACK,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    expect([...url.searchParams.keys()].sort()).to.deep.equal(['client_id', 'request_uri'])
    const callback = await signInByHand(newBrowser(), url)
    const tokens = await client.authorizationCodeGrant(confidential, callback, { pkceCodeVerifier: verifier })
    expect(claimsOf(tokens).sub).to.be.a('string')
  })

  it('binds its tokens to a key (RFC 9449)', async () => {
    const keyPair = await client.randomDPoPKeyPair()
    const DPoP = client.getDPoPHandle(confidential, keyPair)
    const verifier = client.randomPKCECodeVerifier()
    const url = client.buildAuthorizationUrl(confidential, {
      redirect_uri: CALLBACK,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const callback = await signInByHand(newBrowser(), url)
    const checks = { pkceCodeVerifier: verifier }
    const tokens = await client.authorizationCodeGrant(confidential, callback, checks, undefined, { DPoP })
    expect(tokens.token_type).to.equal('dpop')
    const { sub } = claimsOf(tokens)
    expect(await client.fetchUserInfo(confidential, tokens.access_token, sub, { DPoP })).to.include({ sub })
    const asBearer = await client.fetchUserInfo(confidential, tokens.access_token, sub).catch((error) => error)
    expect(asBearer).to.be.an('error')
  })

  it('refuses an answer that names another issuer (RFC 9207)', async () => {
    const { callback, checks } = await signIn(confidential)
    callback.searchParams.set('iss', 'https://evil.example')
    const outcome = await client.authorizationCodeGrant(confidential, callback, checks).catch((error) => error)
    expect(outcome).to.be.an('error')
    expect(String(outcome.cause ?? outcome.message)).to.match(/iss/)
  })

  it('signs out through the confirmation page and comes back', async () => {
    const { tokens, browser } = await signIn(confidential)
    const state = client.randomState()
    const url = client.buildEndSessionUrl(confidential, {
      post_logout_redirect_uri: SIGNED_OUT,
      id_token_hint: tokens.id_token ?? '',
      state,
    })
    const page = await browser.open(url)
    const after = await browser.submit(page, { press: 'logout-confirm' })
    expect(after.headers.location).to.equal(`${SIGNED_OUT}?state=${state}`)
    expect(await client.tokenIntrospection(confidential, tokens.access_token)).to.deep.equal({ active: false })
    const again = await browser.open(
      client.buildAuthorizationUrl(confidential, {
        ...{ redirect_uri: CALLBACK, scope: 'openid', prompt: 'none', state },
        ...{ code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' },
      }),
    )
    expect(again.headers.location).to.include('error=login_required')
  })
})
