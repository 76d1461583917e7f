/**
 * What a refused client is told: RFC 6750 section 3 and no more. Why a token is no good is for the service's own log; to a
 * forger it would be a guide.
 */
import type { TokenError } from '../errors.ts'

export interface Refusal {
  status: number
  headers: Readonly<Record<string, string>>
  /** A problem document (RFC 9457), already JSON. */
  body: string
}

interface Told {
  code: string
  title: string
  /** Undefined where another token would not help. */
  challenge?: readonly (readonly [name: string, value: string])[]
  headers?: Readonly<Record<string, string>>
}

/** What can stand between quotes (RFC 6750 section 3: scope-token characters, and spaces between them). */
const SCOPES = /^[\x21\x23-\x5b\x5d-\x7e ]+$/

/** The answer to a request that was refused with a TokenError, for frameworks without an adapter here. */
export function refusalOf(error: TokenError): Refusal {
  const { code, title, challenge, headers } = told(error)
  const { status } = error
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      ...(challenge ? { 'WWW-Authenticate': challengeHeader(challenge) } : {}),
      ...headers,
    },
    body: JSON.stringify({ type: `urn:usher:problem:${code}`, title, status, code }),
  }
}

function told({ code, status, scopes }: TokenError): Told {
  if (status === 503) {
    return {
      code: 'temporarily_unavailable',
      title: 'The service cannot check tokens right now.',
      headers: { 'Retry-After': '1' },
    }
  }
  switch (code) {
    // "If the request lacks any authentication information [...] the resource server SHOULD NOT include an error code".
    case 'no_token':
      return { code: 'unauthenticated', title: 'An access token is needed.', challenge: [] }
    case 'malformed_request':
      return named('invalid_request', 'The Authorization header is malformed.')
    case 'insufficient_scope': {
      const scope = scopes.join(' ')
      return named(code, 'The token was not granted for this.', SCOPES.test(scope) ? [['scope', scope]] : [])
    }
    case 'insufficient_permissions':
      return { code: 'forbidden', title: 'The account may not do this.' }
    default:
      return named('invalid_token', 'The access token is not valid.')
  }
}

const named = (code: string, title: string, more: NonNullable<Told['challenge']> = []): Told => ({
  code,
  title,
  challenge: [['error', code], ...more],
})

const challengeHeader = (parameters: NonNullable<Told['challenge']>): string =>
  ['Bearer', parameters.map(([name, value]) => `${name}="${value}"`).join(', ')].join(' ').trim()
