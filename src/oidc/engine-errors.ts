/**
 * The engine answers with its own error classes; ours are put into its words here. A dependency that fails must leave as
 * 503, never as "not found": without `expose` the body would say server_error, and with `allow_redirect` an
 * authorization error would travel to the client as if it were a fact about the request.
 */
import { errors } from 'oidc-provider'
import { AppError, Unavailable } from '../errors.ts'

/** A refusal that a later request may not meet. */
export class RefusedForNow extends errors.OIDCProviderError {
  override readonly error_description: string
  readonly retryAfterSeconds: number

  constructor(code: string, cause: AppError) {
    super(cause.status, code, { cause })
    this.error_description = cause.message
    this.retryAfterSeconds = cause.retryAfterSeconds ?? 1
    Object.assign(this, { expose: true, allow_redirect: false })
  }
}

function inItsWords(error: unknown): unknown {
  if (error instanceof Unavailable) return new RefusedForNow('temporarily_unavailable', error)
  if (!(error instanceof AppError)) return error
  // A spent budget keeps its status (RFC 6585 section 4): it is no fact about the credentials.
  if (error.code === 'rate_limited') return new RefusedForNow('slow_down', error)
  // RFC 6749 section 5.2: invalid_grant, "resource owner credentials … invalid".
  if (error.code === 'invalid_credentials') {
    return Object.assign(new errors.InvalidGrant(error.detail), { error_description: error.message })
  }
  return error
}

/** Makes an asynchronous function of ours speak the engine's language when it refuses. */
export function inEngineTerms<Args extends unknown[], Result>(
  work: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    try {
      return await work(...args)
    } catch (error) {
      throw inItsWords(error)
    }
  }
}

/** The other way round, for routes of ours that ask the engine: what it passes on of our own refusals is ours again. */
export async function inOwnTerms<Result>(_ctx: unknown, next: () => Promise<Result>): Promise<Result> {
  try {
    return await next()
  } catch (error) {
    throw error instanceof RefusedForNow ? error.cause : error
  }
}
