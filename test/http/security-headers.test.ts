import { expect } from 'chai'
import { allowFormAction, contentSecurityPolicy, createSecurityHeaders } from '../../src/http/security-headers.ts'
import { serve } from './serve.ts'

const directive = (policy: string, name: string) =>
  policy
    .split('; ')
    .find((part) => part.startsWith(name))
    ?.split(' ')
    .slice(1)

describe('security headers', () => {
  it('are on every answer, HSTS only for an https issuer', async () => {
    for (const [issuer, hsts] of [
      ['https://id.example.test', 'max-age=31536000; includeSubDomains'],
      ['http://localhost:3000', undefined],
    ] as const) {
      const server = await serve([
        createSecurityHeaders({ issuer }),
        (ctx) => {
          ctx.body = 'x'
        },
      ])
      const { headers } = await server.ask()
      await server.close()
      expect(headers).to.include({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
      })
      expect(headers['strict-transport-security']).to.equal(hsts)
      expect(headers['content-security-policy']).to.equal(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
          "base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
      )
    }
  })

  it('adds the origin of a redirect URI, or the scheme of a native client, once', () => {
    const policy = contentSecurityPolicy({
      formAction: [
        'https://app.example.test:8443/cb?x=1',
        'https://app.example.test:8443/other',
        'com.example.app:/cb',
      ],
    })
    expect(directive(policy, 'form-action')).to.deep.equal([
      "'self'",
      'https://app.example.test:8443',
      'com.example.app:',
    ])
    expect(directive(contentSecurityPolicy({ formAction: ['http://[::1]:49152/cb'] }), 'form-action')).to.deep.equal([
      "'self'",
      'http://[::1]:49152',
    ])
  })

  for (const uri of [
    'https://a;script-src',
    'javascript:alert(1)',
    'data:text/html,x',
    'not a uri',
    "https://x'unsafe-inline'",
  ]) {
    it(`adds nothing for ${uri}`, () => {
      expect(contentSecurityPolicy({ formAction: [uri], imgSrc: [uri] })).to.equal(contentSecurityPolicy())
    })
  }

  it('widens the policy of a page made by the engine, keeping its script hash', async () => {
    const server = await serve([
      createSecurityHeaders({ issuer: 'https://id.example.test' }),
      async (ctx, next) => {
        await next()
        allowFormAction(ctx, ['https://app.example.test/cb'])
      },
      (ctx) => {
        const hashed = ctx.response
          .get('Content-Security-Policy')
          .replace("script-src 'self'", "script-src 'self' 'sha256-x'")
        // The engine joins without blanks.
        ctx.set('Content-Security-Policy', hashed.replaceAll('; ', ';'))
        ctx.body = 'x'
      },
    ])
    const { headers } = await server.ask()
    await server.close()
    expect(headers['content-security-policy']).to.include("script-src 'self' 'sha256-x';")
    expect(headers['content-security-policy']).to.match(/form-action 'self' https:\/\/app\.example\.test$/)
  })
})
