/** Every problem this server answers, once: its usual status and what it means. */
import type { ErrorCode } from '../errors.ts'

export const PROBLEMS: Readonly<Record<ErrorCode, { status: number; meaning: string }>> = {
  bad_request: { status: 400, meaning: 'The request does not have the expected shape; `errors` names every fault.' },
  conflict: { status: 409, meaning: 'It contradicts what is there already.' },
  cycle: { status: 409, meaning: 'Something would contain itself.' },
  forbidden: { status: 403, meaning: 'The caller may not do this.' },
  fresh_sign_in_required: { status: 403, meaning: 'The sign-in is too long ago for this: sign in again.' },
  in_use: { status: 409, meaning: 'Something else still needs it.' },
  invalid_code: { status: 400, meaning: 'The code is wrong, used or expired.' },
  invalid_credentials: { status: 401, meaning: 'The login or the password is wrong.' },
  invalid_password: { status: 400, meaning: 'The new password breaks the policy.' },
  not_found: { status: 404, meaning: 'There is nothing at this address.' },
  payload_too_large: { status: 413, meaning: 'The body is too large.' },
  precondition_failed: { status: 412, meaning: 'It has been changed since it was read: If-Match does not fit.' },
  rate_limited: { status: 429, meaning: 'Too many attempts: come back after Retry-After seconds.' },
  registration_closed: { status: 403, meaning: 'Nobody can register here by themselves.' },
  temporarily_unavailable: { status: 503, meaning: 'A store does not answer: come back after Retry-After seconds.' },
  unauthenticated: { status: 401, meaning: 'There is no valid access token in this request.' },
  unsupported_media_type: { status: 415, meaning: 'The body is not application/json.' },
}
