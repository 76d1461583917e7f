/** The metadata members without a column: what this server itself demands of them. The engine checks the rest. */
import type { Client } from './client.ts'
import { webUrlFault } from './redirect-uri.ts'

export type Fault = { pointer: string; message: string }

const MAX_BYTES = 32_768
/** No registered member is nested so deeply. */
const MAX_DEPTH = 16

/** These have a column; a second value in the metadata would contradict it. */
const COLUMNS = new Set([
  'application_type',
  'client_id',
  'client_secret',
  'client_name',
  'grant_types',
  'redirect_uris',
  'post_logout_redirect_uris',
  'response_types',
  'scope',
  'token_endpoint_auth_method',
])
const URLS = [
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'jwks_uri',
  'sector_identifier_uri',
  'initiate_login_uri',
]
/** What the protocol hangs on a client by itself, made of the columns. */
const OWN_MEMBERS = 'usher:'
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

export function metadataFaults({ metadata, tokenEndpointAuthMethod }: Client, production: boolean): Fault[] {
  const text = JSON.stringify(metadata)
  if (text.length > MAX_BYTES || /\\u(?:0000|d[89a-f])/i.test(text)) {
    return [{ pointer: '/metadata', message: `must be text of at most ${MAX_BYTES} bytes` }]
  }
  if (!isShallow(metadata)) return [{ pointer: '/metadata', message: 'is nested too deeply' }]
  const faults = Object.keys(metadata)
    .filter((name) => COLUMNS.has(name) || FORBIDDEN_KEYS.has(name) || name.startsWith(OWN_MEMBERS))
    .map((name) => ({ pointer: `/metadata/${name}`, message: 'is not a member of the metadata' }))
  return [...faults, ...urlFaults(metadata, production), ...keyFaults(metadata, tokenEndpointAuthMethod)]
}

const isShallow = (value: unknown, depth = 1): boolean =>
  depth <= MAX_DEPTH &&
  (typeof value !== 'object' || value === null || Object.values(value).every((inner) => isShallow(inner, depth + 1)))

const urlFaults = (metadata: Client['metadata'], production: boolean): Fault[] =>
  URLS.flatMap((name) => {
    const url = metadata[name]
    if (url === undefined) return []
    const message = typeof url === 'string' ? webUrlFault(url, { production }) : 'must be text'
    return message === undefined ? [] : [{ pointer: `/metadata/${name}`, message }]
  })

function keyFaults({ jwks, jwks_uri }: Client['metadata'], method: string): Fault[] {
  if (method === 'private_key_jwt' && jwks === undefined && jwks_uri === undefined) {
    return [{ pointer: '/metadata/jwks', message: 'or jwks_uri is needed by private_key_jwt' }]
  }
  // RFC 7517 section 9.2: a private or symmetric key has no place in a published set.
  return holdsPrivateKey(jwks) ? [{ pointer: '/metadata/jwks', message: 'holds a private or symmetric key' }] : []
}

function holdsPrivateKey(jwks: unknown): boolean {
  if (typeof jwks !== 'object' || jwks === null || !('keys' in jwks) || !Array.isArray(jwks.keys)) return false
  return jwks.keys.some((key) => typeof key === 'object' && key !== null && ('d' in key || 'k' in key))
}
