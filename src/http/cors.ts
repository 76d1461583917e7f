/**
 * Which pages of other origins may call the API (Fetch standard, section 3.3): those of public clients of the house, by
 * the exact origins of their redirect URIs. Never with cookies, so such a page needs an access token.
 */
import type { Middleware } from 'koa'

export interface CorsDeps {
  issuer: string
  /** Whether the origin is that of a page to which such a client is redirected. */
  mayCallFrom(origin: string): Promise<boolean>
}

const API = /^\/(?:api|access)\/v1(?:\/|$)/

const PREFLIGHT = {
  'Access-Control-Allow-Methods': 'GET, POST, PUT, PATCH, DELETE',
  'Access-Control-Allow-Headers':
    'Authorization, Content-Type, DPoP, Idempotency-Key, If-Match, If-None-Match, X-Request-Id',
  'Access-Control-Max-Age': '600',
}

const READABLE =
  'ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id'

/** Goes in front of the routes: a preflight is no request of any of them. */
export function createCors({ issuer, mayCallFrom }: CorsDeps): Middleware {
  const own = new URL(issuer).origin

  return async function allowOwnPages(ctx, next) {
    if (!API.test(ctx.path)) return next()
    ctx.vary('Origin')
    const origin = ctx.get('Origin')
    // "null" is what every sandboxed page has.
    if (origin === '' || origin === 'null' || origin === own || !(await mayCallFrom(origin))) return next()
    ctx.set('Access-Control-Allow-Origin', origin)
    if (ctx.method === 'OPTIONS' && ctx.get('Access-Control-Request-Method') !== '') {
      ctx.set(PREFLIGHT)
      ctx.status = 204
      return
    }
    ctx.set('Access-Control-Expose-Headers', READABLE)
    return next()
  }
}
