import { AppError } from '../errors.ts'

/** What an answer may say about an error. */
export interface Failure {
  status: number
  /** One of ours, an error code of the engine, or `server_error`. */
  code: string
  /** For the caller. */
  message: string
  /** For the log. */
  detail?: string | undefined
  retryAfterSeconds?: number | undefined
  faults: AppError['faults']
}

const UNEXPECTED = 'Something went wrong on our side.'

/** Reads an error: our own speak for themselves, those made to be shown are shown, all others become one text. */
export function describe(error: unknown): Failure {
  if (error instanceof AppError) return error
  if (isExposed(error)) {
    return {
      status: error.status,
      code: error.error ?? codeOfStatus(error.status),
      message: error.error_description ?? error.message,
      detail: error.error_detail,
      faults: [],
    }
  }
  return { status: 500, code: 'server_error', message: UNEXPECTED, faults: [] }
}

/** An error of Koa, its body parser or the engine that was made for the caller. */
interface Exposed extends Error {
  expose: true
  status: number
  error?: string
  error_description?: string
  error_detail?: string
}

function isExposed(error: unknown): error is Exposed {
  if (!(error instanceof Error) || !('expose' in error) || !('status' in error)) return false
  return error.expose === true && typeof error.status === 'number' && error.status >= 400 && error.status < 500
}

const CODES = new Map([
  [401, 'unauthenticated'],
  [403, 'forbidden'],
  [404, 'not_found'],
  [409, 'conflict'],
  [413, 'payload_too_large'],
  [415, 'unsupported_media_type'],
  [429, 'rate_limited'],
])

const codeOfStatus = (status: number): string => CODES.get(status) ?? 'bad_request'

/** Our codes in the registered words of OAuth (RFC 6749 sections 4.1.2.1 and 5.2); the engine's are such already. */
const OAUTH_CODES = new Map([
  ['bad_request', 'invalid_request'],
  ['conflict', 'invalid_request'],
  ['cycle', 'invalid_request'],
  ['forbidden', 'access_denied'],
  ['fresh_sign_in_required', 'access_denied'],
  ['in_use', 'invalid_request'],
  ['invalid_code', 'invalid_grant'],
  ['invalid_credentials', 'invalid_grant'],
  ['invalid_password', 'invalid_grant'],
  ['not_found', 'invalid_request'],
  ['payload_too_large', 'invalid_request'],
  ['precondition_failed', 'invalid_request'],
  ['rate_limited', 'temporarily_unavailable'],
  ['registration_closed', 'access_denied'],
  ['unauthenticated', 'invalid_client'],
  ['unsupported_media_type', 'invalid_request'],
])

export const oauthCodeOf = ({ code }: Failure): string => OAUTH_CODES.get(code) ?? code
