/** Which pages of other origins may call which endpoint (Fetch standard, section 3.3). */
import { expect } from 'chai'
import { createAnna, createCodeFlow } from '../support/code-flow.ts'
import { basic, type Reply, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const OWN = 'https://spa.example'
const FOREIGN = 'https://evil.example'

describe('calls from pages of other origins', () => {
  let world: World
  let webSecret: string
  const ask = (path: string, origin: string, more: Parameters<typeof send>[3] = {}): Promise<Reply> =>
    send(world.servers[0]?.address ?? '', world.issuer, path, { ...more, headers: { ...more.headers, Origin: origin } })
  const allowed = ({ headers }: Reply) => headers['access-control-allow-origin']

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    await createAnna(world)
    const { create } = world.core.clients
    await create({ id: 'spa', type: 'spa', firstParty: true, redirectUris: [`${OWN}/cb`] })
    await create({ id: 'native', type: 'native', redirectUris: ['com.example.app:/cb'] })
    const web = await create({ id: 'web', type: 'web', redirectUris: [`${OWN}/web`] })
    webSecret = web.secret ?? ''
  })
  after(() => world?.stop())

  const refresh = (clientId: string) => ({
    form: { grant_type: 'refresh_token', client_id: clientId, refresh_token: 'none' },
  })

  it('reach the token endpoint for a public client from its own origin only', async () => {
    expect(allowed(await ask('/oauth2/token', OWN, refresh('spa')))).to.equal(OWN)
    for (const origin of [FOREIGN, `${OWN}:444`, 'http://spa.example', 'https://sub.spa.example']) {
      const reply = await ask('/oauth2/token', origin, refresh('spa'))
      expect([reply.status, allowed(reply)], origin).to.deep.equal([400, undefined])
    }
  })

  it('do not reach it as a sandboxed page, whose origin is that of every native scheme', async () => {
    const reply = await ask('/oauth2/token', 'null', refresh('native'))
    expect([reply.status, allowed(reply)]).to.deep.equal([400, undefined])
  })

  it('do not reach it for a client with a secret', async () => {
    const headers = { Authorization: basic('web', webSecret) }
    const reply = await ask('/oauth2/token', OWN, { form: { grant_type: 'refresh_token' }, headers })
    expect([reply.status, allowed(reply)]).to.deep.equal([400, undefined])
  })

  it('reach userinfo with a token of their own', async () => {
    const flow = createCodeFlow(world, { id: 'spa', redirectUri: `${OWN}/cb` })
    const headers = { Authorization: `Bearer ${(await flow.tokens()).access_token}` }
    const own = await ask('/oauth2/userinfo', OWN, { headers })
    expect([own.status, allowed(own)]).to.deep.equal([200, OWN])
    const foreign = await ask('/oauth2/userinfo', FOREIGN, { headers })
    expect([foreign.status, allowed(foreign)]).to.deep.equal([400, undefined])
    expect(foreign.text).not.to.contain('sub')
  })

  it('never reach pages, and never with cookies', async () => {
    const preflight = { method: 'OPTIONS', headers: { 'Access-Control-Request-Method': 'POST' } }
    for (const path of ['/oauth2/authorize', '/oauth2/logout', '/sign-in/some', '/api/v1/session', '/']) {
      for (const reply of [await ask(path, FOREIGN, preflight), await ask(path, FOREIGN)])
        expect(allowed(reply), path).to.equal(undefined)
    }
    for (const path of ['/oauth2/token', '/oauth2/userinfo', '/.well-known/jwks.json']) {
      for (const reply of [await ask(path, OWN, preflight), await ask(path, OWN)])
        expect(reply.headers['access-control-allow-credentials'], path).to.equal(undefined)
    }
  })

  describe('to the API', () => {
    const preflight = (origin: string, path = '/api/v1/me') =>
      ask(path, origin, { method: 'OPTIONS', headers: { 'Access-Control-Request-Method': 'PATCH' } })

    it('are let in from pages of the house, by their exact origin', async () => {
      const { status, headers } = await preflight(OWN)
      expect(status).to.equal(204)
      expect(headers).to.include({ 'access-control-allow-origin': OWN, vary: 'Origin' })
      expect(headers['access-control-allow-headers']).to.contain('Authorization').and.to.contain('If-Match')
      const reply = await ask('/api/v1/me', OWN)
      expect([reply.status, allowed(reply)]).to.deep.equal([401, OWN])
      expect(reply.headers['access-control-expose-headers']).to.contain('WWW-Authenticate')
    })

    it('are not let in from anywhere else', async () => {
      for (const origin of [
        FOREIGN,
        `${OWN}:444`,
        'http://spa.example',
        'https://sub.spa.example',
        `${OWN}/`,
        'null',
        '*',
      ]) {
        expect(allowed(await preflight(origin)), origin).to.equal(undefined)
        expect(allowed(await ask('/api/v1/me', origin)), origin).to.equal(undefined)
      }
    })

    it('are not let in for applications of others, those with a secret, or pages that are not called back', async () => {
      const { create } = world.core.clients
      await create({ id: 'theirs', type: 'spa', redirectUris: ['https://theirs.example/cb'] })
      await create({ id: 'server', type: 'web', firstParty: true, redirectUris: ['https://server.example/cb'] })
      for (const origin of ['https://theirs.example', 'https://server.example'])
        expect(allowed(await preflight(origin)), origin).to.equal(undefined)
    })

    it('never come with cookies, and preflights open nothing beside the API', async () => {
      for (const reply of [await preflight(OWN), await ask('/api/v1/session', OWN)])
        expect(reply.headers).not.to.have.property('access-control-allow-credentials')
      for (const path of ['/account', '/api/v10/me', '/api/v1evil', '/docs'])
        expect(allowed(await preflight(OWN, path)), path).to.equal(undefined)
    })
  })

  it('read what is published', async () => {
    for (const path of ['openid-configuration', 'oauth-authorization-server', 'jwks.json'])
      expect(allowed(await ask(`/.well-known/${path}`, FOREIGN)), path).to.be.oneOf(['*', FOREIGN])
  })
})
