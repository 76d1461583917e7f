/**
 * What the engine leaves open at the token, introspection and revocation endpoints. It authenticates the client and
 * refuses structured tokens; the answers about our signed tokens are made here, after it.
 */
import type { Middleware } from 'koa'
import { type Client as EngineClient, errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import { noteArrival, noteTurn } from '../http/arrival.ts'
import { AUDIENCE } from './client-adapter.ts'
import { inEngineTerms, RefusedForNow } from './engine-errors.ts'
import type { RefreshRotation } from './refresh-rotation.ts'
import type { SessionRegister } from './session-register.ts'
import type { Inspector, TokenInspection } from './token-inspection.ts'

export interface TokenEndpointsDeps {
  provider: Provider
  inspection: TokenInspection
  rotation: RefreshRotation
  register: SessionRegister
}

type Next = () => Promise<unknown>

/** Middleware for the engine's chain, and the listeners that tell it what the engine refused. */
export function createTokenEndpoints(deps: TokenEndpointsDeps) {
  const { provider, inspection, rotation, register } = deps
  const structured = new WeakSet<object>()
  const noteStructured = (ctx: object, error: unknown) => {
    if (error instanceof errors.UnsupportedTokenType) structured.add(ctx)
  }
  provider.on('introspection.error', noteStructured)
  provider.on('revocation.error', noteStructured)

  // By the engine's own name of the route: it also takes /oauth2/Token and /oauth2/token/ for the token endpoint.
  const handlers: Record<string, (ctx: KoaContextWithOIDC) => Promise<void>> = {
    token: finishTokenRequest,
    introspection: finishIntrospection,
    revocation: finishRevocation,
  }

  /** Whether the engine's refusal of a structured token was the only thing wrong with this request. */
  const isAboutSignedToken = (ctx: KoaContextWithOIDC): boolean => structured.has(ctx) && ctx.oidc.client !== undefined

  async function finishTokenRequest(ctx: KoaContextWithOIDC): Promise<void> {
    // Who lost a race has nothing to show for it; a session without life falls off its list by itself.
    const both = [rotation.commit(ctx), ctx.status === 200 ? register.tokensIssued(ctx) : undefined]
    for (const outcome of await Promise.allSettled(both)) if (outcome.status === 'rejected') throw outcome.reason
    // RFC 6749 section 5.2: unauthorized_client, "The authenticated client is not authorized to use this authorization
    // grant type"; the engine says invalid_request.
    const grantType = ctx.oidc.params?.grant_type
    const isKnown = typeof grantType === 'string' && ctx.status === 400
    if (
      isKnown &&
      ctx.oidc.client &&
      errorOf(ctx) === 'invalid_request' &&
      !ctx.oidc.client.grantTypeAllowed(grantType)
    ) {
      answer(ctx, 400, { error: 'unauthorized_client', error_description: 'the client may not use this grant type' })
    }
  }

  /** RFC 7662 section 2.1: "the authorization server MUST also require some form of authorization to access this endpoint". */
  async function finishIntrospection(ctx: KoaContextWithOIDC): Promise<void> {
    const { client } = ctx.oidc
    if (client?.clientAuthMethod === 'none') refuseUnauthenticated(ctx)
    else if (client && isAboutSignedToken(ctx)) {
      answer(ctx, 200, await inspection.introspect(inspectorOf(client), String(ctx.oidc.params?.token)))
    }
  }

  async function finishRevocation(ctx: KoaContextWithOIDC): Promise<void> {
    if (!ctx.oidc.client || !isAboutSignedToken(ctx)) return
    await inspection.revoke(inspectorOf(ctx.oidc.client), String(ctx.oidc.params?.token))
    ctx.status = 200
    ctx.type = 'text' // the engine's refusal was JSON
    ctx.body = ''
  }

  return inEngineTermsOf(async (ctx: KoaContextWithOIDC, next: Next) => {
    noteArrival(ctx.req)
    await next()
    const finish = ctx.oidc && handlers[ctx.oidc.route]
    if (!finish) return
    if (namesNoClient(ctx)) refuseUnauthenticated(ctx)
    else await finish(ctx)
    noteTurn()
  })
}

const inspectorOf = (client: EngineClient): Inspector => {
  const { [AUDIENCE]: audience } = client
  return { clientId: client.clientId, audience: typeof audience === 'string' ? audience : undefined }
}

/** The engine calls this invalid_request. */
const namesNoClient = (ctx: KoaContextWithOIDC): boolean => {
  const { client, params } = ctx.oidc
  if (client || !params || ctx.status !== 400 || ctx.get('Authorization')) return false
  return [params.client_id, params.client_assertion].every((value) => value === undefined)
}

/** RFC 6749 section 5.2: invalid_client, "no client authentication included". */
function refuseUnauthenticated(ctx: KoaContextWithOIDC): void {
  answer(ctx, 401, { error: 'invalid_client', error_description: 'client authentication is required' })
  ctx.set('WWW-Authenticate', `Basic realm="${ctx.oidc.provider.issuer}"`)
}

function errorOf(ctx: KoaContextWithOIDC): unknown {
  return typeof ctx.body === 'object' && ctx.body !== null && 'error' in ctx.body ? ctx.body.error : undefined
}

function answer(ctx: KoaContextWithOIDC, status: number, body: object): void {
  ctx.status = status
  ctx.set('Cache-Control', 'no-store')
  ctx.body = body
}

/** Past the engine's own error handling a failed dependency must still leave as an OAuth error. */
function inEngineTermsOf(middleware: (ctx: KoaContextWithOIDC, next: Next) => Promise<void>): Middleware {
  const run = inEngineTerms(middleware)
  return async (context, next) => {
    const ctx = context as KoaContextWithOIDC // the engine has put `oidc` there by the time it is looked at
    try {
      await run(ctx, next)
    } catch (error) {
      if (!(error instanceof RefusedForNow)) throw error
      answer(ctx, error.statusCode, { error: error.error, error_description: error.error_description })
      ctx.set('Retry-After', String(error.retryAfterSeconds))
    }
  }
}
