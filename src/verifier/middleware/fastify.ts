/** Fastify, by the few members of its request and reply that are needed. */
import type { IncomingMessage } from 'node:http'
import type { Requirement } from '../permissions.ts'
import { admitting, type Guard } from './guard.ts'

export interface FastifyRequest {
  raw: IncomingMessage
}

export interface FastifyReply {
  code(status: number): unknown
  headers(headers: Record<string, string>): unknown
  send(body: string): unknown
}

export type FastifyGuard = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Throws TypeError when the requirement is malformed. */
export function guardFastify(guard: Guard, requirement: Requirement): FastifyGuard {
  const admit = admitting(guard, requirement)
  return async function requireToken(request, reply) {
    const { auth, refusal } = await admit(request.raw)
    if (!refusal) {
      Object.assign(request, { auth })
      return undefined
    }
    reply.code(refusal.status)
    reply.headers(refusal.headers)
    // A hook that answers the reply ends the request.
    return reply.send(refusal.body)
  }
}
