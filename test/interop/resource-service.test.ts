/** A service that has never heard of us but for one URL: it verifies access tokens with the published keys, by itself. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { type CodeFlow, createCodeFlow } from '../support/code-flow.ts'
import { AUDIENCE, CALLBACK, type InteropWorld, startInteropWorld } from './interop-world.ts'

/** Answers who is asking, to holders of a token for this audience alone. */
async function startNotes(issuer: string, audience: string): Promise<{ url: string; server: Server }> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`))
  const server = createServer(async (request, response) => {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ')
    try {
      if (scheme !== 'Bearer' || !token) throw new errors.JWSInvalid()
      const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt', algorithms: ['ES256'] })
      const mayRead = String(payload.scope).split(' ').includes('notes:read')
      response.writeHead(mayRead ? 200 : 403).end(JSON.stringify({ owner: payload.sub }))
    } catch (error) {
      response.writeHead(error instanceof errors.JOSEError ? 401 : 500).end()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server } // listening on TCP
}

describe('a resource service that verifies tokens by itself', () => {
  let world: InteropWorld
  let flow: CodeFlow
  const services: Server[] = []

  before(async function () {
    this.timeout(30_000)
    world = await startInteropWorld()
    flow = createCodeFlow(world, { id: 'web', secret: world.webSecret, redirectUri: CALLBACK })
  })
  after(async () => {
    for (const server of services) server.close()
    await world?.stop()
  })

  async function notesFor(audience: string) {
    const { url, server } = await startNotes(world.issuer, audience)
    services.push(server)
    return async (authorization?: string) => {
      const response = await fetch(
        url,
        authorization === undefined ? {} : { headers: { Authorization: authorization } },
      )
      return { status: response.status, text: await response.text() }
    }
  }

  it('takes a genuine token and knows the person', async () => {
    const notes = await notesFor(AUDIENCE)
    const tokens = await flow.tokens({ scope: 'openid notes:read' })
    const { sub } = (await flow.introspect(tokens.access_token)).json<{ sub: string }>()
    expect(await notes(`Bearer ${tokens.access_token}`)).to.deep.equal({ status: 200, text: `{"owner":"${sub}"}` })
  })

  it('refuses a tampered token, any other kind of token, and none', async () => {
    const notes = await notesFor(AUDIENCE)
    const tokens = await flow.tokens({ scope: 'openid notes:read' })
    const [header, payload, signature = ''] = tokens.access_token.split('.')
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    const altered = Buffer.from(JSON.stringify({ ...claims, sub: 'somebody else' })).toString('base64url')
    for (const [kind, token] of Object.entries({
      'another subject': `${header}.${altered}.${signature}`,
      'a turned signature': `${header}.${payload}.${[...signature].reverse().join('')}`,
      'no signature': `${header}.${payload}.`,
      'an ID token': tokens.id_token,
      'a refresh token': tokens.refresh_token,
      rubbish: 'rubbish',
    })) {
      expect((await notes(`Bearer ${token}`)).status, kind).to.equal(401)
    }
    expect((await notes()).status).to.equal(401)
    expect((await notes(`Bearer ${tokens.access_token}`)).status).to.equal(200)
  })

  it('A046: refuses a token for somebody else', async () => {
    const [mine, theirs] = [await notesFor(AUDIENCE), await notesFor('https://elsewhere.example')]
    const { access_token: token } = await flow.tokens({ scope: 'openid notes:read' })
    expect((await theirs(`Bearer ${token}`)).status).to.equal(401)
    expect((await mine(`Bearer ${token}`)).status).to.equal(200)
  })

  it('refuses what the token does not allow', async () => {
    const notes = await notesFor(AUDIENCE)
    const { access_token: token } = await flow.tokens({ scope: 'openid' })
    expect((await notes(`Bearer ${token}`)).status).to.equal(403)
  })
})
