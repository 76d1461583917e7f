/** The description of the API as it is served, and a client that others make from it. */
import { expect } from 'chai'
import { type Document, OpenAPIClientAxios } from 'openapi-client-axios'
import { ANNA, createAnna } from '../support/code-flow.ts'
import { send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

interface Answer {
  status: number
  data: { access_token: string; email: string; items: unknown[]; code: string }
}

describe('the description of the API, as served', function () {
  this.timeout(30_000)
  let world: World

  before(async () => {
    world = await startWorld()
    await createAnna(world)
  })
  after(() => world?.stop())

  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    send(world.servers[0]?.address ?? '', world.issuer, path, { method, headers })

  it('is for pages of every origin, and names the issuer', async () => {
    const reply = await ask('/openapi.json', { Origin: 'https://anywhere.example' })
    expect(reply.status).to.equal(200)
    expect(reply.headers).to.include({
      'content-type': 'application/json; charset=utf-8',
      'access-control-allow-origin': '*',
    })
    expect(reply.json()).to.deep.include({ openapi: '3.1.0', servers: [{ url: world.issuer }] })
  })

  it('is not sent to who has it', async () => {
    const { etag = '' } = (await ask('/openapi.json')).headers
    const again = await ask('/openapi.json', { 'If-None-Match': etag })
    expect([again.status, again.text]).to.deep.equal([304, ''])
    expect((await ask('/openapi.json', { 'If-None-Match': '"other"' })).status).to.equal(200)
  })

  it('is enough for a client of others to sign in, read, list and be refused', async () => {
    const document = (await ask('/openapi.json')).json<Document>()
    const client = await new OpenAPIClientAxios({ definition: document }).init()
    client.defaults.validateStatus = () => true
    const call = async (operation: string, parameters = {}, body?: object, bearer = ''): Promise<Answer> => {
      const method = client[operation]
      if (!method) throw new Error(`the document has no operation ${operation}`)
      return method(parameters, body, bearer ? { headers: { Authorization: `Bearer ${bearer}` } } : {})
    }
    const { access_token: bearer } = (await call('signIn', {}, ANNA)).data
    const me = await call('getMe', {}, undefined, bearer)
    expect([me.status, me.data.email]).to.deep.equal([200, ANNA.login])
    const sessions = await call('listMySessions', { limit: 1 }, undefined, bearer)
    expect(sessions.data.items).to.have.length(1)
    const refused = await call('getMe')
    expect([refused.status, refused.data.code]).to.deep.equal([401, 'unauthenticated'])
  })

  describe('its pages', () => {
    it('run no script of their own and ask no other host', async () => {
      for (const path of ['/docs', '/redoc', '/docs/oauth2-redirect']) {
        const { status, text, headers } = await ask(path)
        expect(status, path).to.equal(200)
        expect(text, path).not.to.match(/<script(?! src="\/assets\/)/)
        expect(text, path).not.to.match(/\s(on\w+|style)=/)
        const policy = String(headers['content-security-policy'])
        expect(policy, path).to.contain("default-src 'none'; script-src 'self';").and.not.to.contain('unsafe')
      }
    })

    it('send what is large compressed to who takes it', async () => {
      const [url = ''] = /\/assets\/swagger-ui-bundle\.[\w-]+\.js/.exec((await ask('/docs')).text) ?? []
      const plain = await ask(url)
      const small = await ask(url, { 'Accept-Encoding': 'gzip' })
      expect(small.headers).to.include({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
      expect(small.headers.etag).not.to.equal(plain.headers.etag)
      expect(Number(small.headers['content-length'])).to.be.below(Number(plain.headers['content-length']) / 3)
      const again = await ask(url, { 'Accept-Encoding': 'gzip', 'If-None-Match': small.headers.etag ?? '' })
      expect(again.status).to.equal(304)
    })

    it('are not there when they are switched off, nor is their client; the description is', async () => {
      const without = await startWorld({ env: { USHER_DOCS: '0' } })
      try {
        const at = async (path: string) => (await send(without.servers[0]?.address ?? '', without.issuer, path)).status
        expect(await at('/docs')).to.equal(404)
        expect(await at('/redoc')).to.equal(404)
        expect(await at('/openapi.json')).to.equal(200)
        expect(await without.core.clients.find('usher-docs')).to.equal(undefined)
        expect(await world.core.clients.find('usher-docs')).to.include({
          firstParty: true,
          tokenEndpointAuthMethod: 'none',
        })
        const start = await send(without.servers[0]?.address ?? '', without.issuer, '/')
        expect(start.text).not.to.contain('/docs')
      } finally {
        await without.stop()
      }
    })
  })
})
