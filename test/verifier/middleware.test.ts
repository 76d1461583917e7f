import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import express from 'express'
import fastify from 'fastify'
import Koa from 'koa'
import {
  createVerifier,
  type Requirement,
  refusalOf,
  TokenError,
  type VerifiedToken,
  type Verifier,
  type VerifierEvent,
} from '../../src/verifier/verifier.ts'
import { AUDIENCE, type FakeIssuer, startFakeIssuer } from './fake-issuer.ts'

interface Served {
  port: number
  close(): unknown
}

const REQUIREMENT: Requirement = { scopes: ['orders:read', 'openid'], permissions: { any: ['orders:read', 'all_all'] } }
const PERMITTED = { permissions: ['orders:read'] }

async function listening(server: Server): Promise<Served> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => server.close() } // listening on TCP
}

const bodyOf = ({ subject, clientId }: VerifiedToken) => JSON.stringify({ subject, clientId })

/** The same small service in each framework. */
const FRAMEWORKS: Record<string, (verifier: Verifier) => Promise<Served>> = {
  koa(verifier) {
    const app = new Koa()
    app.use(verifier.koa(REQUIREMENT))
    app.use((ctx) => {
      ctx.body = bodyOf(ctx.state.auth)
    })
    return listening(createServer(app.callback()))
  },
  express(verifier) {
    const app = express()
    app.get('/', verifier.express(REQUIREMENT), (req, res) => {
      res.send(bodyOf((req as typeof req & { auth: VerifiedToken }).auth)) // set by the line above
    })
    return listening(createServer(app))
  },
  async fastify(verifier) {
    const app = fastify()
    app.addHook('onRequest', verifier.fastify(REQUIREMENT))
    app.get('/', async (req) => bodyOf((req as typeof req & { auth: VerifiedToken }).auth)) // set by the hook
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as AddressInfo).port, close: () => app.close() } // listening on TCP
  },
  http: (verifier) =>
    listening(createServer(verifier.http(({ auth }, response) => void response.end(bodyOf(auth)), REQUIREMENT))),
}

interface Answer {
  status: number
  headers: Record<string, unknown>
  text: string
}

/** As raw headers, of which fetch would make fewer. */
async function call(port: number, ...authorization: string[]): Promise<Answer> {
  const sent = request({
    port,
    host: '127.0.0.1',
    headers: ['Host', 'x', ...authorization.flatMap((value) => ['Authorization', value])],
  })
  sent.end()
  const [response] = await once(sent, 'response')
  const text = (await response.setEncoding('utf8').toArray()).join('')
  return { status: response.statusCode, headers: response.headers, text }
}

