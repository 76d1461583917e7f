/** Express, by the few members of its request and response that are needed. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Requirement } from '../permissions.ts'
import { admitting, type Guard } from './guard.ts'

export type ExpressGuard = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => Promise<void>

/** Throws TypeError when the requirement is malformed. */
export function guardExpress(guard: Guard, requirement: Requirement): ExpressGuard {
  const admit = admitting(guard, requirement)
  return async function requireToken(request, response, next) {
    try {
      const { auth, refusal } = await admit(request)
      if (refusal) {
        response.writeHead(refusal.status, refusal.headers).end(refusal.body)
        return
      }
      Object.assign(request, { auth })
    } catch (error) {
      // Express 4 does not look at what a handler answers.
      next(error)
      return
    }
    next()
  }
}
