import { expect } from 'chai'
import { createRequestId } from '../../src/http/request-id.ts'
import { requestIdOf } from '../../src/http/request-state.ts'
import { makeLog, serve } from './serve.ts'

describe('request id', () => {
  const { logger, parsed } = makeLog()
  let server: Awaited<ReturnType<typeof serve>>

  before(async () => {
    server = await serve([
      createRequestId(),
      async (ctx) => {
        await Promise.resolve()
        logger.info('inside')
        ctx.body = requestIdOf(ctx)
      },
    ])
  })
  after(() => server.close())

  it('echoes a well-formed id and writes it into every log line of the request', async () => {
    const { headers, body } = await server.ask({ headers: { 'X-Request-Id': 'abcd-EFGH_1234' } })
    expect(headers['x-request-id']).to.equal('abcd-EFGH_1234')
    expect(body).to.equal('abcd-EFGH_1234')
    expect(parsed().at(-1)).to.include({ req_id: 'abcd-EFGH_1234', msg: 'inside' })
  })

  for (const [name, value] of [
    ['too short', 'abc1234'],
    ['ten kilobytes', 'a'.repeat(10_240)],
    ['HTML', '<script>alert(1)</script>'],
    ['spaces', 'aaaa bbbb cccc'],
    ['another alphabet', 'a.b.c.d.e.f.g'],
  ] as const) {
    it(`replaces an id that is ${name}`, async () => {
      const { headers } = await server.ask({ headers: { 'X-Request-Id': value } })
      expect(headers['x-request-id'])
        .to.match(/^[\w-]{16}$/)
        .and.not.equal(value)
    })
  }

  it('gives every request without one an id of its own', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.ask()))
    expect(new Set(answers.map(({ headers }) => headers['x-request-id'])).size).to.equal(20)
  })
})
