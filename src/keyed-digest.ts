import { createHmac, createSecretKey } from 'node:crypto'

/** HMAC-SHA256 over a list of texts. */
export type KeyedDigest = (...parts: string[]) => Buffer

/**
 * Makes keyed digests for one purpose, which no other digest under the same secret can be mistaken for: JSON keeps the
 * parts apart, so that no two lists of them read the same.
 */
export function createKeyedDigest(secret: string | Buffer, ...purpose: string[]): KeyedDigest {
  // Made once: of a plain secret node:crypto makes one at every call, which takes ten times as long as the digest.
  const key = createSecretKey(typeof secret === 'string' ? Buffer.from(secret) : secret)
  return (...parts) =>
    createHmac('sha256', key)
      .update(JSON.stringify([...purpose, ...parts]))
      .digest()
}
