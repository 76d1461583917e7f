import type Koa from 'koa'
import type { Context, Middleware } from 'koa'

export interface PinnedHostOptions {
  issuer: string
  /** Paths answered whatever the Host header says: probes call by address. */
  exempt?: readonly string[]
}

/**
 * Makes every request look as if it came to the issuer, because the engine builds absolute URLs from the request.
 * A foreign Host is refused with 421, a malformed request target with 400; X-Forwarded-Host is ignored.
 */
export function createPinnedHost({ issuer, exempt = ['/healthz', '/readyz'] }: PinnedHostOptions): Middleware {
  const { host, protocol } = new URL(issuer)
  const defaultPort = protocol === 'https:' ? ':443' : ':80'
  const accepted = new Set([host, `${host}${defaultPort}`].map((name) => name.toLowerCase()))
  const isExempt = new Set(exempt)

  return async function pinHost(ctx, next) {
    const { headers, headersDistinct, url = '' } = ctx.req
    // Koa returns an absolute-form target (RFC 9112 section 3.2.2) as href, and `//evil` becomes a host in links.
    if (!url.startsWith('/') || url.startsWith('//')) return refuse(ctx, 400, 'Bad request target')
    if (isExempt.has(ctx.path)) return next()
    // RFC 9112 section 3.2: "A server MUST respond with a 400 status code to any HTTP/1.1 request message that lacks
    // a Host header field and to any request message that contains more than one Host header field line".
    if (headersDistinct.host?.length !== 1) return refuse(ctx, 400, 'Bad Host')
    if (!accepted.has((headers.host ?? '').toLowerCase())) return refuse(ctx, 421, MISDIRECTED)

    headers.host = host
    delete headers['x-forwarded-host']
    return next()
  }
}

/**
 * This process itself speaks plain HTTP. Whether its callers speak TLS is said by the issuer, never by a header: it
 * decides about absolute URLs and Secure cookies.
 */
export function pinProtocol(app: Koa, issuer: string): void {
  const protocol = new URL(issuer).protocol.slice(0, -1)
  Object.defineProperty(app.request, 'protocol', { value: protocol })
}

/**
 * Believes the given number of reverse proxies in front of this server. With hops but without maxIpsCount Koa would
 * take the left-most X-Forwarded-For entry, which the caller chooses.
 */
export function trustProxies(app: Koa, hops: number): void {
  app.proxy = hops > 0
  app.maxIpsCount = hops
  app.proxyIpHeader = 'X-Forwarded-For'
}

/** Read by whoever has opened 127.0.0.1 for localhost, or put a proxy in front. Names no address: any caller gets it. */
const MISDIRECTED = 'Misdirected Request: this server answers at the address of its issuer only (USHER_ISSUER)'

function refuse(ctx: Context, status: number, text: string): void {
  ctx.status = status
  ctx.type = 'text/plain'
  ctx.set('Cache-Control', 'no-store')
  ctx.body = `${text}\n`
}
