/** RFC 9700 section 4.14.2: refresh tokens rotate, and a token that comes back ends the grant. */
import { createHmac } from 'node:crypto'
import { expect } from 'chai'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { type CodeFlow, createAnna, createCodeFlow, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { type CountedWorld, startCountedWorld } from '../support/counted-world.ts'
import { createProver } from '../support/dpop.ts'
import type { Reply } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const SCOPE = { scope: 'openid email offline_access' }

const refusal = (reply: Reply) => [reply.status, reply.json().error]
const INVALID_GRANT = [400, 'invalid_grant']

const clientOf = (id: string) => ({
  id,
  name: id,
  type: 'web' as const,
  firstParty: true,
  redirectUris: [REDIRECT_URI],
  scopes: ['openid', 'email', 'offline_access'],
})

for (const [store, env] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`refresh rotation over ${store}`, () => {
    let world: World
    let flow: CodeFlow
    let other: CodeFlow

    before(async function () {
      this.timeout(30_000)
      world = await startWorld({ servers: 2, env })
      await createAnna(world)
      const register = async (id: string) => {
        const { secret } = await world.core.clients.create(clientOf(id))
        return createCodeFlow(world, { id, secret, redirectUri: REDIRECT_URI })
      }
      flow = await register('owner')
      other = await register('other')
    })
    after(() => world?.stop())

    /** Refreshes and expects success. */
    const rotated = async ({ refresh_token }: TokenResponse, server?: number): Promise<TokenResponse> =>
      tokensOf(await flow.refresh(refresh_token, {}, server))

    async function expectDead(tokens: TokenResponse): Promise<void> {
      for (const server of [0, 1]) {
        expect((await flow.introspect(tokens.access_token, server)).text).to.equal('{"active":false}')
        expect((await flow.introspect(tokens.refresh_token, server)).text).to.equal('{"active":false}')
        expect((await flow.userinfo(tokens.access_token, server)).status).to.equal(401)
      }
      expect(refusal(await flow.refresh(tokens.refresh_token))).to.deep.equal(INVALID_GRANT)
    }

    async function expectAlive(tokens: TokenResponse): Promise<TokenResponse> {
      expect((await flow.userinfo(tokens.access_token, 1)).status).to.equal(200)
      return rotated(tokens)
    }

    it('gives a new token at every use, signed by a key that is not published', async () => {
      let tokens = await flow.tokens(SCOPE)
      const seen = new Set([tokens.refresh_token])
      for (const server of [1, 0, 1]) {
        tokens = await rotated(tokens, server)
        seen.add(tokens.refresh_token)
      }
      expect(seen.size).to.equal(4)
      const { alg, typ, kid } = decodeProtectedHeader(tokens.refresh_token)
      expect({ alg, typ }).to.deep.equal({ alg: 'HS256', typ: 'rt+jwt' })
      const { keys } = (await flow.get('/.well-known/jwks.json')).json<{ keys: { kid: string }[] }>()
      expect(keys.map((key) => key.kid)).not.to.include(kid)
    })

    it('A024: an old generation ends the family and its access tokens', async () => {
      const first = await flow.tokens(SCOPE)
      const second = await rotated(first)
      const third = await rotated(second, 1)
      await expectAlive(third)
      expect(refusal(await flow.refresh(first.refresh_token, {}, 1))).to.deep.equal(INVALID_GRANT)
      for (const tokens of [first, second, third]) await expectDead(tokens)
    })

    it('A029: the previous token gets the very same answer while its successor is unused', async () => {
      const first = await flow.tokens(SCOPE)
      const answer = await flow.refresh(first.refresh_token)
      for (const server of [1, 0, 1]) {
        const again = await flow.refresh(first.refresh_token, {}, server)
        expect([again.status, again.text]).to.deep.equal([200, answer.text])
        expect(again.headers['cache-control']).to.equal('no-store')
        expect(again.headers['content-type']).to.equal(answer.headers['content-type'])
      }
      await expectAlive(tokensOf(answer))
    })

    it('A029: the previous token is theft as soon as its successor is used', async () => {
      const first = await flow.tokens(SCOPE)
      const third = await rotated(await rotated(first))
      expect(refusal(await flow.refresh(first.refresh_token))).to.deep.equal(INVALID_GRANT)
      await expectDead(third)
    })

    it('refuses a retry that asks for something else, and the family lives', async () => {
      const first = await flow.tokens(SCOPE)
      const second = await rotated(first)
      expect(refusal(await flow.refresh(first.refresh_token, { scope: 'openid' }, 1))).to.deep.equal(INVALID_GRANT)
      await expectAlive(second)
    })

    it('A031: refuses more than was granted and an unknown resource; the token stays usable', async () => {
      const tokens = await flow.tokens(SCOPE)
      const wider = await flow.refresh(tokens.refresh_token, { scope: 'openid profile' })
      expect(refusal(wider)).to.deep.equal([400, 'invalid_scope'])
      const elsewhere = await flow.refresh(tokens.refresh_token, { resource: 'https://unknown.example' })
      expect(refusal(elsewhere)).to.deep.equal([400, 'invalid_target'])
      const narrower = tokensOf(await flow.refresh(tokens.refresh_token, { scope: 'openid' }, 1))
      expect(narrower.scope).to.equal('openid')
      await expectAlive(narrower)
    })

    it('A030: refuses the token with the credentials of another client, and the family lives', async () => {
      const tokens = await flow.tokens(SCOPE)
      expect(refusal(await other.refresh(tokens.refresh_token))).to.deep.equal(INVALID_GRANT)
      await expectAlive(await expectAlive(tokens))
    })

    it('A032: refuses a disabled account, and takes an enabled one', async () => {
      const account = await world.core.accounts.create({ email: 'off@example.org', password: 'a quiet word at night' })
      const agent = flow.newAgent()
      const authorization = await flow.authorize(agent, SCOPE, {
        login: 'off@example.org',
        password: 'a quiet word at night',
      })
      const tokens = await rotated(tokensOf(await flow.redeem(authorization)))
      await world.core.accounts.disable(account.id)
      expect(refusal(await flow.refresh(tokens.refresh_token))).to.deep.equal(INVALID_GRANT)
      expect((await flow.userinfo(tokens.access_token)).status).to.equal(401)
      await rotated(await flow.tokens(SCOPE))
    })

    it('binds a retry to the proof key of the first use', async () => {
      const tokens = await flow.tokens(SCOPE)
      const [mine, stolen] = [await createProver(), await createProver()]
      const url = `${world.issuer}/oauth2/token`
      const refresh = async (prover: typeof mine) =>
        flow.refresh(tokens.refresh_token, {}, 0, { DPoP: await prover(url) })
      const answer = await refresh(mine)
      expect(answer.json()).to.include({ token_type: 'DPoP' })
      expect(refusal(await refresh(stolen))).to.deep.equal(INVALID_GRANT)
      expect((await refresh(mine)).text).to.equal(answer.text)
    })
  })

  describe(`a refresh token that is not ours, over ${store}`, () => {
    let world: CountedWorld
    let flow: CodeFlow

    before(async function () {
      this.timeout(30_000)
      world = await startCountedWorld(store === 'Redis' ? 'redis' : 'sql')
      await createAnna(world)
      const { secret } = await world.core.clients.create(clientOf('owner'))
      flow = createCodeFlow(world, { id: 'owner', secret, redirectUri: REDIRECT_URI })
    })
    after(() => world?.stop())

    it('is refused before any store is asked', async () => {
      const { refresh_token: genuine } = await flow.tokens(SCOPE)
      const { counts: cost } = await world.counting(() => flow.introspect(genuine))
      expect(cost.redis + cost.sql, 'what a genuine one costs').to.be.greaterThan(0)
      for (const [kind, token] of Object.entries(forgeriesOf(genuine))) {
        const refreshed = await world.counting(() => flow.refresh(token))
        expect(refusal(refreshed.answer), kind).to.deep.equal(INVALID_GRANT)
        expect(refreshed.counts, kind).to.deep.equal({ redis: 0, sql: 0 })
        const introspected = await world.counting(() => flow.introspect(token))
        expect(introspected.answer.text, kind).to.equal('{"active":false}')
        expect(introspected.counts, kind).to.deep.equal({ redis: 0, sql: 0 })
      }
      tokensOf(await flow.refresh(genuine))
    })
  })
}

/** Everything somebody without the key could make of a genuine token. */
function forgeriesOf(genuine: string): Record<string, string> {
  const [header = '', payload = '', signature = ''] = genuine.split('.')
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const protectedHeader = decodeProtectedHeader(genuine)
  const signed = (head: string, key: string) =>
    `${head}.${payload}.${createHmac('sha256', key).update(`${head}.${payload}`).digest('base64url')}`
  return {
    'another subject': `${header}.${encode({ ...decodeJwt(genuine), sub: 'somebody' })}.${signature}`,
    'a longer life': `${header}.${encode({ ...decodeJwt(genuine), exp: 9_999_999_999 })}.${signature}`,
    'another key': signed(header, 'guessed'),
    'no key': signed(header, ''),
    'an unknown kid': signed(encode({ ...protectedHeader, kid: 'mine' }), 'guessed'),
    'alg none': `${encode({ ...protectedHeader, alg: 'none' })}.${payload}.`,
    'another type': `${encode({ ...protectedHeader, typ: 'at+jwt' })}.${payload}.${signature}`,
    'a padded signature': `${genuine}=`,
    'a cut signature': genuine.slice(0, -2),
    'an opaque string': 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  }
}