for (const [name, serve] of Object.entries(FRAMEWORKS)) {
  describe(`the verifier in front of ${name}`, () => {
    let issuer: FakeIssuer
    let verifier: Verifier
    let service: Served

    before(async () => {
      issuer = await startFakeIssuer()
      verifier = createVerifier({ issuer: issuer.issuer, audience: AUDIENCE, stream: false })
      service = await serve(verifier)
    })
    after(async () => {
      await service.close()
      verifier.close()
      await issuer.stop()
    })

    const refused = async (...authorization: string[]) => {
      const { status, headers, text } = await call(service.port, ...authorization)
      const problem = JSON.parse(text)
      expect(headers['content-type']).to.match(/^application\/problem\+json/)
      expect(headers['cache-control']).to.equal('no-store')
      expect(problem).to.include({ status, type: `urn:usher:problem:${problem.code}` })
      expect(Object.keys(problem)).to.deep.equal(['type', 'title', 'status', 'code'])
      return [status, problem.code, headers['www-authenticate']]
    }
    const signed = async (claims: object) => `Bearer ${await issuer.sign({ ...PERMITTED, ...claims })}`

    it('lets a good token in and says whose it is', async () => {
      for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) {
        const { status, text } = await call(service.port, `${scheme} ${await issuer.sign(PERMITTED)}`)
        expect([status, text]).to.deep.equal([200, '{"subject":"account-1","clientId":"app"}'])
      }
    })

    it('asks for a token without naming an error where there was none', async () => {
      const unauthenticated = [401, 'unauthenticated', 'Bearer']
      expect(await refused()).to.deep.equal(unauthenticated)
      for (const header of ['Basic YTpi', 'DPoP abc', 'Bearers abc', 'abc']) {
        expect(await refused(header), header).to.deep.equal(unauthenticated)
      }
    })

    it('finds a header malformed that names no token, or two', async () => {
      const malformed = [400, 'invalid_request', 'Bearer error="invalid_request"']
      for (const header of ['Bearer', 'Bearer a b', 'Bearer a,b', 'Bearer "a"', 'Bearer ä', 'Bearer =']) {
        expect(await refused(header), header).to.deep.equal(malformed)
      }
      const good = await signed({})
      expect(await refused(good, good)).to.deep.equal(malformed)
    })

    it('refuses every bad token in the same words', async () => {
      const invalid = [401, 'invalid_token', 'Bearer error="invalid_token"']
      for (const header of [
        'Bearer abc',
        await signed({ exp: 5 }),
        await signed({ aud: 'https://elsewhere.example' }),
        await signed({ iss: 'https://elsewhere.example' }),
        await signed({ cnf: { jkt: 'a' } }),
        `${await signed({})}AAAA`,
      ]) {
        expect(await refused(header)).to.deep.equal(invalid)
      }
    })

    it('names the scopes that are needed', async () => {
      const challenge = 'Bearer error="insufficient_scope", scope="orders:read openid"'
      expect(await refused(await signed({ scope: 'openid' }))).to.deep.equal([403, 'insufficient_scope', challenge])
    })

    it('refuses for a lack of permissions without asking for another token', async () => {
      const answer = await refused(await signed({ permissions: ['orders:edit'] }))
      expect(answer).to.deep.equal([403, 'forbidden', undefined])
    })

    it('lets nobody in when the keys cannot be had', async () => {
      await issuer.stop()
      const mine = createVerifier({ issuer: issuer.issuer, audience: AUDIENCE, stream: false })
      const another = await serve(mine)
      try {
        const { status, headers, text } = await call(another.port, await signed({}))
        expect([status, headers['retry-after'], JSON.parse(text).code]).to.deep.equal([
          ...[503, '1', 'temporarily_unavailable'],
        ])
        expect(headers['www-authenticate']).to.equal(undefined)
      } finally {
        await another.close()
        await issuer.restart()
      }
    })
  })
}

describe('middleware of the verifier', () => {
  let issuer: FakeIssuer
  before(async () => {
    issuer = await startFakeIssuer()
  })
  after(() => issuer.stop())

  it('answers 500 for a handler of node:http that fails, and says so', async () => {
    const events: VerifierEvent[] = []
    const verifier = createVerifier({
      ...{ issuer: issuer.issuer, audience: AUDIENCE, stream: false },
      onEvent: (event) => events.push(event),
    })
    const handler = verifier.http(async () => {
      throw new Error('a fault of the service')
    })
    const service = await listening(createServer(handler))
    try {
      const { status, text } = await call(service.port, `Bearer ${await issuer.sign()}`)
      expect([status, text]).to.deep.equal([500, ''])
      expect(events.at(-1)).to.have.property('kind', 'handler_failed')
    } finally {
      service.close()
    }
  })

  it('hands a fault of its own to Express', async () => {
    const broken = createVerifier({
      ...{ issuer: issuer.issuer, audience: AUDIENCE, stream: false },
      now() {
        throw new Error('no clock')
      },
    })
    const app = express()
    app.get('/', broken.express(), (_request, response) => void response.end('in'))
    const onError: express.ErrorRequestHandler = (error, _request, response, _next) => {
      response.status(500).end(error.message)
    }
    app.use(onError)
    const service = await listening(createServer(app))
    try {
      expect(await call(service.port, `Bearer ${await issuer.sign()}`)).to.include({ status: 500, text: 'no clock' })
    } finally {
      service.close()
    }
  })

  it('never puts into a challenge what does not belong there', () => {
    const error = new TokenError('insufficient_scope', 'no', { scopes: ['a"b', 'c\r\nd'] })
    expect(refusalOf(error).headers['WWW-Authenticate']).to.equal('Bearer error="insufficient_scope"')
  })
})
