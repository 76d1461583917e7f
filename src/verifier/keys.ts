/**
 * The published keys of the server (RFC 7517), fetched when first needed and again when a token names one that is not
 * among them. Old ones are kept while the server is away: it says nothing about them.
 */
import { type CryptoKey, importJWK, type JWK } from 'jose'
import type { Discover } from './discovery.ts'
import { TokenError } from './errors.ts'
import type { Report } from './events.ts'
import { type Fetch, fetchJson, isObject, monotonicMs, UnexpectedAnswer } from './server-call.ts'

/** A token that names an unknown key makes us ask, but nobody can make us ask more often than this. */
const UNKNOWN_KEY_PAUSE_MS = 30_000
const FAILURE_PAUSE_MS = 1_000
/** Keys used for longer than this are fetched again beside the work, so that withdrawn ones go. */
const FRESH_MS = 300_000
const MOST_KEYS = 100

/** The kinds of keys each algorithm is made with (RFC 7518 section 3.1, RFC 8037). */
const KEY_KINDS: Readonly<Record<string, string>> = {
  ES256: 'EC P-256',
  ES384: 'EC P-384',
  ES512: 'EC P-521',
  RS256: 'RSA',
  RS384: 'RSA',
  RS512: 'RSA',
  PS256: 'RSA',
  PS384: 'RSA',
  PS512: 'RSA',
  EdDSA: 'OKP Ed25519',
  Ed25519: 'OKP Ed25519',
}

/** Asymmetric signatures only: neither `none` nor a MAC can be verified with a published key. */
export const isSupportedAlgorithm = (algorithm: string): boolean => Object.hasOwn(KEY_KINDS, algorithm)

export type VerificationKey = CryptoKey | Uint8Array

export interface Keys {
  /** The key a token names. Throws TokenError unknown_key or keys_unavailable. */
  find(kid: string, algorithm: string): Promise<VerificationKey>
  /** Whether a key found earlier is still published, as far as is known. */
  has(kid: string, algorithm: string, key: VerificationKey): boolean
  /** Resolves once there are keys, false when they cannot be had now. */
  load(): Promise<boolean>
}

export interface KeysDeps {
  discover: Discover
  fetch: Fetch
  report: Report
}

interface Published {
  jwk: JWK
  /** To tell whether it is still the same after another look. */
  text: string
  imported: Map<string, VerificationKey>
}

export function createKeys({ discover, fetch, report }: KeysDeps): Keys {
  let published: ReadonlyMap<string, Published> | undefined
  let fetching: Promise<boolean> | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY
  let failedAt = Number.NEGATIVE_INFINITY
  let askedForUnknownAt = Number.NEGATIVE_INFINITY

  const hasFailed = (): boolean => failedAt > fetchedAt
  const mayAsk = (): boolean => !hasFailed() || monotonicMs() - failedAt >= FAILURE_PAUSE_MS

  /** One at a time. Whether it worked; never rejects. */
  const refresh = (): Promise<boolean> => {
    fetching ??= fetchKeys().finally(() => {
      fetching = undefined
    })
    return fetching
  }
  const fetchKeys = async (): Promise<boolean> => {
    try {
      const { jwks } = await discover()
      published = publishedIn(await fetchJson(fetch, jwks), published)
      fetchedAt = monotonicMs()
      report({ kind: 'keys_fetched', kids: [...published.keys()] })
      return true
    } catch (error) {
      failedAt = monotonicMs()
      report({ kind: 'keys_unavailable', error })
      return false
    }
  }

  const load = async (): Promise<boolean> => {
    if (published) return true
    return fetching || mayAsk() ? refresh() : false
  }
  const refreshForUnknown = async (): Promise<void> => {
    if (!fetching && (!mayAsk() || monotonicMs() - askedForUnknownAt < UNKNOWN_KEY_PAUSE_MS)) return
    if (await refresh()) askedForUnknownAt = monotonicMs()
  }
  const refreshWhenStale = (): void => {
    if (monotonicMs() - fetchedAt > FRESH_MS && mayAsk()) void refresh()
  }

  return {
    async find(kid, algorithm) {
      if (!(await load())) throw new TokenError('keys_unavailable', 'The keys of the issuer cannot be fetched.')
      if (!published?.has(kid)) await refreshForUnknown()
      refreshWhenStale()
      const found = published?.get(kid)
      if (!found) {
        // Whether it exists is known only to a server that cannot be asked.
        if (hasFailed()) throw new TokenError('keys_unavailable', 'The keys of the issuer cannot be fetched again.')
        throw new TokenError('unknown_key', `The issuer publishes no key ${JSON.stringify(kid)}.`)
      }
      return importedFor(found, kid, algorithm)
    },
    has: (kid, algorithm, key) => {
      refreshWhenStale()
      return published?.get(kid)?.imported.get(algorithm) === key
    },
    load,
  }
}

function publishedIn(
  document: Record<string, unknown>,
  known: ReadonlyMap<string, Published> | undefined,
): ReadonlyMap<string, Published> {
  const { keys } = document
  if (!Array.isArray(keys)) throw new UnexpectedAnswer('The document of keys', 200, 'has no keys')
  const published = new Map<string, Published>()
  for (const jwk of keys.slice(0, MOST_KEYS)) {
    if (!isObject(jwk) || typeof jwk.kid !== 'string' || published.has(jwk.kid) || !isForVerifying(jwk)) continue
    const text = JSON.stringify(jwk)
    const before = known?.get(jwk.kid)
    published.set(jwk.kid, before?.text === text ? before : { jwk, text, imported: new Map() })
  }
  if (published.size === 0) throw new UnexpectedAnswer('The document of keys', 200, 'has no key to verify with')
  return published
}

/** RFC 7517 sections 4.2 and 4.3: what a key is said to be for, it is for. A private or shared key is none to publish. */
const isForVerifying = ({ use, key_ops: operations, d, kty }: Record<string, unknown>): boolean =>
  (use === undefined || use === 'sig') &&
  (operations === undefined || (Array.isArray(operations) && operations.includes('verify'))) &&
  d === undefined &&
  kty !== 'oct'

async function importedFor({ jwk, imported }: Published, kid: string, algorithm: string): Promise<VerificationKey> {
  const known = imported.get(algorithm)
  if (known) return known
  const kind = [jwk.kty, jwk.crv].filter(Boolean).join(' ')
  if (kind !== KEY_KINDS[algorithm] || (jwk.alg !== undefined && jwk.alg !== algorithm)) {
    throw new TokenError('unknown_key', `The key ${JSON.stringify(kid)} is not for ${algorithm}.`)
  }
  let key: VerificationKey
  try {
    key = await importJWK(jwk, algorithm)
  } catch (cause) {
    throw new TokenError('unknown_key', `The key ${JSON.stringify(kid)} is malformed.`, { cause })
  }
  const winner = imported.get(algorithm) ?? key // another request may have been faster
  imported.set(algorithm, winner)
  return winner
}
