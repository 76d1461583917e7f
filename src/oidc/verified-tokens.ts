/**
 * Access tokens whose signature was found good, by their digest: checking it again costs fifty times as much as
 * remembering. Only the signature is remembered; expiry and revocation are looked at every time. New keys make a new memory.
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

const MAX_TOKENS = 20_000
/** Characters of tokens: some say permissions by the hundred. */
const MAX_LENGTH = 40_000_000
const LONGEST_MS = 60_000

export interface VerifiedTokens<Claims> {
  find(token: string): Claims | undefined
  keep(token: string, claims: Claims): void
}

export function createVerifiedTokens<Claims extends { exp: number }>(): VerifiedTokens<Claims> {
  // With a resolution of 0 it asks the clock each time, instead of a timer of its own.
  const known = new LRUCache<string, Claims>({
    max: MAX_TOKENS,
    maxSize: MAX_LENGTH,
    ttl: LONGEST_MS,
    ttlResolution: 0,
  })
  const digestOf = (token: string): string => hash('sha256', token, 'base64')
  return {
    find: (token) => known.get(digestOf(token)),
    keep: (token, claims) => void known.set(digestOf(token), Object.freeze(claims), { size: token.length }),
  }
}
