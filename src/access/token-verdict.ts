/** What is true of an access token. `bound` is one that is good only with a proof of its key (RFC 9449). */
export type TokenVerdict = 'valid' | 'expired' | 'revoked' | 'unverifiable' | 'bound'

/** At once while memory knows everything, else as soon as a store has said it. Throws Unavailable (503). */
export type JudgeToken = (token: string) => TokenVerdict | Promise<TokenVerdict>

/** What whoever asks is told. */
export const VERDICTS = {
  valid: { status: 200, msg: 'Token is valid' },
  expired: { status: 401, msg: 'Token has expired' },
  revoked: { status: 401, msg: 'Token has been revoked' },
  unverifiable: { status: 422, msg: 'Signature verification failed' },
} as const

/** RFC 9110 section 15.5.2: a 401 MUST come with a challenge. */
export const DEAD_TOKEN_CHALLENGE = 'Bearer realm="usher", error="invalid_token"'
