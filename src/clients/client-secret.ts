/**
 * Client secrets are random, so a keyed digest keeps them as safe as a password hash would, at a thousandth of the
 * cost: the token endpoint compares one per request.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { opaqueId } from '../ids.ts'
import { createKeyedDigest } from '../keyed-digest.ts'

const MIN_LENGTH = 32
// RFC 6749 appendix A.2: client-secret = *VSCHAR, %x20-7E.
const GIVEN_SECRET = /^[\x20-\x7e]{32,512}$/

export const generateSecret = (): string => opaqueId(256)

/** What is wrong with a secret chosen elsewhere; undefined when nothing is. */
export const secretFault = (secret: string): string | undefined =>
  GIVEN_SECRET.test(secret) ? undefined : `must be ${MIN_LENGTH} to 512 printable ASCII characters`

/** Makes the stored form. Bound to the client, so that one secret given to two clients does not show. */
export function createSecretDigest(pepper: string): (clientId: string, secret: string) => string {
  const digest = createKeyedDigest(pepper, 'client-secret')
  return (clientId, secret) => digest(clientId, secret).toString('base64url')
}

/** Whether a secret belongs to a client, in constant time. */
export type MatchesSecret = (client: { id: string; secretDigest: string | undefined }, presented: string) => boolean

/**
 * Services present the same secret all the time: what was found right once is known again by a plain digest, as long as the
 * client is the same object, which it is until it changes. Memory holds no secret.
 */
export function createSecretMatch(digestOf: (clientId: string, secret: string) => string): MatchesSecret {
  const right = new WeakMap<object, string>()
  return (client, presented) => {
    if (client.secretDigest === undefined) return false
    const known = right.get(client)
    const plain = hash('sha256', presented, 'base64url')
    if (known !== undefined && isSameDigest(known, plain)) return true
    if (!isSameDigest(client.secretDigest, digestOf(client.id, presented))) return false
    right.set(client, plain)
    return true
  }
}

/** Takes the same time wherever two digests differ. */
export function isSameDigest(one: string, other: string): boolean {
  const left = Buffer.from(one)
  const right = Buffer.from(other)
  return left.length === right.length && timingSafeEqual(left, right)
}
