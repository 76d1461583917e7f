/** RFC 7662 over everything that can be presented as a token and every way to authenticate. */
import { expect } from 'chai'
import { decodeJwt, importJWK, SignJWT } from 'jose'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { type Authenticate, byAssertion, byBasic, byName, byPost, createSigner } from '../support/authenticating.ts'
import { createAnna, createCodeFlow, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { type Reply, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const AUDIENCE = 'https://api.example'
const INACTIVE = '{"active":false}'

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const

describe('introspection', () => {
  let world: World
  const authenticate: Record<string, Authenticate> = {}

  before(async function () {
    this.timeout(30_000)
    world = await startWorld({ servers: 2 })
    await createAnna(world)
    const signer = await createSigner()
    const { create } = world.core.clients
    for (const method of METHODS) {
      const { secret } = await create({
        id: method,
        type: 'web',
        firstParty: true,
        tokenEndpointAuthMethod: method,
        grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
        redirectUris: [REDIRECT_URI],
        scopes: ['openid', 'email', 'offline_access', 'api:read'],
        audience: AUDIENCE,
        ...(method === 'private_key_jwt' ? { metadata: { jwks: signer.jwks } } : {}),
      })
      authenticate[method] =
        method === 'client_secret_basic'
          ? byBasic(method, secret)
          : method === 'client_secret_post'
            ? byPost(method, secret)
            : byAssertion(method, world.issuer, signer)
    }
    await create({ id: 'public', type: 'spa', firstParty: true, redirectUris: [REDIRECT_URI] })
    authenticate.public = byName('public')
    const service = await create({ id: 'service', type: 'machine', audience: AUDIENCE })
    authenticate.service = byBasic('service', service.secret)
    const stranger = await create({ id: 'stranger', type: 'machine' })
    authenticate.stranger = byBasic('stranger', stranger.secret)
  })
  after(() => world?.stop())

  async function post(client: string, path: string, form: Record<string, string>, server = 0): Promise<Reply> {
    const credentials = await authenticate[client]?.()
    return send(world.servers[server]?.address ?? '', world.issuer, path, {
      form: { ...credentials?.form, ...form },
      headers: { ...credentials?.headers },
    })
  }
  const introspect = (client: string, token: string, more: Record<string, string> = {}, server = 0) =>
    post(client, '/oauth2/introspect', { token, ...more }, server)

  async function tokensFor(client: string): Promise<TokenResponse> {
    const flow = createCodeFlow(world, { id: client, redirectUri: REDIRECT_URI })
    const { code, verifier } = await flow.authorize(flow.newAgent(), { scope: 'openid email api:read' })
    const form = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: REDIRECT_URI }
    return tokensOf(await post(client, '/oauth2/token', form))
  }
  const machineToken = async (client: string): Promise<string> =>
    tokensOf(await post(client, '/oauth2/token', { grant_type: 'client_credentials', scope: 'api:read' })).access_token

  /** A token that is genuine in everything but its time. */
  async function expired(accessToken: string): Promise<string> {
    const ring = await openKeyring({ dir: world.env.USHER_KEYS_DIR ?? '', production: false, create: false })
    const [jwk] = ring.engineJwks().keys
    const { exp = 0, iat = 0, ...claims } = decodeJwt(accessToken)
    return new SignJWT({ ...claims, iat: iat - 3_600, exp: exp - 3_600 })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: jwk?.kid ?? '' })
      .sign(await importJWK(jwk ?? {}, 'ES256'))
  }

  for (const client of METHODS) {
    describe(`for its owner, by ${client}`, () => {
      let tokens: TokenResponse
      before(async () => {
        tokens = await tokensFor(client)
      })

      it('describes an access token as it stands, whatever the hint', async () => {
        const { sub, jti, iat, exp, iss } = decodeJwt(tokens.access_token)
        for (const hint of [{}, { token_type_hint: 'access_token' }, { token_type_hint: 'refresh_token' }]) {
          const reply = await introspect(client, tokens.access_token, hint, 1)
          expect([reply.status, reply.headers['cache-control']]).to.deep.equal([200, 'no-store'])
          expect(reply.json()).to.deep.equal({
            ...{ active: true, sub, jti, iat, exp, iss, client_id: client, aud: AUDIENCE, token_type: 'Bearer' },
            ...{ scope: 'openid email api:read', roles: ['user'] },
          })
        }
      })

      it('describes a refresh token without a type', async () => {
        const { sub, iat, exp, iss } = decodeJwt(tokens.refresh_token)
        for (const hint of [{}, { token_type_hint: 'access_token' }, { token_type_hint: 'refresh_token' }]) {
          expect((await introspect(client, tokens.refresh_token, hint, 1)).json()).to.deep.equal({
            ...{ active: true, sub, iat, exp, iss, client_id: client, scope: 'openid email api:read' },
          })
        }
      })

      it('describes a machine token', async () => {
        const token = await machineToken(client)
        const { jti, iat, exp, iss } = decodeJwt(token)
        expect((await introspect(client, token, {}, 1)).json()).to.deep.equal({
          ...{ active: true, sub: client, client_id: client, jti, iat, exp, iss, aud: AUDIENCE },
          ...{ scope: 'api:read', token_type: 'Bearer' },
        })
      })

      it('says of everything else that it is inactive, in exactly those bytes', async () => {
        const foreign = await tokensFor(client === 'client_secret_basic' ? 'client_secret_post' : 'client_secret_basic')
        const revoked = await tokensFor(client)
        expect((await post(client, '/oauth2/revoke', { token: revoked.refresh_token })).status).to.equal(200)
        const dead = {
          'an opaque string': 'dGhpcyBpcyBub3QgYSB0b2tlbg',
          'dots alone': '..',
          'text with a dot': 'some.thing',
          'an unsigned JWT': `eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.${tokens.access_token.split('.')[1]}.`,
          'an ID token': tokens.id_token,
          'a cut access token': tokens.access_token.slice(0, -2),
          "another client's refresh token": foreign.refresh_token,
          'an expired access token': await expired(tokens.access_token),
          'a revoked access token': revoked.access_token,
          'a revoked refresh token': revoked.refresh_token,
        }
        for (const [kind, token] of Object.entries(dead)) {
          const reply = await introspect(client, token, {}, 1)
          expect([reply.status, reply.text], kind).to.deep.equal([200, INACTIVE])
          expect(reply.headers['content-type'], kind).to.equal('application/json; charset=utf-8')
        }
        expect((await introspect(client, tokens.access_token)).json().active).to.equal(true)
      })
    })
  }

  it('A049: tells nothing without authentication', async () => {
    const { access_token: token } = await tokensFor('client_secret_basic')
    const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/introspect', { form: { token } })
    expect([reply.status, reply.json().error]).to.deep.equal([401, 'invalid_client'])
    expect(reply.json()).not.to.have.property('active')
    expect(reply.headers['www-authenticate']).to.match(/^Basic realm=/)
    expect((await introspect('service', token)).json().active).to.equal(true)
  })

  it('A050: answers the owner and the resource server of the audience, and nobody else', async () => {
    const { access_token: token, refresh_token } = await tokensFor('client_secret_basic')
    expect((await introspect('service', token)).json()).to.include({ active: true, aud: AUDIENCE })
    expect((await introspect('stranger', token)).text).to.equal(INACTIVE)
    expect((await introspect('service', refresh_token)).text, 'a refresh token is its owner’s alone').to.equal(INACTIVE)
  })

  it('A052: refuses a public client, even for its own token', async () => {
    const { access_token: token } = await tokensFor('public')
    const reply = await introspect('public', token)
    expect([reply.status, reply.json().error]).to.deep.equal([401, 'invalid_client'])
    const opaque = await introspect('public', 'anything')
    expect([opaque.status, opaque.json().error]).to.deep.equal([401, 'invalid_client'])
  })

  it('asks for a token', async () => {
    const reply = await post('service', '/oauth2/introspect', {})
    expect([reply.status, reply.json().error]).to.deep.equal([400, 'invalid_request'])
  })

  it('is a POST only', async () => {
    const { headers } = (await authenticate.service?.()) ?? { headers: {} }
    const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/introspect?token=x', { headers })
    expect([404, 405]).to.include(reply.status)
  })
})
