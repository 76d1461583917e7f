/** The four ways in which a client says who it is (OpenID Connect Core section 9), as parts of a request. */
import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { basic } from './http.ts'

export interface Credentials {
  form: Record<string, string>
  headers: Record<string, string>
}

/** Made anew for every request: an assertion is good once. */
export type Authenticate = () => Promise<Credentials>

export const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'] as const
export type Method = (typeof METHODS)[number]

export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export const byBasic =
  (id: string, secret = ''): Authenticate =>
  async () => ({ form: {}, headers: { Authorization: basic(id, secret) } })

export const byPost =
  (id: string, secret = ''): Authenticate =>
  async () => ({ form: { client_id: id, client_secret: secret }, headers: {} })

export const byName =
  (id: string): Authenticate =>
  async () => ({ form: { client_id: id }, headers: {} })

export interface Signer {
  /** What the client registers. */
  jwks: { keys: JWK[] }
  /** Claims and header members given take the place of the usual ones. */
  assertion(id: string, audience: string, claims?: object, header?: { alg: string; typ?: string }): Promise<string>
}

/** RFC 7523 section 3: a signed assertion in the place of a secret. */
export async function createSigner(): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'client-key', use: 'sig', alg: 'ES256' }
  return {
    jwks: { keys: [jwk] },
    assertion: (id, audience, claims = {}, header = { alg: 'ES256' }) =>
      new SignJWT({
        iss: id,
        sub: id,
        aud: audience,
        jti: randomUUID(),
        exp: Math.floor(Date.now() / 1000) + 60,
        ...claims,
      })
        .setProtectedHeader({ kid: 'client-key', ...header })
        .setIssuedAt()
        .sign(privateKey),
  }
}

export const byAssertion =
  (id: string, audience: string, signer: Signer): Authenticate =>
  async () =>
    presenting(await signer.assertion(id, audience))

export const presenting = (assertion: string): Credentials => ({
  form: { client_assertion: assertion, client_assertion_type: ASSERTION_TYPE },
  headers: {},
})
