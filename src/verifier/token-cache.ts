/**
 * Tokens whose signature was found true a moment ago, by the digest of their text. It saves the signature and nothing
 * else: expiry and revocation are looked at every time.
 */
import { createHash } from 'node:crypto'
import { createBoundedMap } from './bounded-map.ts'
import type { AccessTokenClaims } from './claims.ts'
import type { VerificationKey } from './keys.ts'
import { monotonicMs } from './server-call.ts'

const MOST_TOKENS = 10_000
const LONGEST_MS = 60_000

export interface VerifiedSignature {
  claims: AccessTokenClaims
  kid: string
  algorithm: string
  key: VerificationKey
}

export interface TokenCache {
  /** Undefined after a minute at the latest. */
  find(token: string): VerifiedSignature | undefined
  keep(token: string, verified: VerifiedSignature): void
}

export function createTokenCache({ maxTokens = MOST_TOKENS, longestMs = LONGEST_MS } = {}): TokenCache {
  const kept = createBoundedMap<VerifiedSignature & { untilMs: number }>(maxTokens)
  // Not by the token itself: a copy of the process's memory should not be a purse.
  const digestOf = (token: string): string => createHash('sha256').update(token).digest('base64')
  return {
    find(token) {
      const digest = digestOf(token)
      const found = kept.get(digest)
      if (found && found.untilMs > monotonicMs()) return found
      if (found) kept.delete(digest)
      return undefined
    },
    keep(token, verified) {
      kept.set(digestOf(token), { ...verified, untilMs: monotonicMs() + longestMs })
    },
  }
}
