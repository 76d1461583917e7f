/**
 * The answer of the last rotation, kept for the seconds in which a lost reply may be asked for again. It is sealed with a
 * key that only the presented refresh token yields: a dump of the store holds no usable token.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16

const SALT = createSecretKey(Buffer.from('usher sealed token response'))

/** HKDF-Extract (RFC 5869 section 2.2): a token is random enough, and one key of that length is all that is needed. */
const keyFrom = (token: string): KeyObject => createSecretKey(createHmac('sha256', SALT).update(token).digest())

/** AES-256-GCM; `context` is authenticated, not encrypted. Answers base64url. */
export function seal(body: string, token: string, context: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyFrom(token), nonce).setAAD(Buffer.from(context))
  const text = Buffer.concat([cipher.update(body, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url')
}

/** The body, or undefined when the token or the context is another one. */
export function unseal(sealed: string, token: string, context: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url')
  const nonce = bytes.subarray(0, NONCE_BYTES)
  const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', keyFrom(token), nonce, { authTagLength: TAG_BYTES })
  try {
    decipher.setAAD(Buffer.from(context)).setAuthTag(tag)
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}
