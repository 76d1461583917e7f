/**
 * Client secrets are random, so a keyed digest keeps them as safe as a password hash would, at a thousandth of the
 * cost: the token endpoint compares one per request.
 */
import { timingSafeEqual } from 'node:crypto'
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

/** Takes the same time wherever two digests differ. */
export function isSameDigest(one: string, other: string): boolean {
  const left = Buffer.from(one)
  const right = Buffer.from(other)
  return left.length === right.length && timingSafeEqual(left, right)
}
