/** What a verifier is told when it is made. A fault is a TypeError at once: nothing starts half protected. */

import type { VerifierEvent } from './events.ts'
import { isSupportedAlgorithm } from './keys.ts'
import type { Fetch } from './server-call.ts'
import type { Credentials } from './service-token.ts'

export interface VerifierOptions {
  /** The issuer exactly as tokens name it, such as `https://id.example.org`. */
  issuer: string
  /** This service, as it stands in the `aud` of tokens. */
  audience: string
  /** Whether to learn of revocations at once; without it a revoked token lives until it expires. */
  stream: boolean | StreamOptions
  /** Default: ES256 and RS256. Asymmetric ones only. */
  algorithms?: readonly string[]
  /** By how much clocks may differ; 0 to 60, default 15. */
  clockToleranceSeconds?: number
  /**
   * `fail_closed` (default): nobody is let in while it is unknown what was revoked. `expiry_only`: what is known of
   * revocations goes on to count, and expiry does the rest.
   */
  whenStreamIsDown?: 'fail_closed' | 'expiry_only'
  /** Silence for so long means that the stream is down; default 5. */
  streamDownSeconds?: number
  /** A confidential client with the scopes `events:read` and `access:read`. */
  credentials?: Credentials
  /** In place of the global one. */
  fetch?: Fetch
  /** For logs and metrics. */
  onEvent?: (event: VerifierEvent) => void
  /** Lets an issuer on another computer be asked over http. Everything can then be forged by whoever is in between. */
  allowInsecureIssuer?: boolean
  /** Milliseconds since the epoch; default Date.now. */
  now?: () => number
}

export interface StreamOptions {
  /** Default: `<issuer>/api/v1/events/revocations`. */
  url?: string
  /** How long the first requests wait for the whole picture; default 3. */
  startSeconds?: number
  /** How many revocations are held at most; default 500 000. Beyond it the stream counts as down. */
  maxEntries?: number
}

export interface CheckedOptions {
  issuer: string
  /** Without a slash at its end. */
  base: string
  audience: string
  algorithms: readonly string[]
  clockToleranceSeconds: number
  isFailClosed: boolean
  streamDownMs: number
  stream: { url: string; startMs: number; maxEntries: number } | undefined
  credentials: Credentials | undefined
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Throws TypeError. */
export function checkOptions(options: VerifierOptions): CheckedOptions {
  const { issuer, audience, algorithms = ['ES256', 'RS256'], clockToleranceSeconds = 15, credentials } = options
  const { streamDownSeconds = 5, whenStreamIsDown = 'fail_closed', stream } = options
  const url = typeof issuer === 'string' && URL.canParse(issuer) ? new URL(issuer) : refuse('issuer must be a URL')
  const isProtected = url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname))
  if (!isProtected && !(url.protocol === 'http:' && options.allowInsecureIssuer === true)) {
    refuse('issuer must begin with https://')
  }
  if (typeof audience !== 'string' || audience === '') refuse('audience must name this service')
  if (algorithms.length === 0 || !algorithms.every(isSupportedAlgorithm)) {
    refuse('algorithms must be asymmetric signatures, such as ES256')
  }
  checkNumber('clockToleranceSeconds', clockToleranceSeconds, 0, 60)
  checkNumber('streamDownSeconds', streamDownSeconds, 0.1, 300)
  if (!['fail_closed', 'expiry_only'].includes(whenStreamIsDown)) {
    refuse('whenStreamIsDown must be fail_closed or expiry_only')
  }
  // Left out, it would be the one protection that is easily forgotten.
  if (stream === undefined) refuse('stream must be true, false or its options')
  if (stream !== false && !credentials) refuse('credentials are needed for the stream')
  if (credentials && !(credentials.clientId && credentials.clientSecret)) {
    refuse('credentials must have clientId and clientSecret')
  }
  const base = issuer.replace(/\/$/, '')
  return {
    ...{ issuer, base, audience, algorithms: [...algorithms], clockToleranceSeconds, credentials },
    isFailClosed: whenStreamIsDown === 'fail_closed',
    streamDownMs: streamDownSeconds * 1000,
    stream: stream === false ? undefined : checkedStream(stream === true ? {} : stream, base),
  }
}

function checkedStream({ url, startSeconds = 3, maxEntries = 500_000 }: StreamOptions, base: string) {
  const address = url ?? `${base}/api/v1/events/revocations`
  if (!URL.canParse(address) || new URL(address).origin !== new URL(base).origin) {
    refuse('stream.url must be an address of the issuer') // a token is sent there
  }
  checkNumber('stream.startSeconds', startSeconds, 0, 60)
  checkNumber('stream.maxEntries', maxEntries, 1, 10_000_000)
  return { url: address, startMs: startSeconds * 1000, maxEntries }
}

function checkNumber(name: string, value: number, least: number, most: number): void {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    refuse(`${name} must be between ${least} and ${most}`)
  }
}

function refuse(message: string): never {
  throw new TypeError(`createVerifier: ${message}.`)
}
