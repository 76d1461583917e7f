import type { Middleware } from 'koa'
import { requestId as newRequestId } from '../ids.ts'
import { requestScope } from '../observability/logger.ts'
import './request-state.ts'

/** Anything else is replaced: the value is echoed in a header, a page and the log. */
const WELL_FORMED = /^[\w-]{8,64}$/

/** The caller's id when it is well formed, else one of ours. */
export const requestIdFor = (presented: string | string[] | undefined): string =>
  typeof presented === 'string' && WELL_FORMED.test(presented) ? presented : newRequestId()

/** Gives every request an id: the caller's when it is well formed, else our own; echoes it, and opens the log scope. */
export function createRequestId(): Middleware {
  return async function requestId(ctx, next) {
    const id = requestIdFor(ctx.get('X-Request-Id'))
    ctx.state.requestId = id
    ctx.set('X-Request-Id', id)
    await requestScope.run({ requestId: id }, next)
  }
}
