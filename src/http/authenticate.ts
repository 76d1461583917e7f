/**
 * Who calls the API: an access token as `Authorization: Bearer` (RFC 6750 section 2.1) or in the cookie of a JSON
 * sign-in. A bearer token wins over a cookie, and only a cookie needs a word about where the request comes from.
 */
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import { requireOwnOrigin } from './origin-check.ts'
import type { SessionCookies } from './session-cookies.ts'

/** The session a request belongs to, by the id under which its owner sees it. */
export interface OwnSession {
  id: string
  /** Milliseconds since the epoch. */
  signedInAtMs: number
}

/** What a live access token of an account says. */
export interface Identity {
  /** The account. */
  subject: string
  clientId: string
  grantId: string
  sessionUid: string | undefined
  session: OwnSession
  scopes: ReadonlySet<string>
  audience: string
  /** When the person signed in, in seconds since the epoch. */
  authTime: number
}

/** Whose token it is: an account's, or that of a client by itself. */
export type Bearer =
  | { kind: 'account'; identity: Identity }
  | { kind: 'client'; clientId: string; scopes: ReadonlySet<string>; audience: string; tokenId: string }

/** Undefined for everything but a genuine, live access token. */
export type Identify = (token: string) => Bearer | undefined | Promise<Bearer | undefined>

export interface AuthenticateDeps {
  issuer: string
  identify: Identify
  cookies: SessionCookies
  /** The `aud` of tokens for this API. */
  audience: string
  /** Clients of the house may act for the account itself; what others may is in their scopes, and none is about this. */
  isFirstParty(clientId: string): Promise<boolean>
}

export type Authenticate = ReturnType<typeof createAuthenticate>

export function createAuthenticate({ issuer, identify, cookies, audience, isFirstParty }: AuthenticateDeps) {
  const { origin } = new URL(issuer)

  async function bearer(ctx: Context): Promise<Bearer> {
    const value = presentedToken(ctx)
    const found = value === undefined ? undefined : await identify(value)
    // A client's token for another resource server is none of this API.
    if (found && (found.kind === 'account' || found.audience === audience)) return found
    // RFC 6750 section 3.1: without any token "the resource server SHOULD NOT include an error code".
    ctx.set(
      'WWW-Authenticate',
      value === undefined ? 'Bearer realm="usher"' : 'Bearer realm="usher", error="invalid_token"',
    )
    throw new AppError('unauthenticated', 401, 'Sign in first: there is no valid access token in this request.')
  }

  async function token(ctx: Context): Promise<Identity> {
    const found = await bearer(ctx)
    if (found.kind === 'account') return found.identity
    throw new AppError('forbidden', 403, 'This is for people: the access token is that of a client.')
  }

  const isOwn = async (identity: Identity): Promise<boolean> =>
    identity.audience === audience && (await isFirstParty(identity.clientId))

  function presentedToken(ctx: Context): string | undefined {
    const authorization = ctx.get('Authorization')
    if (authorization) return bearerTokenOf(ctx) ?? ''
    const cookie = cookies.accessToken(ctx)
    if (cookie !== undefined && !isSafe(ctx)) requireOwnOrigin(ctx, origin)
    return cookie
  }

  return {
    /** Any live token, of an account for whatever audience, of a client for this API. Throws as `token` does. */
    bearer,

    /** Any live token of an account, for whatever audience. Throws unauthenticated (401), forbidden (403) by cookie. */
    token,

    /** Whether a token is one with which people act on this API themselves: for it, and issued to a client of the house. */
    isOwn,

    /**
     * A token with which people act on their own account: for this API, issued to a client of the house.
     * Throws unauthenticated (401), forbidden (403), Unavailable (503).
     */
    async account(ctx: Context): Promise<Identity> {
      const identity = await token(ctx)
      if (await isOwn(identity)) return identity
      throw new AppError('forbidden', 403, 'This access token is not for managing the account.', {
        detail: `audience ${identity.audience}, client ${identity.clientId}`,
      })
    },
  }
}

/** RFC 6750 section 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */
const BEARER = /^Bearer +([\w.~+/-]{1,8192}=*)$/i

/** What stands in the Authorization header, unchecked; undefined without one or with another scheme. */
export const bearerTokenOf = (ctx: Context): string | undefined => BEARER.exec(ctx.get('Authorization'))?.[1]

const isSafe = ({ method }: Context): boolean => method === 'GET' || method === 'HEAD'
