/**
 * Signs tokens for the fast endpoints as the engine signs its own: same key, same header. The bare key object is
 * the fast form of node:crypto on Node 24; it gives DER, and a JWS wants the two numbers side by side.
 */
import { createPrivateKey, sign } from 'node:crypto'
import type { JWK } from 'jose'

/** Bytes of each number of an ES256 signature (RFC 7518 section 3.4). */
const NUMBER_BYTES = 32

export interface TokenSigner {
  /** RFC 9068, `typ: at+jwt`. */
  accessToken(claims: object): string
  idToken(claims: object): string
}

/** Makes the signer of one key ring. Throws when the ring has no ES256 key. */
export function createTokenSigner(keys: readonly JWK[]): TokenSigner {
  const jwk = keys.find(({ alg, kty }) => alg === 'ES256' && kty === 'EC')
  if (!jwk) throw new Error('the key ring holds no ES256 key')
  const key = createPrivateKey({ key: jwk, format: 'jwk' })
  const signerOf = (typ?: string) => {
    const header = encoded({ alg: 'ES256', ...(typ === undefined ? {} : { typ }), kid: jwk.kid })
    return (claims: object): string => {
      const input = `${header}.${encoded(claims)}`
      return `${input}.${joined(sign('sha256', Buffer.from(input), key)).toString('base64url')}`
    }
  }
  return { accessToken: signerOf('at+jwt'), idToken: signerOf() }
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** DER (SEQUENCE of two INTEGERs) to the form of RFC 7518 section 3.4: R || S, each of fixed length. */
function joined(der: Buffer): Buffer {
  const signature = Buffer.alloc(2 * NUMBER_BYTES)
  let offset = 2 // both numbers together are shorter than 128 bytes
  for (let place = 0; place < 2; place += 1) {
    const length = der[offset + 1] ?? 0
    const number = der.subarray(offset + 2, offset + 2 + length)
    const digits = number.subarray(Math.max(0, length - NUMBER_BYTES)) // without the zero that keeps it positive
    digits.copy(signature, (place + 1) * NUMBER_BYTES - digits.length)
    offset += 2 + length
  }
  return signature
}
