import Router from '@koa/router'
import { expect } from 'chai'
import type { Context } from 'koa'
import { mountAssets } from '../../src/http/assets.ts'
import { makeRenderer, serve } from './serve.ts'

const client = { name: 'Lighthouse' }
const signIn = { action: '/a', cancelAction: '/c', csrf: 'token', login: '', client }

describe('render', () => {
  const { assets, render } = makeRenderer('http://localhost:3000')
  let show: (ctx: Context) => void
  let server: Awaited<ReturnType<typeof serve>>

  before(async () => {
    const router = new Router()
    mountAssets(router, assets)
    server = await serve([], (app) => app.use(router.routes()).use((ctx) => show(ctx)))
  })
  after(() => server.close())

  const languageOf = (body: string) => /<html lang="(\w+)"/.exec(body)?.[1]

  it('sets type, status, language and a policy for this page only, and forbids keeping it', async () => {
    show = (ctx) =>
      render(
        ctx,
        'sign-in',
        { ...signIn, client: { name: 'x', logoUri: 'https://cdn.example.test/l.png' } },
        {
          status: 401,
          formAction: ['https://app.example.test/cb'],
        },
      )
    const { status, headers } = await server.ask()
    expect(status).to.equal(401)
    expect(headers).to.include({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-language': 'en',
    })
    expect(headers['content-security-policy']).to.include("img-src 'self' data: https://cdn.example.test;")
    expect(headers['content-security-policy']).to.include("form-action 'self' https://app.example.test")
    expect(headers['content-security-policy']).not.to.include('unsafe')
  })

  it('drops links of a client that do not lead to the web', async () => {
    show = (ctx) => {
      const links = { uri: 'javascript:alert(1)', policyUri: 'javascript:alert(2)', tosUri: 'data:text/html,x' }
      render(ctx, 'sign-in', { ...signIn, client: { name: 'x', ...links, logoUri: 'javascript:alert(3)' } })
    }
    expect((await server.ask()).body).not.to.match(/javascript:|data:/)
  })

  it('escapes everything that comes from outside', async () => {
    const odd = '"><script>alert(1)</script>'
    const pages: ((ctx: Context) => void)[] = [
      (ctx) => render(ctx, 'sign-in', { ...signIn, login: odd, action: odd, csrf: odd, client: { name: odd } }),
      (ctx) => render(ctx, 'signed-out', { client: { name: odd, uri: `https://x/${odd}` } }),
      (ctx) => render(ctx, 'error', { status: 400, error: odd, description: odd, requestId: odd, retryAction: odd }),
      (ctx) => render(ctx, 'message', { key: odd, href: odd }),
      (ctx) =>
        render(ctx, 'consent', {
          ...{ action: odd, csrf: odd, client: { name: odd }, account: { name: odd, email: odd } },
          ...{ scopes: [odd], redirectHost: odd },
        }),
    ]
    for (const page of pages) {
      show = page
      const { body } = await server.ask({
        path: `/?x=${encodeURIComponent(odd)}&ui_locales=${encodeURIComponent(odd)}`,
      })
      expect(body).to.include('&quot;&gt;&lt;script&gt;').and.not.include('<script>alert')
    }
  })

  describe('language', () => {
    it('of the client is shown, and the one the person picks stays for the rest of that sign-in', async () => {
      show = (ctx) => render(ctx, 'sign-in', signIn, { uiLocales: 'ru' })
      expect(languageOf((await server.ask()).body)).to.equal('ru')
      const picked = await server.ask({ path: '/?ui_locales=en' })
      expect(languageOf(picked.body)).to.equal('en')
      const headers = { Cookie: String(picked.headers['set-cookie']).split(';')[0] ?? '' }
      expect(languageOf((await server.ask({ headers, method: 'POST' })).body), 'wrong password').to.equal('en')
      show = (ctx) => render(ctx, 'sign-in', signIn, { uiLocales: 'ru-RU' })
      expect(languageOf((await server.ask({ headers })).body), "another client's wish").to.equal('ru')
      show = (ctx) => render(ctx, 'sign-in', signIn)
      expect(languageOf((await server.ask({ headers })).body), 'no wish').to.equal('en')
    })

    it('asked for at the authorization endpoint is not remembered', async () => {
      show = (ctx) => render(ctx, 'error', { status: 400, error: 'invalid_request' })
      const { body, headers } = await server.ask({ path: '/oauth2/authorize?ui_locales=ru' })
      expect(languageOf(body)).to.equal('ru')
      expect(headers).not.to.have.property('set-cookie')
    })

    it('links keep the rest of the address, and are left out where only a post leads', async () => {
      show = (ctx) => render(ctx, 'sign-in', signIn)
      expect((await server.ask({ path: '/x?a=1&b=%26' })).body).to.include('href="/x?a=1&amp;b=%26&amp;ui_locales=ru"')
      expect((await server.ask({ path: '/x', method: 'POST' })).body).not.to.include('ui_locales')
      show = (ctx) => render(ctx, 'sign-in', signIn, { self: '/sign-in/1' })
      expect((await server.ask({ path: '/x', method: 'POST' })).body).to.include('href="/sign-in/1?ui_locales=ru"')
    })
  })

  describe('assets', () => {
    it('are served for ever under an address with their digest', async () => {
      const path = assets.urlOf('usher.css')
      expect(path).to.match(/^\/assets\/usher\.[\w-]{12}\.css$/)
      const { status, headers, body } = await server.ask({ path })
      expect(status).to.equal(200)
      expect(headers).to.include({
        'content-type': 'text/css; charset=utf-8',
        'cache-control': 'public, max-age=31536000, immutable',
      })
      expect(body).to.include('--brand')
      const again = await server.ask({ path, headers: { 'If-None-Match': String(headers.etag) } })
      expect(again.status).to.equal(304)
      expect(again.body).to.equal('')
    })

    it('are nothing else in the folder tree', async () => {
      show = (ctx) => {
        ctx.status = 404
      }
      for (const path of ['/assets/usher.css', '/assets/..%2flayout.eta', '/assets/%00', '/assets/constructor']) {
        expect((await server.ask({ path })).status, path).to.equal(404)
      }
      expect(() => assets.urlOf('none.css')).to.throw('none.css')
    })
  })
})
