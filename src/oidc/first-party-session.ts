/**
 * Sign-in for applications of the house as JSON: /api/v1/session. The tokens are those of the password grant and of the
 * refresh grant; this file only carries them, in the body or in cookies, and signs out.
 */
import type { Context } from 'koa'
import type { Client } from '../clients/client.ts'
import { AppError } from '../errors.ts'
import type { Api } from '../http/api.ts'
import type { Authenticate } from '../http/authenticate.ts'
import type { DeviceCookie } from '../http/device-cookie.ts'
import { refuseForeignOrigin, requireOwnOrigin } from '../http/origin-check.ts'
import { remoteAddress } from '../http/remote-address.ts'
import { requestIdOf } from '../http/request-state.ts'
import type { Route } from '../http/route.ts'
import type { SessionCookies } from '../http/session-cookies.ts'
import { grantSessionId } from '../sessions/session.ts'
import { familyKeys } from './ephemeral-keys.ts'
import type { AskTokenEndpoint, Caller, TokenReply } from './own-token-endpoint.ts'
import { PASSWORD_GRANT } from './password-grant.ts'
import * as schemas from './session-schemas.ts'
import type { RefreshTokenClaims, TokenFormats } from './token-formats.ts'

export interface FirstPartySessionDeps {
  issuer: string
  /** The client that signs in when none is named. */
  defaultClientId: string
  askTokenEndpoint: AskTokenEndpoint
  tokens: Pick<TokenFormats, 'verifyRefreshToken'>
  authenticate: Authenticate
  cookies: SessionCookies
  device: DeviceCookie
  findClient(id: string): Promise<Client | undefined>
  /** Ends a session if it is still there. */
  endSession(accountId: string, id: string): Promise<boolean>
}

const PATH = '/api/v1/session'
const TAG = 'Session'

const SIGN_IN: Route = {
  id: 'signIn',
  method: 'post',
  path: PATH,
  tag: TAG,
  summary: 'Sign in with a password',
  description: 'For applications of the house. The client must be first-party and allowed the password grant.',
  who: { anyone: true },
  body: schemas.signInRequest,
  answers: { 200: { description: 'The tokens, here or in cookies.', schema: schemas.issued } },
  errors: {
    invalid_credentials: 'The login or the password is wrong.',
    forbidden: 'The client may not sign people in, or cookies are asked for from another origin.',
  },
}

const REFRESH: Route = {
  id: 'refreshSession',
  method: 'post',
  path: `${PATH}/refresh`,
  tag: TAG,
  summary: 'Refresh the tokens',
  description: 'With the refresh token in the body, or in the cookie when the body has none.',
  who: { anyone: true },
  body: schemas.refreshRequest,
  optionalBody: true,
  answers: { 200: { description: 'New tokens, here or in cookies.', schema: schemas.issued } },
  errors: {
    unauthenticated: 'The session has ended.',
    forbidden: 'The cookie was sent from another origin, or the client may not refresh.',
  },
}

const SIGN_OUT: Route = {
  id: 'signOut',
  method: 'delete',
  path: PATH,
  tag: TAG,
  summary: 'Sign out',
  description:
    'Ends the session of the access token (as bearer or cookie) or of the refresh cookie, with all its tokens.',
  who: { anyone: true },
  answers: { 200: { description: 'It has ended, and the cookies are gone.', schema: schemas.signedOut } },
  errors: {
    unauthenticated: 'There is no valid token, or its session has ended.',
    forbidden: 'The cookie was sent from another origin, or the session is not for this client to end.',
  },
}

