import { expect } from 'chai'
import { createCookies } from '../../src/http/cookies.ts'
import { trustProxies } from '../../src/http/pinned-host.ts'
import { serve } from './serve.ts'

describe('cookies', () => {
  it('on an https issuer carry the prefix that makes the browser enforce their flags', async () => {
    const cookies = createCookies({ issuer: 'https://id.example.test' })
    const server = await serve(
      [
        (ctx) => {
          cookies.set(ctx, 'ui_locale', 'ru', { maxAgeSeconds: 60 })
          ctx.body = cookies.get(ctx, 'ui_locale') ?? 'none'
        },
      ],
      (app) => trustProxies(app, 1),
    )
    const headers = { 'X-Forwarded-Proto': 'https', Cookie: 'ui_locale=plain; __Host-ui_locale=real' }
    const { headers: answer, body } = await server.ask({ headers })
    await server.close()
    const [cookie] = answer['set-cookie'] ?? []
    expect(cookie).to.match(/^__Host-ui_locale=ru; path=\/; expires=/)
    expect(cookie).to.include('secure').and.include('httponly').and.include('samesite=lax').and.not.include('domain')
    expect(body, 'a plain cookie a neighbour could have set is not read').to.equal('real')
    expect(cookies.nameOf('interaction', 'path')).to.equal('__Secure-interaction')
  })

  it('on an http issuer have plain names, because prefixes need https', () => {
    const cookies = createCookies({ issuer: 'http://localhost:3000' })
    expect(cookies.secure).to.equal(false)
    expect([cookies.nameOf('session'), cookies.nameOf('interaction', 'path')]).to.deep.equal(['session', 'interaction'])
  })
})
