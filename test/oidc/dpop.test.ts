/** Sender-constrained tokens (RFC 9449) and pushed requests (RFC 9126) over two processes. */
import { expect } from 'chai'
import { type CodeFlow, createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { createProver, type Prover } from '../support/dpop.ts'
import { hasId } from '../support/html-form.ts'
import { send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'

describe('proofs and pushed requests', () => {
  let world: World
  let flow: CodeFlow
  let other: CodeFlow
  let spa: CodeFlow

  before(async function () {
    this.timeout(30_000)
    world = await startWorld({ servers: 2 })
    await createAnna(world)
    const register = async (id: string, type: 'web' | 'spa') => {
      const { secret } = await world.core.clients.create({ id, type, firstParty: true, redirectUris: [REDIRECT_URI] })
      return createCodeFlow(world, { id, secret, redirectUri: REDIRECT_URI })
    }
    flow = await register('app', 'web')
    other = await register('other', 'web')
    spa = await register('spa', 'spa')
  })
  after(() => world?.stop())

  describe('DPoP', () => {
    let prove: Prover
    let token: string
    let userinfoUrl: string
    before(async () => {
      prove = await createProver()
      userinfoUrl = `${world.issuer}/oauth2/userinfo`
      token = (await boundTokens(flow, prove)).access_token
    })

    const boundTokens = async (client: CodeFlow, prover: Prover) => {
      const { code, verifier } = await client.authorize(client.newAgent())
      const form = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: REDIRECT_URI }
      return tokensOf(
        await client.post('/oauth2/token', form, 0, { DPoP: await prover(`${world.issuer}/oauth2/token`) }),
      )
    }
    const userinfo = (proof: string, server = 0, scheme = 'DPoP') =>
      send(world.servers[server]?.address ?? '', world.issuer, '/oauth2/userinfo', {
        headers: { Authorization: `${scheme} ${token}`, DPoP: proof },
      })

    it('A053: takes a proof once, whichever process sees it again', async () => {
      for (const [first, second] of [
        [0, 1],
        [1, 0],
        [0, 0],
      ] as const) {
        const proof = await prove(userinfoUrl, { method: 'GET', accessToken: token })
        expect((await userinfo(proof, first)).status).to.equal(200)
        expect((await userinfo(proof, second)).status).to.equal(401)
      }
    })

    it('A054: holds a proof to its method, address, token and key', async () => {
      const right = { method: 'GET', accessToken: token }
      const stranger = await createProver()
      for (const [kind, proof] of Object.entries({
        method: await prove(userinfoUrl, { ...right, method: 'POST' }),
        address: await prove(`${world.issuer}/oauth2/token`, right),
        'another host': await prove('https://evil.example/oauth2/userinfo', right),
        'another token': await prove(userinfoUrl, { ...right, accessToken: `${token}x` }),
        'no token': await prove(userinfoUrl, { method: 'GET' }),
        key: await stranger(userinfoUrl, right),
        rubbish: 'rubbish',
      })) {
        expect((await userinfo(proof)).status, kind).to.be.within(400, 401)
      }
      expect((await userinfo(await prove(userinfoUrl, right))).status).to.equal(200)
    })

    it('is not a bearer token, and introspection says whose key it is', async () => {
      expect((await flow.userinfo(token)).status).to.equal(401)
      expect(
        (await userinfo(await prove(userinfoUrl, { method: 'GET', accessToken: token }), 0, 'Bearer')).status,
      ).to.be.within(400, 401)
      const claims = (await flow.introspect(token, 1)).json<{ token_type: string; cnf: { jkt: string } }>()
      expect(claims.token_type).to.equal('DPoP')
      expect(claims.cnf.jkt).to.match(/^[\w-]{43}$/)
    })

    it('binds the refresh token of a public client: without the key it is worth nothing, and is not lost', async () => {
      const mine = await createProver()
      const tokens = await boundTokens(spa, mine)
      const stranger = await createProver()
      const tokenUrl = `${world.issuer}/oauth2/token`
      for (const headers of [{}, { DPoP: await stranger(tokenUrl) }]) {
        const reply = await spa.refresh(tokens.refresh_token, {}, 1, headers)
        expect([reply.status, reply.json().error]).to.deep.equal([400, 'invalid_grant'])
      }
      const refreshed = await spa.refresh(tokens.refresh_token, {}, 1, { DPoP: await mine(tokenUrl) })
      expect(tokensOf(refreshed).token_type).to.equal('DPoP')
    })
  })

  describe('a pushed request', () => {
    const push = (client: CodeFlow) =>
      client.post('/oauth2/par', Object.fromEntries(new URL(client.requestOf().url).searchParams))
    const page = (clientId: string, requestUri: string, agent = flow.newAgent(1)) =>
      agent.open(
        `${world.issuer}/oauth2/authorize?${new URLSearchParams({ client_id: clientId, request_uri: requestUri })}`,
      )

    it('A057: is good once, for its client, on any process', async () => {
      const pushed = await push(flow)
      expect(pushed.status).to.equal(201)
      const { request_uri: uri, expires_in: life } = pushed.json<{ request_uri: string; expires_in: number }>()
      expect(life).to.be.within(1, 60)
      const foreign = await page('other', uri)
      expect([foreign.status, foreign.headers.location]).to.deep.equal([400, undefined])
      expect(hasId((await page('app', uri)).text, 'login-submit')).to.equal(true)
      const agent = flow.newAgent()
      await flow.authorize(agent)
      const first = await page('app', uri, agent)
      expect(first.headers.location).to.match(/[?&]code=/)
      const again = await page('app', uri, agent)
      expect(again.headers.location ?? '').not.to.match(/[?&]code=/)
      expect((await page('app', `${uri}x`)).status).to.equal(400)
    })

    it('is taken from authenticated clients only, and is checked at once', async () => {
      const query = Object.fromEntries(new URL(flow.requestOf().url).searchParams)
      const nobody = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/par', { form: query })
      expect([nobody.status, nobody.json().error]).to.deep.equal([401, 'invalid_client'])
      const wrong = await other.post('/oauth2/par', {
        ...query,
        client_id: 'other',
        redirect_uri: 'https://evil.test/',
      })
      expect([wrong.status, wrong.json().error]).to.deep.equal([400, 'invalid_request'])
      expect((await push(other)).status).to.equal(201)
    })
  })
})
