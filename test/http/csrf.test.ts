import { expect } from 'chai'
import { readForm } from '../../src/http/body.ts'
import { createCsrf } from '../../src/http/csrf.ts'
import { createErrorHandler } from '../../src/http/error-handler.ts'
import { makeLog, makeRenderer, serve } from './serve.ts'

const issuer = 'https://id.example.test'

describe('csrf', () => {
  const csrf = createCsrf({ secret: 's'.repeat(43), issuer })
  const { render } = makeRenderer(issuer)
  let server: Awaited<ReturnType<typeof serve>>

  before(async () => {
    server = await serve([
      createErrorHandler({ logger: makeLog().logger, render }),
      async (ctx) => {
        const { csrf: presented } = await readForm(ctx)
        csrf.check(ctx, 'interaction-1', presented)
        ctx.body = 'done'
      },
    ])
  })
  after(() => server.close())

  const post = async (headers: Record<string, string>, token = csrf.token('interaction-1')) => {
    const body = new URLSearchParams({ csrf: token }).toString()
    const type = { 'Content-Type': 'application/x-www-form-urlencoded' }
    return (await server.ask({ method: 'POST', headers: { ...type, ...headers }, body })).status
  }

  it('accepts our own form: same origin, named origin, hidden origin', async () => {
    expect(await post({ 'Sec-Fetch-Site': 'same-origin', Origin: 'null' })).to.equal(200)
    expect(await post({ Origin: issuer })).to.equal(200)
    expect(await post({ Origin: 'null' })).to.equal(200)
    expect(await post({})).to.equal(200)
  })

  it('refuses a post from elsewhere, even with the right token', async () => {
    for (const site of ['cross-site', 'same-site', 'none']) {
      expect(await post({ 'Sec-Fetch-Site': site, Origin: issuer }), site).to.equal(403)
    }
    expect(await post({ Origin: 'https://evil.test' })).to.equal(403)
    expect(await post({ Origin: 'https://id.example.test.evil.test' })).to.equal(403)
    expect(await post({ Origin: 'http://id.example.test' })).to.equal(403)
  })

  it('refuses a missing, malformed or foreign token', async () => {
    const headers = { 'Sec-Fetch-Site': 'same-origin' }
    expect(await post(headers, '')).to.equal(403)
    expect(await post(headers, 'x'.repeat(43))).to.equal(403)
    expect(await post(headers, csrf.token('interaction-2'))).to.equal(403)
    expect(await post(headers, createCsrf({ secret: 't'.repeat(43), issuer }).token('interaction-1'))).to.equal(403)
  })
})
