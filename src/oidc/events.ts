/** What the engine tells while it works: into the log, and as Retry-After where a dependency or a budget refused. */
import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import type { Logger } from '../observability/logger.ts'

const REFUSALS = [
  'authorization.error',
  'grant.error',
  'introspection.error',
  'revocation.error',
  'userinfo.error',
  'pushed_authorization_request.error',
  'end_session.error',
  'end_session_confirm.error',
  'end_session_success.error',
  'discovery.error',
  'jwks.error',
] as const

interface EngineRefusal extends Error {
  error_detail?: string
  retryAfterSeconds?: number
}

export function logEngineEvents(provider: Provider, logger: Logger): void {
  const refused = (event: string) => (ctx: KoaContextWithOIDC, error: EngineRefusal) => {
    // Signed tokens are answered after the engine has refused them (token-endpoints.ts): no refusal in the end.
    if (error instanceof errors.UnsupportedTokenType) return
    if (error.retryAfterSeconds !== undefined) ctx.set('Retry-After', String(error.retryAfterSeconds))
    const { message: code, error_detail: detail } = error
    logger.info({ event, error_code: code, detail, client_id: ctx.oidc?.client?.clientId }, 'request refused')
  }
  // Each listener has its own parameter types; all of them begin with context and error.
  const listen = provider.on.bind(provider) as (event: string, listener: ReturnType<typeof refused>) => unknown
  for (const event of REFUSALS) listen(event, refused(event))

  provider.on('server_error', (_ctx, error) => logger.error({ err: error }, 'the engine failed'))
  provider.on('grant.revoked', (ctx, grantId) =>
    logger.info({ event: 'grant.revoked', grant_id: grantId, client_id: ctx.oidc?.client?.clientId }, 'grant revoked'),
  )
  provider.on('end_session.success', (ctx) =>
    logger.info({ event: 'session.ended', client_id: ctx.oidc.client?.clientId }, 'signed out'),
  )
}
