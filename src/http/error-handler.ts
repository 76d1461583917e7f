import type Koa from 'koa'
import type { Context, Middleware } from 'koa'
import { AppError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import { describe, type Failure, oauthCodeOf } from './failure.ts'
import type { Render } from './render.ts'
import { requestIdOf } from './request-state.ts'

export interface ErrorHandlerDeps {
  logger: Logger
  render: Render
}

/**
 * The one place where an error becomes an answer: problem+json (RFC 9457) below /api and /access, a page for browsers, an OAuth
 * body (RFC 6749 section 5.2) below /oauth2. What was not declared is "server_error" outside and complete in the log.
 */
export function createErrorHandler({ logger, render }: ErrorHandlerDeps): Middleware {
  return async function handleErrors(ctx, next) {
    try {
      await next()
      if (isUntaken(ctx)) throw new AppError('not_found', 404, 'There is nothing at this address.')
    } catch (error) {
      const failure = describe(error)
      logFailure(logger, ctx, error, failure)
      if (ctx.headerSent || !ctx.writable) throw error
      answer(ctx, failure, render, logger)
    }
  }
}

/** Koa prints errors it meets outside the chain to the console; they belong into the log. */
export function logStrayErrors(app: Koa, logger: Logger): void {
  app.on('error', (error: unknown) => {
    if (isDisconnect(error)) logger.debug({ err: error }, 'connection closed early')
    else logger.error({ err: error }, 'error outside the chain')
  })
}

const STALE_HEADERS = ['Content-Type', 'Content-Encoding', 'Content-Length', 'ETag', 'Last-Modified', 'Location']

const isUntaken = (ctx: Context) => ctx.status === 404 && ctx.body === undefined && ctx.respond !== false

function answer(ctx: Context, failure: Failure, render: Render, logger: Logger): void {
  // Nothing of the attempt that failed may label the answer.
  for (const name of STALE_HEADERS) ctx.remove(name)
  ctx.set('Cache-Control', 'no-store')
  if (failure.retryAfterSeconds !== undefined) ctx.set('Retry-After', String(failure.retryAfterSeconds))
  // The rest of a refused body is not read.
  if (failure.status === 413) ctx.set('Connection', 'close')

  if (isForPeople(ctx)) answerPage(ctx, failure, render, logger)
  else answerJson(ctx, failure)
}

/** A person is at the authorization endpoint whatever the browser says it accepts (RFC 6749 section 4.1.2.1). */
function isForPeople(ctx: Context): boolean {
  if (ctx.path.startsWith('/api/') || ctx.path.startsWith('/access/')) return false
  return ctx.path.startsWith('/oauth2/authorize') || ctx.accepts('json', 'html') === 'html'
}

function answerPage(ctx: Context, { status, code, message }: Failure, render: Render, logger: Logger): void {
  try {
    render(ctx, 'error', { status, error: code, description: message }, { status })
  } catch (error) {
    logger.error({ err: error }, 'the error page failed')
    ctx.status = status
    ctx.type = 'text/plain'
    ctx.body = `${message}\n${requestIdOf(ctx)}\n`
  }
}

function answerJson(ctx: Context, failure: Failure): void {
  ctx.status = failure.status
  if (ctx.path.startsWith('/oauth2/')) {
    ctx.body = { error: oauthCodeOf(failure), error_description: failure.message }
    return
  }
  const { status, code, message, faults } = failure
  ctx.body = {
    type: `urn:usher:problem:${code}`,
    title: message,
    status,
    code,
    request_id: requestIdOf(ctx),
    ...(faults.length > 0 ? { errors: faults } : {}),
  }
  ctx.type = 'application/problem+json'
}

function logFailure(logger: Logger, ctx: Context, error: unknown, { status, code, detail }: Failure): void {
  const fields = { method: ctx.method, path: ctx.path, status, error_code: code, detail }
  if (isDisconnect(error)) logger.debug(fields, 'connection closed early')
  else if (status >= 500) logger.error({ ...fields, err: error }, 'request failed')
  else logger.info(fields, 'request refused')
}

/** The caller has gone, or was sent away because its request did not come to an end: no fault of ours. */
function isDisconnect(error: unknown): boolean {
  return error instanceof Error && 'code' in error && DISCONNECTS.has(error.code)
}

const DISCONNECTS = new Set<unknown>(['ECONNRESET', 'EPIPE', 'ERR_HTTP_REQUEST_TIMEOUT', 'ERR_STREAM_PREMATURE_CLOSE'])
