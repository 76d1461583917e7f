import { expect } from 'chai'
import type { Context } from 'koa'
import { AppError, Unavailable } from '../../src/errors.ts'
import { createErrorHandler, logStrayErrors } from '../../src/http/error-handler.ts'
import { createRequestId } from '../../src/http/request-id.ts'
import { createSecurityHeaders } from '../../src/http/security-headers.ts'
import { makeLog, makeRenderer, serve } from './serve.ts'

const issuer = 'https://id.example.test'

describe('error handler', () => {
  const log = makeLog()
  const { render } = makeRenderer(issuer)
  let failing: (ctx: Context) => void
  let server: Awaited<ReturnType<typeof serve>>

  before(async () => {
    server = await serve([
      createRequestId(),
      createErrorHandler({ logger: log.logger, render }),
      createSecurityHeaders({ issuer }),
      (ctx) => failing(ctx),
    ])
  })
  after(() => server.close())
  beforeEach(() => {
    log.lines.length = 0
  })

  const html = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

  it('answers problem+json below /api', async () => {
    failing = () => {
      throw new AppError('conflict', 409, 'This e-mail is taken.', {
        faults: [{ pointer: '/email', message: 'taken' }],
      })
    }
    const { status, headers, body } = await server.ask({ path: '/api/v1/accounts', headers: html })
    expect(status).to.equal(409)
    expect(headers['content-type']).to.match(/^application\/problem\+json/)
    expect(JSON.parse(body)).to.deep.equal({
      type: 'urn:usher:problem:conflict',
      title: 'This e-mail is taken.',
      status: 409,
      code: 'conflict',
      request_id: headers['x-request-id'],
      errors: [{ pointer: '/email', message: 'taken' }],
    })
  })

  it('answers OAuth bodies with registered codes below /oauth2', async () => {
    failing = () => {
      throw new AppError('bad_request', 400, 'A parameter is given more than once.')
    }
    const { status, body } = await server.ask({ path: '/oauth2/token', method: 'POST' })
    expect(status).to.equal(400)
    expect(JSON.parse(body)).to.deep.equal({
      error: 'invalid_request',
      error_description: 'A parameter is given more than once.',
    })
  })

  it('answers a browser with a page that has code, description and request id', async () => {
    failing = () => {
      throw new AppError('forbidden', 403, 'No <b>entry</b>.')
    }
    const { status, headers, body } = await server.ask({ path: '/sign-in/x', headers: html })
    expect(status).to.equal(403)
    expect(headers['content-type']).to.match(/^text\/html/)
    expect(headers['cache-control']).to.equal('no-store')
    expect(body).to.include('id="error-page"').and.include('forbidden').and.include(headers['x-request-id'])
    expect(body).to.include('No &lt;b&gt;entry&lt;/b&gt;.')
  })

  it('hides everything about an unexpected error, and logs all of it with the request id', async () => {
    failing = (ctx) => {
      ctx.set('ETag', '"stale"')
      ctx.type = 'text/csv'
      throw new Error('relation "accounts" does not exist')
    }
    for (const [path, headers] of [
      ['/api/v1/x', {}],
      ['/oauth2/token', {}],
      ['/x', html],
    ] as const) {
      log.lines.length = 0
      const answer = await server.ask({ path, headers })
      expect(answer.status).to.equal(500)
      expect(answer.body)
        .to.include('server_error')
        .and.not.match(/relation|accounts|\.ts:/)
      expect(answer.headers).not.to.have.property('etag')
      expect(answer.headers['content-type']).not.to.include('csv')
      const line = log.parsed().find(({ level }) => level === 'error')
      expect(line).to.include({ req_id: answer.headers['x-request-id'], path })
      expect(line.err.message).to.equal('relation "accounts" does not exist')
      expect(line.err.stack).to.include('error-handler.test.ts')
    }
  })

  it('says 503 with Retry-After when a dependency is down, and names it in the log only', async () => {
    failing = () => {
      throw new Unavailable('redis', new Error('Command timed out'), 2)
    }
    const { status, headers, body } = await server.ask({ path: '/oauth2/token' })
    expect(status).to.equal(503)
    expect(headers['retry-after']).to.equal('2')
    expect(JSON.parse(body).error).to.equal('temporarily_unavailable')
    expect(body).not.to.match(/redis|timed out/)
    expect(log.parsed()[0]).to.include({ detail: 'redis is unavailable' })
  })

  it('shows what Koa and the engine made for the caller, and nothing that only looks like it', async () => {
    failing = (ctx) => ctx.throw(413, 'request entity too large')
    expect((await server.ask({ path: '/api/x' })).status).to.equal(413)
    failing = () => {
      const made = { expose: true, status: 400, error: 'invalid_request', error_description: 'session not found' }
      throw Object.assign(new Error('invalid_request'), made)
    }
    expect((await server.ask({ path: '/sign-in/x', headers: html })).body).to.include('session not found')
    failing = () => {
      throw Object.assign(new Error('secret path'), { expose: true, status: 502 })
    }
    expect((await server.ask({ path: '/api/x' })).body).not.to.include('secret path')
  })

  it('answers what nobody took with 404 in the right form', async () => {
    failing = () => {}
    expect((await server.ask({ path: '/nowhere', headers: html })).body).to.include('id="error-page"')
    expect(JSON.parse((await server.ask({ path: '/api/nowhere' })).body).code).to.equal('not_found')
  })

  it('shows a page at the authorization endpoint, whatever is accepted', async () => {
    failing = () => {
      throw new AppError('bad_request', 400, 'A parameter is given more than once.')
    }
    for (const headers of [{}, { Accept: '*/*' }, { Accept: 'application/json' }]) {
      const { status, body } = await server.ask({ path: '/oauth2/authorize', method: 'POST', headers })
      expect(status).to.equal(400)
      expect(body).to.include('id="error-page"')
    }
  })

  it('is not alarmed by callers who go, or who never finish their request', () => {
    logStrayErrors(server.app, log.logger)
    const codes = ['ECONNRESET', 'EPIPE', 'ERR_HTTP_REQUEST_TIMEOUT', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_SOMETHING']
    for (const code of codes) server.app.emit('error', Object.assign(new Error('stray'), { code }))
    expect(log.parsed().map(({ level }) => level)).to.deep.equal(['debug', 'debug', 'debug', 'debug', 'error'])
  })

  it('still answers when the error page itself fails', async () => {
    const broken = await serve([
      createErrorHandler({
        logger: log.logger,
        render: () => {
          throw new Error('template')
        },
      }),
      () => {
        throw new AppError('forbidden', 403, 'Not allowed.')
      },
    ])
    const { status, body } = await broken.ask({ headers: html })
    expect(status).to.equal(403)
    expect(body).to.include('Not allowed.').and.not.include('template')
    await broken.close()
  })
})
