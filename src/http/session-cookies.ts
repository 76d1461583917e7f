/** The two cookies of a JSON sign-in: the access token goes with every request, the refresh token with our own only. */
import type { Context } from 'koa'
import type { Cookies } from './cookies.ts'

const ACCESS = 'usher_access'
const REFRESH = 'usher_refresh'

export interface TokenPair {
  accessToken: string
  accessSeconds: number
  /** Undefined for a client that may not refresh. */
  refresh: { token: string; seconds: number } | undefined
}

export type SessionCookies = ReturnType<typeof createSessionCookies>

export function createSessionCookies(cookies: Cookies) {
  return {
    accessToken: (ctx: Context): string | undefined => cookies.get(ctx, ACCESS) || undefined,
    refreshToken: (ctx: Context): string | undefined => cookies.get(ctx, REFRESH) || undefined,

    set(ctx: Context, { accessToken, accessSeconds, refresh }: TokenPair): void {
      cookies.set(ctx, ACCESS, accessToken, { maxAgeSeconds: accessSeconds })
      if (refresh) cookies.set(ctx, REFRESH, refresh.token, { maxAgeSeconds: refresh.seconds, sameSite: 'strict' })
    },

    clear(ctx: Context): void {
      cookies.clear(ctx, ACCESS)
      cookies.clear(ctx, REFRESH)
    },
  }
}
