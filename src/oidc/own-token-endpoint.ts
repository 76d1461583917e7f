/**
 * The server's own token endpoint, asked in process: whoever issues or rotates tokens for people goes through the one way
 * there is, with its limits, its grants and its rules about reuse.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { inject } from 'light-my-request'
import { ROUTES } from './configuration.ts'

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void

/** On whose behalf it is asked. */
export interface Caller {
  address: string
  userAgent: string
  requestId: string
  /** A Cookie header that tells the caller's device. */
  cookie: string | undefined
}

export interface TokenReply {
  status: number
  /** RFC 6749 sections 5.1 and 5.2. */
  body: Partial<Record<string, string | number>>
  retryAfterSeconds: number | undefined
}

export type AskTokenEndpoint = (form: Record<string, string>, caller: Caller) => Promise<TokenReply>

/** @param listener the finished application; asked for at the first request, because its own routes are built with this */
export function createOwnTokenEndpoint(deps: { issuer: string; listener(): RequestListener }): AskTokenEndpoint {
  const { host } = new URL(deps.issuer)
  let listener: RequestListener | undefined

  return async function askTokenEndpoint(form, { address, userAgent, requestId, cookie }) {
    listener ??= deps.listener()
    const answer = listener
    const reply = await inject((request, response) => answer(asReceived(request), response), {
      method: 'POST',
      url: ROUTES.token,
      remoteAddress: address,
      headers: {
        host,
        'content-type': 'application/x-www-form-urlencoded',
        'user-agent': userAgent,
        'x-request-id': requestId,
        // Behind proxies the address is read from here, elsewhere it is ignored.
        'x-forwarded-for': address,
        ...(cookie === undefined ? {} : { cookie }),
      },
      payload: new URLSearchParams(form).toString(),
    })
    const retryAfter = Number(reply.headers['retry-after'])
    return {
      status: reply.statusCode,
      body: reply.json(),
      retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
    }
  }
}

/** What a parsed request has and an injected one lacks. */
export function asReceived(request: IncomingMessage): IncomingMessage {
  const distinct = Object.entries(request.headers).map(([name, value]) => [name, [value].flat()])
  Object.defineProperty(request, 'headersDistinct', { value: Object.fromEntries(distinct) })
  return request
}
