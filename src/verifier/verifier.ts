/**
 * Access tokens of Usher verified inside a service: signature, claims and expiry with the published keys, and revocation
 * by a stream that the server keeps open, so that no request has to ask anybody.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { checkTimes, readClaims } from './claims.ts'
import { createCombinedPermissions } from './combined-permissions.ts'
import { createDiscovery } from './discovery.ts'
import { TokenError } from './errors.ts'
import { quietly } from './events.ts'
import { createKeys } from './keys.ts'
import { type ExpressGuard, guardExpress } from './middleware/express.ts'
import { type FastifyGuard, guardFastify } from './middleware/fastify.ts'
import { guardHttp, type HttpHandler, type HttpListener } from './middleware/http.ts'
import { guardKoa, type KoaGuard } from './middleware/koa.ts'
import { checkOptions, type VerifierOptions } from './options.ts'
import { createPermissionChanges } from './permission-changes.ts'
import { createPermissions, type Requirement, requireScopes } from './permissions.ts'
import { createRevocationStream, type RevocationStream } from './revocation-stream.ts'
import type { Fetch } from './server-call.ts'
import { createServiceToken } from './service-token.ts'
import { checkSignature, readToken } from './signed-token.ts'
import { createTokenCache, type VerifiedSignature } from './token-cache.ts'
import { presentToken, type VerifiedToken } from './verified-token.ts'

export type { PolicyExpression } from '../access/policy-expression.ts'
export type { AccessTokenClaims } from './claims.ts'
export { TokenError, type TokenErrorCode } from './errors.ts'
export type { VerifierEvent } from './events.ts'
export { type Refusal, refusalOf } from './middleware/challenge.ts'
export type { StreamOptions, VerifierOptions } from './options.ts'
export type { Requirement } from './permissions.ts'
export type { Credentials } from './service-token.ts'
export type { VerifiedToken } from './verified-token.ts'

export interface Verifier {
  /** Throws TokenError, whose code is for the log of the service; refusalOf makes the answer of it. */
  verify(token: string): Promise<VerifiedToken>
  /** Throws TokenError insufficient_scope unless every one was granted. */
  requireScopes(token: VerifiedToken, ...scopes: string[]): void
  /** Throws TokenError insufficient_permissions or permissions_unavailable; TypeError for a malformed query. */
  requirePermissions(token: VerifiedToken, query: NonNullable<Requirement['permissions']>): Promise<void>
  /** As requirePermissions. */
  requireRoles(token: VerifiedToken, query: NonNullable<Requirement['roles']>): Promise<void>
  /** Resolves when there are keys and the stream has told what is revoked; rejects when closed before. */
  ready(): Promise<void>
  /** Ends the stream and every timer. */
  close(): void
  /** Middleware; what it lets in is at `ctx.state.auth`. */
  koa(requirement?: Requirement): KoaGuard
  /** Middleware; what it lets in is at `request.auth`. */
  express(requirement?: Requirement): ExpressGuard
  /** A hook for onRequest or preHandler; what it lets in is at `request.auth`. */
  fastify(requirement?: Requirement): FastifyGuard
  /** A listener for node:http; what it lets in is at `request.auth`. */
  http(handler: HttpHandler, requirement?: Requirement): HttpListener
}

const KEYS_RETRY_MS = 1_000

/** Throws TypeError when an option is wrong. Begins to listen to the stream at once. */
export function createVerifier(options: VerifierOptions): Verifier {
  const checked = checkOptions(options)
  const { issuer, base, algorithms, stream: streaming, credentials } = checked
  const { now = Date.now } = options
  const fetch: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const report = quietly(options.onEvent)

  const discover = createDiscovery({ issuer, fetch })
  const keys = createKeys({ discover, fetch, report })
  const signatures = createTokenCache()
  const api = `${base}/api/v1`
  const tokenFor = (scope: string) =>
    credentials && createServiceToken({ resource: api, scope, credentials, discover, fetch })

  const changes = createPermissionChanges()
  const combined = createCombinedPermissions({ api, token: tokenFor('access:read'), fetch, report })
  const permissions = createPermissions({ changes, combined })
  const eventsToken = tokenFor('events:read')
  const stream: RevocationStream | undefined =
    streaming && eventsToken
      ? createRevocationStream({
          ...{ ...streaming, token: eventsToken, fetch, now, report, downMs: checked.streamDownMs },
          onPermissions(change) {
            changes.note(change)
            combined.forget(change)
          },
        })
      : undefined
  const closing = new AbortController()

  const verifySignature = async (text: string): Promise<VerifiedSignature> => {
    const token = readToken(text, algorithms)
    const { kid, algorithm } = token
    const key = await keys.find(kid, algorithm)
    await checkSignature(token, key)
    const verified = { claims: readClaims(token.payload, checked), kid, algorithm, key }
    signatures.keep(text, verified)
    return verified
  }

  const checkRevocation = async (claims: VerifiedSignature['claims']): Promise<void> => {
    if (!stream) return
    const isDead = (): boolean => stream.denies(claims)
    // What is known to be dead stays so, whatever else is unknown.
    if (!isDead() && !stream.isCurrent()) await stream.settle()
    if (isDead()) throw new TokenError('revoked', 'The token has been revoked.')
    if (!stream.isCurrent() && checked.isFailClosed) {
      throw new TokenError('stream_down', 'What has been revoked is not known right now.')
    }
  }

  const verify = async (text: string): Promise<VerifiedToken> => {
    const remembered = typeof text === 'string' ? signatures.find(text) : undefined
    const isGood = remembered && keys.has(remembered.kid, remembered.algorithm, remembered.key)
    const { claims } = isGood ? remembered : await verifySignature(text)
    checkTimes(claims, now(), checked)
    await checkRevocation(claims)
    return presentToken(claims)
  }

  const guard = { verify, require: permissions.require, report }
  return {
    verify,
    requireScopes: (token, ...scopes) => requireScopes(token, scopes),
    requirePermissions: permissions.requirePermissions,
    requireRoles: permissions.requireRoles,

    async ready() {
      // Whoever waits here may have nothing else open yet, and the pauses of the stream let a process end.
      const staying = setInterval(() => undefined, KEYS_RETRY_MS)
      try {
        while (!(await keys.load())) await pause(KEYS_RETRY_MS, undefined, { signal: closing.signal })
        await stream?.ready()
      } finally {
        clearInterval(staying)
      }
    },

    close() {
      closing.abort()
      stream?.close()
    },

    koa: (requirement = {}) => guardKoa(guard, requirement),
    express: (requirement = {}) => guardExpress(guard, requirement),
    fastify: (requirement = {}) => guardFastify(guard, requirement),
    http: (handler, requirement = {}) => guardHttp(guard, handler, requirement),
  }
}
