/**
 * Since when what tokens say about permissions may be outdated, as far as the stream has told: by the version that both
 * name, and where one of them names none by time.
 */
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

interface Latest {
  /** Undefined when it is not known: then only time tells. */
  version: number | undefined
  atMs: number
}

export function createPermissionChanges({ maxAccounts = MOST_ACCOUNTS } = {}): PermissionChanges {
  let everybody: Latest = { version: undefined, atMs: Number.NEGATIVE_INFINITY }
  // Whom there is no room for counts among everybody: too many questions, never an outdated answer.
  const accounts = createBoundedMap<Latest>(maxAccounts, (evicted) => {
    everybody = { version: laterVersion(everybody.version, evicted), atMs: Math.max(everybody.atMs, evicted.atMs) }
  })
  return {
    note({ account, version, atMs }) {
      if (account === undefined) {
        // After one without a version, as when a picture begins, the next one says where things stand.
        const before = everybody.version ?? version
        everybody = { version: laterVersion(before, { version }), atMs: Math.max(atMs, everybody.atMs) }
        return
      }
      const known = accounts.get(account) ?? { version: 0, atMs: 0 }
      accounts.set(account, { version: laterVersion(known.version, { version }), atMs: Math.max(atMs, known.atMs) })
    },

    isOutdated({ sub, iat, pv }) {
      const own = accounts.get(sub) ?? everybody
      if (pv !== undefined && everybody.version !== undefined && own.version !== undefined) {
        return pv < Math.max(everybody.version, own.version)
      }
      return iat * 1000 <= Math.max(everybody.atMs, own.atMs) + MARGIN_MS
    },
  }
}

/** Unknown once it is unknown of one of them. */
const laterVersion = (known: number | undefined, { version }: Pick<Latest, 'version'>): number | undefined =>
  known === undefined || version === undefined ? undefined : Math.max(known, version)
