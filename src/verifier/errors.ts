/**
 * Why a request is refused. `code` is for whoever runs the service and tells every case apart; what a client is told is
 * in middleware/challenge.ts and tells only what RFC 6750 lets it know.
 */

/** The token itself is no good: 401 `invalid_token` for all of them alike. */
export type BadTokenCode =
  | 'malformed'
  | 'wrong_type'
  | 'algorithm_not_allowed'
  | 'unknown_key'
  | 'bad_signature'
  | 'missing_claim'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'expired'
  | 'not_yet_valid'
  | 'sender_constrained'
  | 'revoked'

/** Nothing can be said about the token right now: 503. */
export type UnavailableCode = 'keys_unavailable' | 'stream_down' | 'permissions_unavailable'

export type TokenErrorCode =
  | BadTokenCode
  | UnavailableCode
  | 'no_token'
  | 'malformed_request'
  | 'insufficient_scope'
  | 'insufficient_permissions'

const STATUS: Readonly<Partial<Record<TokenErrorCode, number>>> = {
  malformed_request: 400,
  insufficient_scope: 403,
  insufficient_permissions: 403,
  keys_unavailable: 503,
  stream_down: 503,
  permissions_unavailable: 503,
}

export interface TokenErrorOptions {
  cause?: unknown
  /** What the request would have needed; goes into the challenge (RFC 6750 section 3). */
  scopes?: readonly string[]
}

export class TokenError extends Error {
  readonly code: TokenErrorCode
  /** The status to answer with. */
  readonly status: number
  readonly scopes: readonly string[]

  /** @param message for the log of the service; never sent */
  constructor(code: TokenErrorCode, message: string, options: TokenErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TokenError'
    this.code = code
    this.status = STATUS[code] ?? 401
    this.scopes = options.scopes ?? []
  }
}
