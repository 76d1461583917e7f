/** RFC 7009: what a client gives back is dead at once, everywhere; what is not its own it cannot touch. */
import { expect } from 'chai'
import { type CodeFlow, createAnna, createCodeFlow, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { basic, type Reply, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'

describe('revocation', () => {
  let world: World
  let owner: CodeFlow
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
    owner = await register('owner', 'web')
    other = await register('other', 'web')
    spa = await register('spa', 'spa')
  })
  after(() => world?.stop())

  const ok = (reply: Reply) => expect([reply.status, reply.text]).to.deep.equal([200, ''])

  /** Introspection and use, on the process that did not revoke. */
  async function stateOf({ access_token, refresh_token }: TokenResponse): Promise<Record<string, boolean>> {
    const isActive = async (token: string) => (await owner.introspect(token, 1)).json().active === true
    return {
      access: (await isActive(access_token)) && (await owner.userinfo(access_token, 1)).status === 200,
      refresh: await isActive(refresh_token),
    }
  }

  it('of an access token kills it alone, at once and on the other process', async () => {
    const tokens = await owner.tokens()
    expect(await stateOf(tokens)).to.deep.equal({ access: true, refresh: true })
    ok(await owner.revoke(tokens.access_token, 0))
    expect(await stateOf(tokens)).to.deep.equal({ access: false, refresh: true })
    expect((await owner.userinfo(tokens.access_token, 1)).status).to.equal(401)
    const next = tokensOf(await owner.refresh(tokens.refresh_token, {}, 1))
    expect(await stateOf(next)).to.deep.equal({ access: true, refresh: true })
  })

  it('of a refresh token ends its grant, and leaves the other sign-ins of the person alone', async () => {
    const [doomed, kept] = [await owner.tokens(), await owner.tokens()]
    const rotated = tokensOf(await owner.refresh(doomed.refresh_token))
    ok(await owner.revoke(rotated.refresh_token, 0))
    for (const tokens of [doomed, rotated])
      expect(await stateOf(tokens)).to.deep.equal({ access: false, refresh: false })
    expect((await owner.refresh(rotated.refresh_token, {}, 1)).json().error).to.equal('invalid_grant')
    expect(await stateOf(kept)).to.deep.equal({ access: true, refresh: true })
  })

  it('of a refresh token that was rotated away ends the grant too', async () => {
    const first = await owner.tokens()
    const second = tokensOf(await owner.refresh(first.refresh_token))
    ok(await owner.revoke(first.refresh_token))
    expect(await stateOf(second)).to.deep.equal({ access: false, refresh: false })
  })

  it('A036: does not depend on the hint', async () => {
    for (const hint of ['access_token', 'refresh_token', 'something_else']) {
      const tokens = await owner.tokens()
      ok(await owner.post('/oauth2/revoke', { token: tokens.refresh_token, token_type_hint: hint }))
      expect(await stateOf(tokens), hint).to.deep.equal({ access: false, refresh: false })
    }
  })

  it('A034: needs authentication', async () => {
    const tokens = await owner.tokens()
    const { access_token: token } = tokens
    const at = (headers: Record<string, string>, form = {}) =>
      send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/revoke', { form: { token, ...form }, headers })
    for (const reply of [
      await at({}),
      await at({ Authorization: basic('owner', 'a-wrong-secret-of-thirty-two-chars') }),
      await at({}, { client_id: 'owner' }),
      await at({}, { client_id: 'nobody' }),
    ]) {
      expect([reply.status, reply.json().error]).to.deep.equal([401, 'invalid_client'])
    }
    expect((await stateOf(tokens)).access).to.equal(true)
    ok(await owner.revoke(token))
    expect((await stateOf(tokens)).access).to.equal(false)
  })

  it("A035: leaves another client's token alone and does not tell it from an unknown one", async () => {
    const tokens = await owner.tokens()
    const unknown = await other.revoke('bm90IGEgdG9rZW4')
    for (const token of [tokens.refresh_token, tokens.access_token, `${tokens.access_token}x`, 'a.b.c']) {
      const reply = await other.revoke(token)
      expect([reply.status, reply.text]).to.deep.equal([unknown.status, unknown.text])
      expect(Object.keys(reply.headers).sort()).to.deep.equal(Object.keys(unknown.headers).sort())
    }
    ok(unknown)
    expect(await stateOf(tokens)).to.deep.equal({ access: true, refresh: true })
    ok(await owner.revoke(tokens.refresh_token))
    expect(await stateOf(tokens)).to.deep.equal({ access: false, refresh: false })
  })

  it('lets a public client give its own tokens back (RFC 7009 section 2.1)', async () => {
    const tokens = await spa.tokens()
    expect((await spa.userinfo(tokens.access_token, 1)).status).to.equal(200)
    ok(await spa.revoke(tokens.refresh_token))
    expect((await spa.userinfo(tokens.access_token, 1)).status).to.equal(401)
    expect((await spa.refresh(tokens.refresh_token, {}, 1)).json().error).to.equal('invalid_grant')
  })

  it('may be repeated', async () => {
    const { access_token, refresh_token } = await owner.tokens()
    for (const token of [access_token, access_token, refresh_token, refresh_token]) ok(await owner.revoke(token))
  })

  it('asks for a token', async () => {
    const reply = await owner.post('/oauth2/revoke', {})
    expect([reply.status, reply.json().error]).to.deep.equal([400, 'invalid_request'])
  })
})
