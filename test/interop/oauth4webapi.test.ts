/** oauth4webapi: each step by itself, each answer judged by the letter of its RFC. */
import { expect } from 'chai'
import * as oauth from 'oauth4webapi'
import { CALLBACK, type InteropWorld, startInteropWorld } from './interop-world.ts'
import { newBrowser, signInByHand } from './sign-in-by-hand.ts'

const insecure = { [oauth.allowInsecureRequests]: true }

describe('oauth4webapi', () => {
  let world: InteropWorld
  let server: oauth.AuthorizationServer
  const web: oauth.Client = { client_id: 'web', id_token_signed_response_alg: 'ES256' }
  let bySecret: oauth.ClientAuth

  before(async function () {
    this.timeout(30_000)
    world = await startInteropWorld()
    bySecret = oauth.ClientSecretBasic(world.webSecret)
    const issuer = new URL(world.issuer)
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
    server = await oauth.processDiscoveryResponse(issuer, response)
  })
  after(() => world?.stop())

  async function codeFlow(client: oauth.Client, authentication: oauth.ClientAuth, scope = 'openid email notes:read') {
    const verifier = oauth.generateRandomCodeVerifier()
    const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
    const url = new URL(server.authorization_endpoint ?? '')
    url.search = new URLSearchParams({
      ...{ client_id: client.client_id, redirect_uri: CALLBACK, response_type: 'code', scope, state, nonce },
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).toString()
    const callback = await signInByHand(newBrowser(), url)
    const parameters = oauth.validateAuthResponse(server, client, callback, state)
    const response = await oauth.authorizationCodeGrantRequest(
      ...([server, client, authentication, parameters, CALLBACK, verifier, insecure] as const),
    )
    const expected = { expectedNonce: nonce, requireIdToken: true }
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, expected)
    const claims = oauth.getValidatedIdTokenClaims(tokens)
    if (!claims) throw new Error('an ID token was expected')
    return { tokens, sub: claims.sub, response }
  }

  it('discovers, signs in and asks for userinfo', async () => {
    const { tokens, sub } = await codeFlow(web, bySecret)
    const response = await oauth.userInfoRequest(server, web, tokens.access_token, insecure)
    const userinfo = await oauth.processUserInfoResponse(server, web, sub, response)
    expect(userinfo).to.include({ sub, email: 'anna@example.org' })
  })

  it('validates the signature of the ID token with the published keys', async () => {
    const spa: oauth.Client = { client_id: 'spa', id_token_signed_response_alg: 'ES256' }
    const { response } = await codeFlow(spa, oauth.None(), 'openid')
    await oauth.validateApplicationLevelSignature(server, response, insecure)
  })

  it('refreshes', async () => {
    const { tokens, sub } = await codeFlow(web, bySecret)
    const response = await oauth.refreshTokenGrantRequest(server, web, bySecret, tokens.refresh_token ?? '', insecure)
    const refreshed = await oauth.processRefreshTokenResponse(server, web, response)
    expect(oauth.getValidatedIdTokenClaims(refreshed)?.sub).to.equal(sub)
  })

  it('introspects and revokes', async () => {
    const { tokens } = await codeFlow(web, bySecret)
    const isActive = async (token: string) => {
      const response = await oauth.introspectionRequest(server, web, bySecret, token, insecure)
      return (await oauth.processIntrospectionResponse(server, web, response)).active
    }
    for (const token of [tokens.access_token, tokens.refresh_token ?? '']) {
      expect(await isActive(token)).to.equal(true)
      const response = await oauth.revocationRequest(server, web, bySecret, token, insecure)
      await oauth.processRevocationResponse(response)
      expect(await isActive(token)).to.equal(false)
    }
  })

  it('gets a token of its own, whose form it validates (RFC 9068)', async () => {
    const service: oauth.Client = { client_id: 'service' }
    const authentication = oauth.ClientSecretBasic(world.serviceSecret)
    const response = await oauth.clientCredentialsGrantRequest(
      ...([server, service, authentication, { scope: 'notes:read' }, insecure] as const),
    )
    const { access_token: token } = await oauth.processClientCredentialsResponse(server, service, response)
    const request = new Request('https://notes.example/', { headers: { Authorization: `Bearer ${token}` } })
    const claims = await oauth.validateJwtAccessToken(server, request, 'https://notes.example', insecure)
    expect(claims).to.include({ sub: 'service', client_id: 'service', scope: 'notes:read' })
    const wrong = await oauth
      .validateJwtAccessToken(server, request.clone(), 'https://other.example', insecure)
      .catch((error) => error)
    expect(wrong).to.be.an('error')
  })

  it('reads a refusal as the RFC words it', async () => {
    const wrong = oauth.ClientSecretBasic('a-wrong-secret-of-thirty-two-chars')
    const response = await oauth.refreshTokenGrantRequest(server, web, wrong, 'x', insecure)
    const outcome = await oauth.processRefreshTokenResponse(server, web, response).catch((error) => error)
    expect(outcome).to.be.instanceOf(oauth.WWWAuthenticateChallengeError)
    expect(outcome.status).to.equal(401)
  })
})
