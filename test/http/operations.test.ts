import Router from '@koa/router'
import { expect } from 'chai'
import { mountOperations } from '../../src/http/operations.ts'
import { createHealth } from '../../src/observability/health.ts'
import { serve } from './serve.ts'

describe('operations', () => {
  let now = 0
  let asked = 0
  let draining = false
  let database: () => Promise<void> = async () => {}
  let server: Awaited<ReturnType<typeof serve>>

  before(async () => {
    const checks = {
      database: () => {
        asked += 1
        return database()
      },
      redis: async () => {},
    }
    const router = new Router()
    const health = createHealth({ checks, clock: { now: () => now }, deadlineMs: 30 })
    mountOperations(router, { health, isDraining: () => draining })
    server = await serve([], (app) => app.use(router.routes()))
  })
  after(() => server.close())
  beforeEach(() => {
    now += 10_000
    asked = 0
    draining = false
    database = async () => {}
  })

  it('says the process lives without asking any dependency', async () => {
    database = async () => Promise.reject(new Error('down'))
    expect((await server.ask({ path: '/healthz' })).status).to.equal(200)
    expect(asked).to.equal(0)
  })

  it('is ready when every dependency answers, and asks them once a second however many probes come', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.ask({ path: '/readyz' })))
    expect(answers.map(({ status }) => status)).to.deep.equal(Array(20).fill(200))
    expect(JSON.parse(answers[0]?.body ?? '')).to.deep.equal({
      status: 'ready',
      checks: { database: 'ok', redis: 'ok' },
    })
    expect(asked).to.equal(1)
    now += 1000
    await server.ask({ path: '/readyz' })
    expect(asked).to.equal(2)
  })

  it('answers 503 with Retry-After when a dependency fails, throws or hangs', async () => {
    const failures = [
      async () => Promise.reject(new Error('password authentication failed for secret')),
      () => {
        throw new Error('at once')
      },
      () => new Promise<void>(() => {}),
    ]
    for (const failure of failures) {
      now += 10_000
      database = failure
      const { status, headers, body } = await server.ask({ path: '/readyz' })
      expect(status).to.equal(503)
      expect(headers['retry-after']).to.equal('1')
      expect(JSON.parse(body)).to.deep.equal({ status: 'unavailable', checks: { database: 'failed', redis: 'ok' } })
    }
  })

  it('is not ready while draining, whatever the dependencies say', async () => {
    draining = true
    const { status, body } = await server.ask({ path: '/readyz' })
    expect(status).to.equal(503)
    expect(JSON.parse(body)).to.deep.equal({ status: 'draining' })
  })
})
