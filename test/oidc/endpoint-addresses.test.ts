/** The engine takes an address in any case and with a slash behind; what this server adds must hold there too. */
import { expect } from 'chai'
import { type CodeFlow, createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'

describe('endpoints by another spelling of their address', () => {
  let world: World
  let flow: CodeFlow

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    await createAnna(world)
    const { secret } = await world.core.clients.create({
      ...{ id: 'web', type: 'web', firstParty: true, redirectUris: [REDIRECT_URI] },
    })
    flow = createCodeFlow(world, { id: 'web', secret, redirectUri: REDIRECT_URI })
  })
  after(() => world?.stop())

  for (const path of ['/oauth2/TOKEN', '/oauth2/token/']) {
    it(`rotates a refresh token at ${path}, and keeps its successor`, async () => {
      const { refresh_token } = await flow.tokens()
      const first = tokensOf(await flow.post(path, { grant_type: 'refresh_token', refresh_token }))
      const second = await flow.refresh(first.refresh_token)
      expect(second.status, second.text).to.equal(200)
      expect((await flow.refresh(refresh_token)).json().error).to.equal('invalid_grant')
    })

    it(`notices a code that comes back after it was redeemed at ${path}`, async () => {
      const { code, verifier } = await flow.authorize(flow.newAgent())
      const form = {
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
        redirect_uri: REDIRECT_URI,
      }
      const { access_token } = tokensOf(await flow.post(path, form))
      expect((await flow.introspect(access_token)).json().active).to.equal(true)
      expect((await flow.post('/oauth2/token', form)).json().error).to.equal('invalid_grant')
      expect((await flow.introspect(access_token)).text).to.equal('{"active":false}')
    })
  }

  it('answers about signed tokens, and revokes them', async () => {
    const { access_token } = await flow.tokens()
    expect((await flow.post('/oauth2/Introspect', { token: access_token })).json().active).to.equal(true)
    expect((await flow.post('/oauth2/revoke/', { token: access_token })).status).to.equal(200)
    expect((await flow.post('/oauth2/introspect/', { token: access_token })).text).to.equal('{"active":false}')
  })

  it('shows a page, not JSON, where the redirect URI is not proven', async () => {
    for (const path of ['/oauth2/authorize', '/oauth2/Authorize', '/oauth2/authorize/']) {
      const reply = await flow.get(`${path}?client_id=nobody`)
      expect([reply.status, reply.headers['content-type']], path).to.deep.equal([400, 'text/html; charset=utf-8'])
    }
  })
})
