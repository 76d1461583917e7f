import type { Middleware } from 'koa'
import type { Clock } from '../clock.ts'
import type { Logger } from '../observability/logger.ts'
import { remoteAddress, shortAddress } from './remote-address.ts'

/** Probes come every second and say nothing. */
const QUIET = new Set(['/healthz', '/readyz', '/metrics'])

/** One line per answered request. The path without its query: codes and tokens travel in queries. */
export function createRequestLog({ logger, clock }: { logger: Logger; clock: Clock }): Middleware {
  return async function requestLog(ctx, next) {
    const startedAt = clock.now()
    await next()
    if (QUIET.has(ctx.path)) return
    const { method, path, status } = ctx
    logger.info({ method, path, status, ms: clock.now() - startedAt, ip: shortAddress(remoteAddress(ctx)) }, 'request')
  }
}
