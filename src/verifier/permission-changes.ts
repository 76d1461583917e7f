/** Since when what tokens say about permissions may be outdated, as far as the stream has told. */
import { createBoundedMap } from './bounded-map.ts'
import type { AccessTokenClaims } from './claims.ts'
import type { PermissionChange } from './revocation-picture.ts'

const MOST_ACCOUNTS = 100_000
/** `iat` counts whole seconds, and a token may have been put together just before what it tells was changed. */
const MARGIN_MS = 2_000

export interface PermissionChanges {
  note(change: PermissionChange): void
  /** Whether permissions may have changed after the token was issued. */
  isOutdated(claims: AccessTokenClaims): boolean
}

export function createPermissionChanges({ maxAccounts = MOST_ACCOUNTS } = {}): PermissionChanges {
  let everybodyAtMs = Number.NEGATIVE_INFINITY
  const noteEverybody = (atMs: number): void => {
    everybodyAtMs = Math.max(everybodyAtMs, atMs)
  }
  // Whom there is no room for counts among everybody: too many questions, never an outdated answer.
  const accounts = createBoundedMap<number>(maxAccounts, noteEverybody)
  return {
    note({ account, atMs }) {
      if (account === undefined) noteEverybody(atMs)
      else accounts.set(account, Math.max(atMs, accounts.get(account) ?? 0))
    },
    isOutdated: ({ sub, iat }) => iat * 1000 <= Math.max(everybodyAtMs, accounts.get(sub) ?? everybodyAtMs) + MARGIN_MS,
  }
}
