/**
 * Signatures of tokens made here (RFC 7515). A header counts only when it is byte for byte one that this server writes:
 * nothing in a token says how it is to be checked. node:crypto does it at once, in the turn of the request.
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import type { JWK } from 'jose'

/** The claims of a compact JWS whose header and signature are ours; undefined for anything else. Looks at no claim. */
export type ReadOwn = (token: string) => Record<string, unknown> | undefined

type Check = (input: string, signature: Buffer) => boolean

/** Bytes of each number of an ES256 signature (RFC 7518 section 3.4). */
const NUMBER_BYTES = 32

/** Reads access tokens (`typ: at+jwt`) signed by any of these keys. */
export function createAccessTokenReader(keys: readonly JWK[]): ReadOwn {
  return readerOf(
    keys.flatMap((jwk): [string, Check][] => {
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      const header = headerOf(jwk.alg, 'at+jwt', jwk.kid)
      if (jwk.alg === 'ES256') return [[header, (input, signature) => isEs256(input, signature, key)]]
      if (jwk.alg === 'RS256')
        return [[header, (input, signature) => verify('sha256', Buffer.from(input), key, signature)]]
      return []
    }),
  )
}

/** Signs ES256 with the first such key, as the engine signs its own. Throws when there is none. */
export function createEs256(keys: readonly JWK[], typ?: string): (claims: object) => string {
  const jwk = keys.find(({ alg, kty }) => alg === 'ES256' && kty === 'EC')
  if (!jwk) throw new Error('the key ring holds no ES256 key')
  // The bare key object is the fast form of node:crypto on Node 24; it gives DER.
  const key = createPrivateKey({ key: jwk, format: 'jwk' })
  const header = headerOf('ES256', typ, jwk.kid)
  return (claims) => {
    const input = `${header}.${encoded(claims)}`
    return `${input}.${joined(sign('sha256', Buffer.from(input), key)).toString('base64url')}`
  }
}

/** Refresh tokens (HS256, `typ: rt+jwt`): the first key signs, all are read. */
export function createHs256(keys: readonly { kid: string; secret: Buffer }[], typ: string) {
  const [signing] = keys
  if (!signing) throw new Error('the key ring holds no refresh token key')
  const header = headerOf('HS256', typ, signing.kid)
  const mac = (input: string, secret: KeyObject): Buffer => createHmac('sha256', secret).update(input).digest()
  const signingKey = createSecretKey(signing.secret)
  return {
    sign(claims: object): string {
      const input = `${header}.${encoded(claims)}`
      return `${input}.${mac(input, signingKey).toString('base64url')}`
    },
    read: readerOf(
      keys.map(({ kid, secret }): [string, Check] => {
        const key = createSecretKey(secret)
        const check: Check = (input, signature) =>
          signature.length === 32 && timingSafeEqual(mac(input, key), signature)
        return [headerOf('HS256', typ, kid), check]
      }),
    ),
  }
}

function readerOf(checks: readonly [header: string, check: Check][]): ReadOwn {
  const known = new Map(checks)
  return (token) => {
    const [header = '', payload = '', signature = '', ...rest] = token.split('.')
    const check = known.get(header)
    if (!check || rest.length > 0) return undefined
    const bytes = Buffer.from(signature, 'base64url')
    // Base64url has one right spelling of these bytes; what a forgiving decoder would take too is another token.
    if (bytes.toString('base64url') !== signature) return undefined
    if (!check(token.slice(0, header.length + 1 + payload.length), bytes)) return undefined
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return claims as Record<string, unknown> // signed by us, and we sign objects only
  }
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const headerOf = (alg: string | undefined, typ: string | undefined, kid: string | undefined): string =>
  encoded({ alg, ...(typ === undefined ? {} : { typ }), kid })

const isEs256 = (input: string, signature: Buffer, key: KeyObject): boolean =>
  signature.length === 2 * NUMBER_BYTES && verify('sha256', Buffer.from(input), key, derOf(signature))

/** R || S to DER: SEQUENCE of two INTEGERs, each without leading zeros but for the one that keeps it positive. */
function derOf(signature: Buffer): Buffer {
  const numbers = [signature.subarray(0, NUMBER_BYTES), signature.subarray(NUMBER_BYTES)].map((number) => {
    let from = 0
    while (from < NUMBER_BYTES - 1 && number[from] === 0) from += 1
    const digits = number.subarray(from)
    return (digits[0] ?? 0) < 0x80 ? [0x02, digits.length, ...digits] : [0x02, digits.length + 1, 0, ...digits]
  })
  const content = numbers.flat()
  return Buffer.from([0x30, content.length, ...content])
}

/** DER to the form of RFC 7518 section 3.4: R || S, each of fixed length. */
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
