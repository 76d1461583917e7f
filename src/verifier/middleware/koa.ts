/** Koa, by the few members of its context that are needed. */
import type { IncomingMessage } from 'node:http'
import type { Requirement } from '../permissions.ts'
import { admitting, type Guard } from './guard.ts'

export interface KoaContext {
  req: IncomingMessage
  state: object
  status: number
  body: unknown
  set(headers: Record<string, string>): unknown
}

export type KoaGuard = (ctx: KoaContext, next: () => Promise<unknown>) => Promise<void>

/** Throws TypeError when the requirement is malformed. */
export function guardKoa(guard: Guard, requirement: Requirement): KoaGuard {
  const admit = admitting(guard, requirement)
  return async function requireToken(ctx, next) {
    const { auth, refusal } = await admit(ctx.req)
    if (!refusal) {
      Object.assign(ctx.state, { auth })
      await next()
      return
    }
    ctx.status = refusal.status
    ctx.body = refusal.body
    ctx.set(refusal.headers) // after the body, which brings a content type of its own
  }
}
