/** Proofs of possession (RFC 9449 section 4.2) with a key of their own. */
import { createHash, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

export type Prover = (url: string, more?: { method?: string; accessToken?: string; jti?: string }) => Promise<string>

export async function createProver(): Promise<Prover> {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwk = await exportJWK(publicKey)
  return (url, { method = 'POST', accessToken, jti = randomUUID() } = {}) => {
    const ath = accessToken === undefined ? {} : { ath: createHash('sha256').update(accessToken).digest('base64url') }
    return new SignJWT({ jti, htm: method, htu: url, ...ath })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .setIssuedAt()
      .sign(privateKey)
  }
}
