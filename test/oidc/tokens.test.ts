/** What is in the tokens, who gets which scope, and what the published documents say. */
import { createPublicKey, randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { type CodeFlow, createAnna, createCodeFlow, PASSWORD, tokensOf } from '../support/code-flow.ts'
import { type Reply, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const API = 'https://api.example/v1'

describe('tokens', () => {
  let world: World
  let flow: CodeFlow
  let plain: CodeFlow
  let machine: CodeFlow
  let account: { id: string }
  let keys: JWK[]

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    account = await createAnna(world)
    await world.core.access.assignRole(account.id, 'superuser')
    const grantTypes = ['authorization_code', 'refresh_token', 'password', 'client_credentials']
    const register = async (id: string, more: object) => {
      const { secret } = await world.core.clients.create({
        ...{ id, type: 'web', firstParty: true, grantTypes, redirectUris: [REDIRECT_URI] },
        ...more,
      })
      return createCodeFlow(world, { id, secret, redirectUri: REDIRECT_URI })
    }
    flow = await register('with-api', { scopes: ['openid', 'email', 'api:read', 'api:write'], audience: API })
    plain = await register('without-api', { scopes: ['openid', 'email'] })
    machine = await register('machine', {
      ...{ type: 'machine', grantTypes: ['client_credentials'], redirectUris: [], scopes: ['api:read'], audience: API },
    })
    keys = (await flow.get('/.well-known/jwks.json')).json<{ keys: JWK[] }>().keys
  })
  after(() => world?.stop())

  const password = (client: CodeFlow, more: Record<string, string> = {}) =>
    client.post('/oauth2/token', { grant_type: 'password', username: 'anna', password: PASSWORD, ...more })
  const credentials = (client: CodeFlow, more: Record<string, string> = {}) =>
    client.post('/oauth2/token', { grant_type: 'client_credentials', ...more })
  const code = async (client: CodeFlow, params: Record<string, string> = {}, more: Record<string, string> = {}) =>
    client.redeem(await client.authorize(client.newAgent(), params), more)

  /** Header and claims of an access token whose signature is right. */
  async function verified(reply: Reply, audience: string) {
    const { payload, protectedHeader } = await jwtVerify(tokensOf(reply).access_token, createLocalJWKSet({ keys }), {
      issuer: world.issuer,
      typ: 'at+jwt',
      audience,
    })
    expect(protectedHeader).to.include({ alg: 'ES256', typ: 'at+jwt' })
    expect(protectedHeader.kid).to.be.a('string')
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).to.equal(300)
    expect(payload.jti).to.match(/^[\w-]{22,}$/)
    return payload
  }

  describe('an access token (RFC 9068)', () => {
    const OF_EVERYBODY = ['aud', 'client_id', 'exp', 'iat', 'ims', 'iss', 'jti', 'scope', 'sub']
    const OF_PEOPLE = [...OF_EVERYBODY, 'auth_time', 'gid', 'pv', 'roles'].sort()

    /** Every grant that acts for a person. */
    const forAnna = (): [
      string,
      (client: CodeFlow, scope: string, resource: Record<string, string>) => Promise<Reply>,
    ][] => [
      ['authorization code', (client, scope, resource) => code(client, { scope, ...resource }, resource)],
      [
        'refresh token',
        async (client, scope, resource) =>
          client.refresh(tokensOf(await code(client, { scope, ...resource })).refresh_token, resource),
      ],
      ['password', (client, scope, resource) => password(client, { scope, ...resource })],
    ]

    for (const [grant, obtain] of forAnna()) {
      it(`by ${grant} names person, client, audience and roles, with and without a resource`, async () => {
        for (const resource of [{}, { resource: API }]) {
          const claims = await verified(await obtain(flow, 'openid api:read', resource), API)
          expect(
            Object.keys(claims)
              .filter((name) => name !== 'suid')
              .sort(),
          ).to.deep.equal(OF_PEOPLE)
          expect(claims).to.include({ sub: account.id, client_id: 'with-api', scope: 'openid api:read' })
          expect(claims.roles).to.have.members(['superuser', 'user'])
        }
      })

      it(`by ${grant} carries no API scope that the client was not given`, async () => {
        const own = `${world.issuer}/api/v1`
        const claims = await verified(await obtain(plain, 'openid email api:read', {}), own)
        expect(claims).to.include({ scope: 'openid email', aud: own })
        const twin = await verified(await obtain(flow, 'openid email api:read', {}), API)
        expect(twin.scope).to.equal('openid email api:read')
      })

      it(`by ${grant} takes no person's scope to an API named as another resource`, async () => {
        const own = `${world.issuer}/api/v1`
        const reply = await obtain(flow, 'openid api:read', { resource: own })
        const claims = await verified(reply, own)
        expect(claims.scope).to.equal('api:read')
        expect((await flow.userinfo(tokensOf(reply).access_token)).status, 'insufficient_scope').to.equal(403)
      })
    }

    it('by client credentials names the client alone', async () => {
      for (const more of [{ scope: 'api:read' }, { scope: 'api:read', resource: API }]) {
        const claims = await verified(await credentials(machine, more), API)
        expect(Object.keys(claims).sort()).to.deep.equal(OF_EVERYBODY)
        expect(claims).to.include({ sub: 'machine', client_id: 'machine', scope: 'api:read' })
      }
    })

    it('by client credentials carries no API scope that the client was not given', async () => {
      const reply = await credentials(machine, { scope: 'api:read api:write' })
      expect((await verified(reply, API)).scope).to.equal('api:read')
      const none = await credentials(plain, { scope: 'api:read' })
      if (none.status === 200) expect(decodeJwt(tokensOf(none).access_token).scope ?? '').to.equal('')
      else expect(none.json().error).to.equal('invalid_scope')
    })

    it('ends with the session unless the grant outlives it', async () => {
      expect(decodeJwt(tokensOf(await code(flow)).access_token)).to.have.property('suid')
      expect(decodeJwt(tokensOf(await password(flow)).access_token)).not.to.have.property('suid')
    })

    it('is for nobody unknown: a resource that is not there is invalid_target', async () => {
      for (const reply of [
        await password(flow, { resource: 'https://unknown.example' }),
        await credentials(machine, { resource: 'https://unknown.example' }),
        await credentials(machine, { resource: 'not-a-uri' }),
      ]) {
        expect([reply.status, reply.json().error]).to.deep.equal([400, 'invalid_target'])
      }
    })

    it('S-9700-13: of a client never names an account, because no client may have an id like one', async () => {
      const refused = await world.core.clients.create({ id: account.id, type: 'machine' }).catch((error) => error)
      expect(refused).to.include({ code: 'bad_request' })
      await world.core.clients.create({ id: 'not-an-account', type: 'machine' })
    })
  })

  describe('an access token that is not ours', () => {
    const userinfo = (token: string) => flow.userinfo(token)
    let genuine: string
    let claims: Record<string, unknown>
    before(async () => {
      genuine = tokensOf(await code(flow, { scope: 'openid email' })).access_token
      claims = decodeJwt(genuine)
    })

    async function expectRefused(token: string, kind: string): Promise<void> {
      expect((await userinfo(token)).status, kind).to.equal(401)
      expect((await flow.introspect(token)).text, kind).to.equal('{"active":false}')
    }
    const signedBy = async (alg: 'ES256' | 'RS256', typ: string, more: object = {}) => {
      const ring = await openKeyring({ dir: world.env.USHER_KEYS_DIR ?? '', production: false, create: false })
      const jwk = ring.engineJwks().keys.find((key) => key.alg === alg) ?? {}
      return new SignJWT({ ...claims, ...more })
        .setProtectedHeader({ alg, typ, kid: jwk.kid ?? '' })
        .sign(await importJWK(jwk, alg))
    }

    it('A040: is refused without a signature', async () => {
      const [, payload, signature] = genuine.split('.')
      for (const alg of ['none', 'None', 'nOnE', 'NONE', '']) {
        const header = Buffer.from(JSON.stringify({ alg, typ: 'at+jwt' })).toString('base64url')
        await expectRefused(`${header}.${payload}.`, alg)
        await expectRefused(`${header}.${payload}.${signature}`, `${alg} with a signature`)
      }
      expect((await userinfo(await signedBy('ES256', 'at+jwt'))).status, 'the same claims signed').to.equal(200)
    })

    it('A041: is refused when the published key served as a shared secret', async () => {
      for (const jwk of keys) {
        const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
        const secrets = {
          PEM: key.export({ type: 'spki', format: 'pem' }).toString(),
          DER: key.export({ type: 'spki', format: 'der' }),
          JWK: JSON.stringify(jwk),
        }
        for (const [form, secret] of Object.entries(secrets)) {
          const token = await new SignJWT(claims)
            .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: jwk.kid ?? '' })
            .sign(typeof secret === 'string' ? new TextEncoder().encode(secret) : secret)
          await expectRefused(token, `${jwk.alg} as ${form}`)
        }
      }
      expect((await userinfo(await signedBy('RS256', 'at+jwt'))).status, 'signed by the RSA key').to.equal(200)
    })

    it('A043: is refused when it is of another type', async () => {
      const { id_token: idToken, refresh_token: refreshToken } = tokensOf(await code(flow))
      await expectRefused(idToken, 'an ID token')
      expect((await userinfo(refreshToken)).status, 'a refresh token').to.equal(401)
      for (const typ of ['JWT', 'logout+jwt', 'rt+jwt', 'dpop+jwt']) {
        await expectRefused(await signedBy('ES256', typ), typ)
      }
      expect((await userinfo(await signedBy('ES256', 'at+jwt'))).status).to.equal(200)
    })

    it('is refused from another issuer, without a claim, or past its time', async () => {
      const past = Math.floor(Date.now() / 1000) - 60
      for (const more of [{ iss: 'https://evil.example' }, { exp: past }, { exp: undefined }, { jti: undefined }]) {
        await expectRefused(await signedBy('ES256', 'at+jwt', more), JSON.stringify(more))
      }
      const fresh = await signedBy('ES256', 'at+jwt', { jti: randomUUID() })
      expect((await userinfo(fresh)).status).to.equal(200)
    })

    it('A059: is not read from the URL', async () => {
      expect((await flow.get(`/oauth2/userinfo?access_token=${genuine}`)).status).to.be.within(400, 401)
      expect((await userinfo(genuine)).status).to.equal(200)
      expect(world.servers[0]?.lines.join('\n')).not.to.include(genuine.slice(-40))
    })

    it('of a client is no person at userinfo', async () => {
      const token = tokensOf(await credentials(machine)).access_token
      expect((await userinfo(token)).status).to.equal(401)
    })
  })

  describe('the published documents', () => {
    const paths = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']

    it('are one metadata document under both names', async () => {
      const [first, second] = await Promise.all(paths.map((path) => flow.get(path)))
      expect([first?.status, second?.status]).to.deep.equal([200, 200])
      expect(first?.text).to.equal(second?.text)
      expect(first?.json()).to.include({
        issuer: world.issuer,
        authorization_endpoint: `${world.issuer}/oauth2/authorize`,
        token_endpoint: `${world.issuer}/oauth2/token`,
        introspection_endpoint: `${world.issuer}/oauth2/introspect`,
        revocation_endpoint: `${world.issuer}/oauth2/revoke`,
        userinfo_endpoint: `${world.issuer}/oauth2/userinfo`,
        end_session_endpoint: `${world.issuer}/oauth2/logout`,
        jwks_uri: `${world.issuer}/.well-known/jwks.json`,
        authorization_response_iss_parameter_supported: true,
      })
      const { response_types_supported, code_challenge_methods_supported, grant_types_supported } = first?.json() ?? {}
      expect(response_types_supported).to.deep.equal(['code'])
      expect(code_challenge_methods_supported).to.deep.equal(['S256'])
      expect(grant_types_supported).to.have.members([
        'authorization_code',
        'refresh_token',
        'client_credentials',
        'password',
      ])
    })

    it('A079: name the issuer whatever the request pretends', async () => {
      const { text } = await flow.get(paths[0] ?? '')
      const at = (path: string, headers: Record<string, string> = {}) =>
        send(world.servers[0]?.address ?? '', world.issuer, path, { headers })
      for (const headers of [
        { 'X-Forwarded-Host': 'evil.example' },
        { Forwarded: 'host=evil.example;proto=https' },
        { 'X-Forwarded-Proto': 'https' },
        { 'X-Original-URL': 'https://evil.example/' },
      ]) {
        const reply = await at(paths[0] ?? '', headers)
        expect([reply.status, reply.text], JSON.stringify(headers)).to.deep.equal([200, text])
      }
      for (const host of [
        'evil.example',
        `evil@${new URL(world.issuer).host}`,
        `${new URL(world.issuer).host}.evil.example`,
      ]) {
        const reply = await at(paths[0] ?? '', { Host: host })
        expect(reply.status, host).to.equal(421)
        expect(reply.text).not.to.include('evil')
      }
      for (const target of [`http://evil.example${paths[0]}`, `//evil.example${paths[0]}`]) {
        const reply = await at(target)
        expect(reply.status, target).to.equal(400)
        expect(reply.text).not.to.include('evil')
      }
    })

    it('show no private member of a key, and one id for each', async () => {
      expect(keys.map((key) => key.alg)).to.have.members(['ES256', 'RS256'])
      expect(new Set(keys.map((key) => key.kid)).size).to.equal(keys.length)
      for (const key of keys) {
        for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) expect(key).not.to.have.property(member)
        expect(key.use).to.equal('sig')
      }
    })

    it('verify an ID token by the algorithm a client registered', async () => {
      const { secret } = await world.core.clients.create({
        id: 'rsa',
        type: 'web',
        firstParty: true,
        redirectUris: [REDIRECT_URI],
        metadata: { id_token_signed_response_alg: 'RS256' },
      })
      const rsa = createCodeFlow(world, { id: 'rsa', secret, redirectUri: REDIRECT_URI })
      for (const [client, alg] of [
        [rsa, 'RS256'],
        [flow, 'ES256'],
      ] as const) {
        const { id_token: idToken } = tokensOf(await code(client))
        expect(decodeProtectedHeader(idToken).alg).to.equal(alg)
        const { payload } = await jwtVerify(idToken, createLocalJWKSet({ keys }), {
          ...{ issuer: world.issuer, audience: client.client.id, algorithms: [alg] },
        })
        expect(payload.sub).to.equal(account.id)
      }
    })
  })
})
