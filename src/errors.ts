/**
 * The errors this server raises itself. A code is one of a closed set, a sentence is for the caller,
 * a detail is for the operator's log and never leaves the process.
 */
export type ErrorCode =
  | 'bad_request'
  | 'conflict'
  | 'cycle'
  | 'forbidden'
  | 'fresh_sign_in_required'
  | 'in_use'
  | 'invalid_code'
  | 'invalid_credentials'
  | 'invalid_password'
  | 'not_found'
  | 'payload_too_large'
  | 'precondition_failed'
  | 'rate_limited'
  | 'registration_closed'
  | 'temporarily_unavailable'
  | 'unauthenticated'
  | 'unsupported_media_type'

/** What is wrong with one member of a request. */
export interface Fault {
  /** RFC 6901. */
  pointer: string
  message: string
  /** For programs, where a member can be wrong in more than one way. */
  code?: string
}

export interface AppErrorOptions {
  cause?: unknown
  /** For the log only. */
  detail?: string
  /** Whole seconds, sent as Retry-After. */
  retryAfterSeconds?: number
  /** Faults of single fields, for problem documents and the command line. */
  faults?: readonly Fault[]
}

export class AppError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly detail: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly faults: readonly Fault[]

  constructor(code: ErrorCode, status: number, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.status = status
    this.detail = options.detail
    this.retryAfterSeconds = options.retryAfterSeconds
    this.faults = options.faults ?? []
  }
}

/** A dependency did not answer within its deadline or refused: 503 with Retry-After, never an open door. */
export class Unavailable extends AppError {
  constructor(dependency: string, cause?: unknown, retryAfterSeconds = 1) {
    super('temporarily_unavailable', 503, 'The server cannot answer right now. Try again shortly.', {
      cause,
      detail: `${dependency} is unavailable`,
      retryAfterSeconds,
    })
    this.name = 'Unavailable'
  }
}
