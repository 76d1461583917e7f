import { once } from 'node:events'
import { join } from 'node:path'
import Router from '@koa/router'
import { expect } from 'chai'
import Koa from 'koa'
import { createFileMailbox } from '../../src/mail/file-mailbox.ts'
import { mountDevMail } from '../../src/mail/pages.ts'
import { makeRenderer } from '../http/serve.ts'
import { temporaryDirectory } from '../support/database.ts'
import { send } from '../support/http.ts'
import { freePort, startServer, startWorld, type World } from '../support/world.ts'
import { codeFor, mailerOver } from './mail.ts'

describe('/dev/mail', () => {
  let world: World
  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    const mailer = mailerOver(createFileMailbox(join(world.config.dataDir, 'outbox')))
    await mailer.send(codeFor('vera+x@example.test', 'ru'))
  })
  after(() => world.stop())

  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(world.issuer + path, { headers: { accept: 'text/html', ...headers } })

  it('lists the mails of a server without a mail server, and shows one as text and as HTML', async () => {
    const list = await (await get('/dev/mail')).text()
    expect(list).to.include('042917 — код для нового пароля').and.include('vera+x@example.test')
    const path = /\/dev\/mail\/[\da-f-]{36}/.exec(list)?.[0] ?? ''
    const shown = await (await get(path)).text()
    expect(shown).to.include('Введите этот код').and.include('042917')
    expect(shown).to.include(`${path}/html`)
    const html = await get(`${path}/html`)
    expect(html.headers.get('content-security-policy')).to.include('sandbox').and.include("default-src 'none'")
    expect(await html.text()).to.include('>042917</p>')
  })

  it('has no page for a mail that is not there', async () => {
    for (const id of ['0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b', '..%2f..%2fkeys', 'x']) {
      expect((await get(`/dev/mail/${id}`)).status).to.equal(404)
      expect((await get(`/dev/mail/${id}/html`)).status).to.equal(404)
    }
  })

  it('is there for nobody whose request came through a proxy', async () => {
    for (const name of ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP']) {
      const { status } = await get('/dev/mail', { [name]: '127.0.0.1' })
      expect(status, name).to.equal(404)
    }
  })

  it('is there for nobody at another computer', async () => {
    const { render } = makeRenderer('http://localhost')
    const router = new Router()
    const mailbox = createFileMailbox(await temporaryDirectory('mail'))
    mountDevMail(router, { mailbox, render })
    let peer = ''
    const app = new Koa()
    app.use((ctx, next) => {
      Object.defineProperty(ctx.req, 'socket', { value: { remoteAddress: peer } })
      return next()
    })
    const server = app.use(router.routes()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const statusFor = async (from: string) => {
      peer = from
      return (await fetch(`http://127.0.0.1:${port}/dev/mail`)).status
    }
    for (const from of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1']) {
      expect(await statusFor(from), from).to.equal(200)
    }
    for (const from of ['203.0.113.7', '10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', '::2', '', '127.0.0.1.evil.test']) {
      expect(await statusFor(from), from).to.equal(404)
    }
    server.close()
  })

  const issuer = 'https://id.example.test'
  const elsewhere: [name: string, env: Record<string, string>][] = [
    ['when mail goes to a mail server', { USHER_SMTP_URL: 'smtp://127.0.0.1:9' }],
    ['in production', { NODE_ENV: 'production', USHER_ALLOW_EMBEDDED: '1', USHER_REDIS_URL: '', USHER_ISSUER: issuer }],
  ]
  for (const [name, env] of elsewhere) {
    it(`is not there ${name}`, async function () {
      this.timeout(30_000)
      const server = await startServer({ ...world.env, ...env, USHER_PORT: String(await freePort()) })
      const port = /127\.0\.0\.1:(\d+)/.exec(server.lines.join('\n'))?.[1]
      const { status } = await send(`http://127.0.0.1:${port}`, env.USHER_ISSUER ?? world.issuer, '/dev/mail')
      await server.stop()
      expect(status).to.equal(404)
    })
  }
})
