/** The outer form of a token: compact serialization (RFC 7515 section 7.1), a header that is allowed, a true signature. */
import { compactVerify, errors } from 'jose'
import { TokenError } from './errors.ts'
import type { VerificationKey } from './keys.ts'
import { isObject } from './server-call.ts'

/** Far more than any token has; whoever sends more wants something to be slow. */
const COMPACT = /^[\w-]{2,4096}\.[\w-]{2,32768}\.[\w-]{2,2048}$/
const TYPES = ['at+jwt', 'application/at+jwt']

export interface SignedToken {
  text: string
  algorithm: string
  kid: string
  payload: Record<string, unknown>
}

/**
 * Reads a token without believing it. Throws TokenError malformed, wrong_type, algorithm_not_allowed or unknown_key.
 */
export function readToken(text: unknown, algorithms: readonly string[]): SignedToken {
  if (typeof text !== 'string' || !COMPACT.test(text)) throw malformed('is no compact JWS')
  const [header, payload, signature] = text.split('.').map(decoded)
  if (!header || !payload || !signature) throw malformed('is not strictly base64url')
  const { alg, typ, kid, crit, b64 } = objectIn(header, 'header')
  // RFC 9068 section 4: "The resource server MUST verify that the typ header value is at+jwt or application/at+jwt".
  if (typeof typ !== 'string' || !TYPES.includes(typ.toLowerCase())) {
    throw new TokenError('wrong_type', `The type of the token is ${JSON.stringify(typ)}.`)
  }
  if (typeof alg !== 'string' || !algorithms.includes(alg)) {
    throw new TokenError('algorithm_not_allowed', `The algorithm of the token is ${JSON.stringify(alg)}.`)
  }
  // RFC 7515 section 4.1.11: extensions that are not understood make a JWS invalid, and none is understood here.
  if (crit !== undefined || b64 !== undefined) throw malformed('needs an extension')
  if (typeof kid !== 'string') throw new TokenError('unknown_key', 'The token names no key.')
  return { text, algorithm: alg, kid, payload: objectIn(payload, 'payload') }
}

/** Throws TokenError bad_signature. What else the header says (jku, jwk, x5c, x5u) is never looked at. */
export async function checkSignature({ text, algorithm }: SignedToken, key: VerificationKey): Promise<void> {
  try {
    await compactVerify(text, key, { algorithms: [algorithm] })
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError) && !(cause instanceof TypeError)) throw cause
    throw new TokenError('bad_signature', 'The signature of the token is not by the key it names.', { cause })
  }
}

/** Undefined for padding, white space and bits that lie beyond the data: one token has one form. */
function decoded(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function objectIn(bytes: Buffer, name: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(UTF8.decode(bytes))
  } catch (cause) {
    throw malformed(`has a ${name} that is not JSON`, cause)
  }
  if (!isObject(value)) throw malformed(`has a ${name} that is no object`)
  return value
}

const malformed = (what: string, cause?: unknown) => new TokenError('malformed', `The token ${what}.`, { cause })
