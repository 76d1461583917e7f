/** Plain node:http. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Requirement } from '../permissions.ts'
import type { VerifiedToken } from '../verified-token.ts'
import { admitting, type Guard } from './guard.ts'

export type AuthenticatedMessage = IncomingMessage & { auth: VerifiedToken }
export type HttpHandler = (request: AuthenticatedMessage, response: ServerResponse) => unknown
export type HttpListener = (request: IncomingMessage, response: ServerResponse) => void

/** Throws TypeError when the requirement is malformed. */
export function guardHttp(guard: Guard, handler: HttpHandler, requirement: Requirement): HttpListener {
  const admit = admitting(guard, requirement)
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { auth, refusal } = await admit(request)
    if (refusal) response.writeHead(refusal.status, refusal.headers).end(refusal.body)
    else await handler(Object.assign(request, { auth }), response)
  }
  return function requireToken(request, response) {
    answer(request, response).catch((error: unknown) => {
      guard.report({ kind: 'handler_failed', error })
      if (response.headersSent) response.destroy()
      else response.writeHead(500, { 'Cache-Control': 'no-store' }).end()
    })
  }
}
