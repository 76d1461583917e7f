import { expect } from 'chai'
import { send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const PASSWORD = 'correct horse battery staple'

describe('password grant', () => {
  let world: World
  const token = (form: Record<string, string>) =>
    send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', { form: { grant_type: 'password', ...form } })

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    await world.core.accounts.create({ email: 'Anna@example.org', username: 'anna', password: PASSWORD })
    await world.core.clients.create({
      id: 'first',
      name: 'First party',
      type: 'spa',
      firstParty: true,
      grantTypes: ['password', 'refresh_token', 'authorization_code'],
      redirectUris: ['https://first.example/callback'],
      scopes: ['openid', 'email'],
    })
    await world.core.clients.create({
      id: 'other',
      name: 'Other',
      type: 'spa',
      redirectUris: ['https://other.example/callback'],
      scopes: ['openid'],
    })
  })
  after(() => world?.stop())

  it('issues signed tokens to a first-party client for e-mail or username, whatever their case', async () => {
    for (const username of ['anna@EXAMPLE.org', 'ANNA']) {
      const reply = await token({ client_id: 'first', username, password: PASSWORD, scope: 'openid email' })
      expect(reply.status, reply.text).to.equal(200)
      expect(reply.json()).to.include({ token_type: 'Bearer', expires_in: 300, scope: 'openid email' })
      expect(reply.json()).to.include.keys('access_token', 'refresh_token', 'id_token')
    }
  })

  it('answers a wrong password and an unknown account alike', async () => {
    const wrong = await token({ client_id: 'first', username: 'anna', password: 'wrong' })
    const unknown = await token({ client_id: 'first', username: 'nobody', password: 'wrong' })
    expect([wrong.status, unknown.status]).to.deep.equal([400, 400])
    expect(wrong.json()).to.deep.equal({
      error: 'invalid_grant',
      error_description: 'The login or the password is wrong.',
    })
    expect(unknown.text).to.equal(wrong.text)
  })

  it('refuses every client that is not allowed the grant with unauthorized_client', async () => {
    const reply = await token({ client_id: 'other', username: 'anna', password: PASSWORD })
    expect([reply.status, reply.json().error]).to.deep.equal([400, 'unauthorized_client'])
  })
})
