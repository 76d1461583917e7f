/**
 * Client secrets are random, so a keyed digest keeps them as safe as a password hash would, at a thousandth of the
 * cost: the token endpoint compares one per request.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { opaqueId } from '../ids.ts'

const MIN_LENGTH = 32
// RFC 6749 appendix A.2: client-secret = *VSCHAR, %x20-7E.
const GIVEN_SECRET = /^[\x20-\x7e]{32,512}$/

export const generateSecret = (): string => opaqueId(256)

/** What is wrong with a secret chosen elsewhere; undefined when nothing is. */
export const secretFault = (secret: string): string | undefined =>
  GIVEN_SECRET.test(secret) ? undefined : `must be ${MIN_LENGTH} to 512 printable ASCII characters`

/** The stored form. Bound to the client, so that one secret given to two clients does not show. */
export const secretDigest = (clientId: string, secret: string, pepper: string | Buffer): string =>
  createHmac('sha256', pepper)
    .update(JSON.stringify(['client-secret', clientId, secret]))
    .digest('base64url')

/** Takes the same time wherever two digests differ. */
export function isSameDigest(one: string, other: string): boolean {
  const left = Buffer.from(one)
  const right = Buffer.from(other)
  return left.length === right.length && timingSafeEqual(left, right)
}
