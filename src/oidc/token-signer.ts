/** Signs tokens for the fast endpoints as the engine signs its own: same key, same header. */
import type { JWK } from 'jose'
import { createEs256 } from './own-signatures.ts'

export interface TokenSigner {
  /** RFC 9068, `typ: at+jwt`. */
  accessToken(claims: object): string
  idToken(claims: object): string
}

/** Makes the signer of one key ring. Throws when the ring has no ES256 key. */
export const createTokenSigner = (keys: readonly JWK[]): TokenSigner => ({
  accessToken: createEs256(keys, 'at+jwt'),
  idToken: createEs256(keys),
})
