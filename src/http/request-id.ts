import type { Middleware } from 'koa'
import { requestId as newRequestId } from '../ids.ts'
import { requestScope } from '../observability/logger.ts'
import './request-state.ts'

/** Anything else is replaced: the value is echoed in a header, a page and the log. */
const WELL_FORMED = /^[\w-]{8,64}$/

/** Gives every request an id: the caller's when it is well formed, else our own; echoes it, and opens the log scope. */
export function createRequestId(): Middleware {
  return async function requestId(ctx, next) {
    const presented = ctx.get('X-Request-Id')
    const id = WELL_FORMED.test(presented) ? presented : newRequestId()
    ctx.state.requestId = id
    ctx.set('X-Request-Id', id)
    await requestScope.run({ requestId: id }, next)
  }
}