export function mountFirstPartySession(api: Api, deps: FirstPartySessionDeps): void {
  const { issuer, askTokenEndpoint, tokens, authenticate, cookies, device } = deps
  const { origin } = new URL(issuer)

  api.add<schemas.SignInRequest>(SIGN_IN, async function signIn(ctx, { body }) {
    const { login, password, client_id = deps.defaultClientId, transport } = body
    const isByCookie = transport === 'cookie'
    if (isByCookie) refuseForeignOrigin(ctx, origin)
    const scope = await scopeOf(client_id)
    const form = { grant_type: PASSWORD_GRANT, client_id, username: login, password, ...(scope ? { scope } : {}) }
    const reply = await askTokenEndpoint(form, callerOf(ctx))
    if (reply.status !== 200) throw refusalOf(reply, wrongLogin)
    if (isByCookie) await rememberDevice(ctx, reply)
    await present(ctx, reply, isByCookie)
  })

  api.add<schemas.RefreshRequest>(REFRESH, async function refresh(ctx, { body: { refresh_token: given } }) {
    const isByCookie = given === undefined
    const presented = given ?? cookies.refreshToken(ctx)
    if (isByCookie) requireOwnOrigin(ctx, origin)
    const claims = tokens.verifyRefreshToken(presented)
    const reply = claims && (await askTokenEndpoint(refreshForm(claims, presented), callerOf(ctx)))
    if (reply?.status === 200) return present(ctx, reply, isByCookie)
    const refusal = reply ? refusalOf(reply, ended) : ended()
    if (isByCookie && refusal.status === 401) cookies.clear(ctx)
    throw refusal
  })

  api.add(SIGN_OUT, async function signOut(ctx) {
    const { accountId, sessionId } = await sessionOf(ctx)
    await deps.endSession(accountId, sessionId)
    cookies.clear(ctx)
    ctx.body = { signed_out: true }
  })

  /** An expired access cookie is not sent any more; the refresh cookie still says which session is to end. */
  async function sessionOf(ctx: Context): Promise<{ accountId: string; sessionId: string }> {
    const isRefreshCookieAlone = !ctx.get('Authorization') && cookies.accessToken(ctx) === undefined
    const refreshToken = isRefreshCookieAlone ? cookies.refreshToken(ctx) : undefined
    if (refreshToken === undefined) {
      const { subject, session, clientId } = await authenticate.token(ctx)
      // Behind a token may stand the person's whole browser session: that is not for somebody else's application to end.
      if (!(await deps.findClient(clientId))?.firstParty) throw notHere(clientId)
      return { accountId: subject, sessionId: session.id }
    }
    requireOwnOrigin(ctx, origin)
    const claims = tokens.verifyRefreshToken(refreshToken)
    const keys = claims && familyKeys(claims.jti)
    if (!keys) throw ended()
    return { accountId: claims.sub, sessionId: grantSessionId(keys.grantId) }
  }

  async function rememberDevice(ctx: Context, { body }: TokenReply): Promise<void> {
    const claims = tokens.verifyRefreshToken(body.refresh_token)
    if (claims) device.keep(ctx, claims.sub)
  }

  const callerOf = (ctx: Context): Caller => {
    const known = device.read(ctx)
    return {
      address: remoteAddress(ctx),
      userAgent: ctx.get('User-Agent'),
      requestId: requestIdOf(ctx),
      cookie: known === undefined ? undefined : device.headerOf(known),
    }
  }

  /** Everything the client may have, but not to outlive its sessions. */
  async function scopeOf(clientId: string): Promise<string> {
    const client = await deps.findClient(clientId)
    return (client?.scopes ?? []).filter((scope) => scope !== 'offline_access').join(' ')
  }

  async function present(ctx: Context, { body }: TokenReply, isByCookie: boolean): Promise<void> {
    const { access_token, refresh_token, token_type, expires_in } = body
    ctx.set('Cache-Control', 'no-store')
    ctx.body = { expires_in }
    if (!isByCookie) ctx.body = { access_token, refresh_token, token_type, expires_in }
    else if (typeof access_token === 'string') {
      const claims = tokens.verifyRefreshToken(refresh_token)
      cookies.set(ctx, {
        accessToken: access_token,
        accessSeconds: Number(expires_in),
        refresh: claims && { token: String(refresh_token), seconds: claims.exp - claims.iat },
      })
    }
  }
}

const refreshForm = ({ client_id }: RefreshTokenClaims, refreshToken: unknown) => ({
  grant_type: 'refresh_token',
  client_id,
  refresh_token: String(refreshToken),
})

/** The words of OAuth in those of this API. */
function refusalOf({ status, body, retryAfterSeconds = 1 }: TokenReply, invalidGrant: () => AppError): AppError {
  if (status === 429) {
    return new AppError('rate_limited', 429, 'Too many attempts. Try again later.', { retryAfterSeconds })
  }
  if (status >= 500) {
    const message = 'The server cannot answer right now. Try again shortly.'
    return new AppError('temporarily_unavailable', 503, message, { retryAfterSeconds })
  }
  if (body.error === 'invalid_grant') return invalidGrant()
  return notHere(String(body.error))
}

const notHere = (detail: string) => new AppError('forbidden', 403, 'This client may not do that here.', { detail })

const wrongLogin = () => new AppError('invalid_credentials', 401, 'The login or the password is wrong.')
const ended = () => new AppError('unauthenticated', 401, 'This session has ended. Sign in again.')
