import { expect } from 'chai'
import { readForm, readJson } from '../../src/http/body.ts'
import { createErrorHandler } from '../../src/http/error-handler.ts'
import { makeLog, makeRenderer, serve } from './serve.ts'

describe('body', () => {
  const { render } = makeRenderer('http://localhost:3000')
  let server: Awaited<ReturnType<typeof serve>>

  before(async () => {
    server = await serve([
      createErrorHandler({ logger: makeLog().logger, render }),
      async (ctx) => {
        ctx.body = { read: ctx.path === '/form' ? await readForm(ctx) : await readJson(ctx) }
      },
    ])
  })
  after(() => server.close())

  const form = (body: string | Buffer, headers: Record<string, string> = {}) =>
    server.ask({
      method: 'POST',
      path: '/form',
      body,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    })
  const json = (body: string, headers: Record<string, string> = {}) =>
    server.ask({ method: 'POST', path: '/json', body, headers: { 'Content-Type': 'application/json', ...headers } })

  it('reads a form as it was typed', async () => {
    const { status, body } = await form('login=%D0%96+%F0%9F%8E%AB&password=a%26b&empty=')
    expect(status).to.equal(200)
    expect(JSON.parse(body).read).to.deep.equal({ login: 'Ж 🎫', password: 'a&b', empty: '' })
  })

  it('refuses a parameter given twice', async () => {
    expect((await form('login=a&login=b')).status).to.equal(400)
  })

  it('refuses NUL, a hundred and one fields and bytes that are not UTF-8', async () => {
    expect((await form('login=a%00b')).status).to.equal(400)
    expect((await form(Array.from({ length: 101 }, (_, index) => `f${index}=1`).join('&'))).status).to.equal(400)
    expect((await form(Buffer.from('login=\xff', 'latin1'))).status).to.equal(400)
  })

  it('keeps a field named like a prototype member a plain field', async () => {
    const { body } = await form('__proto__=x&constructor=y')
    expect(Object.entries(JSON.parse(body).read)).to.deep.equal([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })

  it('refuses more than the limit, announced or not', async () => {
    const big = `login=${'a'.repeat(17 * 1024)}`
    const announced = await form(big, { 'Content-Length': String(big.length) })
    expect(announced.status).to.equal(413)
    expect(announced.headers.connection).to.equal('close')
    expect((await form(big, { 'Transfer-Encoding': 'chunked' })).status).to.equal(413)
  })

  it('refuses other media types and compressed bodies', async () => {
    expect((await form('a=1', { 'Content-Type': 'text/plain' })).status).to.equal(415)
    expect((await json('{}', { 'Content-Type': 'text/plain' })).status).to.equal(415)
    expect((await json('{}', { 'Content-Encoding': 'gzip' })).status).to.equal(415)
  })

  it('reads JSON and refuses broken JSON and prototype keys', async () => {
    expect(JSON.parse((await json('{"a":[1,"Ж"]}')).body).read).to.deep.equal({ a: [1, 'Ж'] })
    expect((await json('{"a":')).status).to.equal(400)
    expect((await json('')).status).to.equal(400)
    expect((await json('{"__proto__":{"isAdmin":true}}')).status).to.equal(400)
    expect((await json('{"a":{"constructor":{"prototype":{}}}}')).status).to.equal(400)
  })
})
