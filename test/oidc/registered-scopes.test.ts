/** What a client was not registered for it does not get, whichever way it asks; and what it gets the person has seen. */
import { expect } from 'chai'
import { decodeJwt } from 'jose'
import {
  ANNA,
  type CodeFlow,
  createAnna,
  createCodeFlow,
  PASSWORD,
  responseOf,
  tokensOf,
} from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const EMAIL_BY_CLAIMS = JSON.stringify({ id_token: { email: null }, userinfo: { email: { essential: true } } })

describe('registered scopes', () => {
  let world: World
  /** Registered for a scope of an API and for none of OpenID's. */
  let api: CodeFlow
  /** Registered for openid alone. */
  let lean: CodeFlow
  /** Registered for e-mail too, and asking for consent. */
  let third: CodeFlow

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    await createAnna(world)
    const register = async (id: string, scopes: string[], firstParty: boolean) => {
      const grantTypes = [
        'authorization_code',
        'refresh_token',
        'client_credentials',
        ...(firstParty ? ['password'] : []),
      ]
      const { secret } = await world.core.clients.create({
        ...{ id, type: 'web', firstParty, grantTypes, scopes, redirectUris: [REDIRECT_URI] },
      })
      return createCodeFlow(world, { id, secret, redirectUri: REDIRECT_URI })
    }
    api = await register('api', ['api:read'], true)
    lean = await register('lean', ['openid'], true)
    third = await register('third', ['openid', 'email'], false)
  })
  after(() => world?.stop())

  const byPassword = (flow: CodeFlow, scope: string) =>
    flow.post('/oauth2/token', { grant_type: 'password', username: 'anna', password: PASSWORD, scope })

  it('of an API alone do not open those of OpenID at the authorization endpoint', async () => {
    for (const scope of ['openid', 'openid email', 'openid profile api:read']) {
      const page = await api.newAgent().open(api.requestOf({ scope }).url)
      expect(responseOf(page).get('error'), scope).to.equal('invalid_scope')
    }
    const { scope } = tokensOf(await api.redeem(await api.authorize(api.newAgent(), { scope: 'api:read', nonce: '' })))
    expect(scope).to.equal('api:read')
  })

  it('of an API alone do not open those of OpenID at the token endpoint', async () => {
    for (const scope of ['openid', 'openid email profile'])
      expect((await byPassword(api, scope)).json().error, scope).to.equal('invalid_scope')
    expect(tokensOf(await byPassword(api, 'api:read')).scope).to.equal('api:read')
    const reply = await api.post('/oauth2/token', { grant_type: 'client_credentials', scope: 'openid api:read' })
    expect(reply.json().error).to.equal('invalid_scope')
  })

  it('are not widened by asking for single claims', async () => {
    const tokens = await lean.tokens({ claims: EMAIL_BY_CLAIMS })
    expect(decodeJwt(tokens.id_token)).not.to.have.property('email')
    expect((await lean.userinfo(tokens.access_token)).json()).to.deep.equal({ sub: decodeJwt(tokens.id_token).sub })
  })

  it('name on the consent page what is asked for as a single claim, and give it then', async () => {
    const agent = third.newAgent()
    const request = third.requestOf({ claims: EMAIL_BY_CLAIMS })
    const signIn = await agent.open(request.url)
    const consent = await agent.submit(signIn, { fill: ANNA, press: 'login-submit' })
    expect(consent.text).to.match(/your e-?mail|email address|e-mail address/i)
    const code = responseOf(await agent.submit(consent, { press: 'consent-submit' })).get('code') ?? ''
    const tokens = tokensOf(await third.redeem({ ...request, code, response: new URLSearchParams() }))
    expect(decodeJwt(tokens.id_token).email).to.equal('anna@example.org')
    expect((await third.userinfo(tokens.access_token)).json().email).to.equal('anna@example.org')
  })
})
