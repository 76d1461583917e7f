/**
 * The short way for the calls that other services make on every request: one look-up by method and path in front of the
 * whole chain. A fast handler answers the plain case only and passes everything unusual on, so that there is one place
 * that knows the rest: whoever is passed on is answered by the chain as if this file did not exist.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'
import type { Logger } from '../observability/logger.ts'
import { shortAddress } from './remote-address.ts'
import { requestIdFor } from './request-id.ts'

export interface Exchange {
  readonly request: IncomingMessage
  /** Without the query. */
  readonly path: string
  /** What follows the question mark, empty without one. */
  readonly query: string
  /** Whose request it is, behind the trusted proxies. */
  address(): string
  /**
   * Sends the answer, with the headers that every answer carries. `headers` alternates names and values. What everybody
   * reads all the time is logged at `debug` only.
   */
  answer(status: number, headers: readonly string[], body: string, level?: 'info' | 'debug'): void
}

/** False: nothing was sent, and the chain is to answer. */
export type FastHandler = (exchange: Exchange) => boolean | Promise<boolean>

export interface FastRoutes {
  /** By method and path: `GET /.well-known/jwks.json`. */
  exact: ReadonlyMap<string, FastHandler>
  /** For paths with an id in them; asked only when nothing is there by the exact path. */
  patterns?: readonly { method: string; prefix: string; handle: FastHandler }[]
}

export interface DispatcherDeps {
  issuer: string
  /** Those of security-headers.ts. */
  securityHeaders: Readonly<Record<string, string>>
  trustedProxies: number
  logger: Logger
  clock: Clock
  routes: FastRoutes
}

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void

/** @returns whether the request was taken: answered, or given to `chain` later */
export type Dispatch = (request: IncomingMessage, response: ServerResponse, chain: RequestListener) => boolean

export function createDispatcher(deps: DispatcherDeps): Dispatch {
  const { logger, clock, routes, trustedProxies } = deps
  const { host } = new URL(deps.issuer)
  const common = Object.entries(deps.securityHeaders).flat()
  const leave = createLeaving((error) => logger.error({ err: error }, 'an answer could not be sent'))

  function handlerFor(method: string, path: string): FastHandler | undefined {
    const exact = routes.exact.get(`${method} ${path}`)
    if (exact) return exact
    return routes.patterns?.find((pattern) => pattern.method === method && path.startsWith(pattern.prefix))?.handle
  }

  function exchangeOf(request: IncomingMessage, response: ServerResponse, path: string, query: string): Exchange {
    const startedAt = clock.now()
    const id = requestIdFor(request.headers['x-request-id'])
    return {
      request,
      path,
      query,
      address: () => addressOf(request, trustedProxies),
      answer(status, headers, body, level = 'info') {
        leave({ response, status, headers: ['X-Request-Id', id, ...common, ...headers], body })
        if (!logger.isLevelEnabled(level)) return
        const { method } = request
        const ip = shortAddress(addressOf(request, trustedProxies))
        logger[level]({ req_id: id, method, path, status, ms: clock.now() - startedAt, ip }, 'request')
      },
    }
  }

  return function dispatch(request, response, chain) {
    const { method = '', url = '' } = request
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const handle = handlerFor(method, path)
    // Whatever the chain treats in a way of its own is its own: a Host that is not exactly ours, a cross-origin caller.
    if (!handle || !isPlain(request, host)) return false
    const taken = attempt(handle, exchangeOf(request, response, path, mark < 0 ? '' : url.slice(mark + 1)))
    if (typeof taken === 'boolean') return taken
    taken.then(
      (isTaken) => isTaken || chain(request, response),
      // Nothing was sent: the chain meets the same fault and says so in its own words.
      () => chain(request, response),
    )
    return true
  }
}

interface Answer {
  response: ServerResponse
  status: number
  headers: string[]
  body: string
}

/**
 * Answers of one turn of the event loop leave together, after the last of its requests has been read: whoever waits for
 * several of them, as a proxy does, is woken once and not by each.
 */
function createLeaving(onFault: (error: unknown) => void): (answer: Answer) => void {
  let waiting: Answer[] = []
  function leave(): void {
    const leaving = waiting
    waiting = []
    for (const answer of leaving) {
      try {
        send(answer)
      } catch (error) {
        // Those behind it still leave.
        answer.response.destroy()
        onFault(error)
      }
    }
  }
  return (answer) => {
    if (waiting.push(answer) === 1) setImmediate(leave)
  }
}

function send({ response, status, headers, body }: Answer): void {
  const bytes = Buffer.byteLength(body)
  // RFC 9110 section 8.6: a 304 would have to tell the length of what it does not send.
  if (status !== 304) headers.push('Content-Length', String(bytes))
  response.writeHead(status, headers)
  // Plain ASCII leaves in one piece with the headers, without being encoded.
  response.end(body, bytes === body.length ? 'latin1' : 'utf8')
}

/** Whoever fails before anything was sent has not taken the request. */
function attempt(handle: FastHandler, exchange: Exchange): boolean | Promise<boolean> {
  try {
    return handle(exchange)
  } catch {
    return false
  }
}

/** Exactly one Host, ours as the issuer writes it, and none of the headers that change an answer. */
function isPlain({ headers, rawHeaders }: IncomingMessage, host: string): boolean {
  if (headers.host !== host || headers.origin !== undefined || headers.dpop !== undefined) return false
  let hosts = 0
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const name = rawHeaders[place]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts === 1
}

/** As Koa finds it behind the given number of proxies (pinned-host.ts). */
function addressOf({ headers, socket }: IncomingMessage, trustedProxies: number): string {
  const forwarded = trustedProxies > 0 ? headers['x-forwarded-for'] : undefined
  const hops = typeof forwarded === 'string' ? forwarded.split(/\s*,\s*/).slice(-trustedProxies) : []
  return (hops[0] || socket.remoteAddress || '').replace(/^::ffff:(?=\d+\.)/i, '')
}
