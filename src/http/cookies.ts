import type { Context } from 'koa'

/** Where a cookie is sent: everywhere on this host, or under one path only. */
export type CookieReach = 'host' | 'path'

export interface CookieOptions {
  maxAgeSeconds?: number
  sameSite?: 'lax' | 'strict'
}

/** Cookies of our own pages. Not signed: what needs proof carries it in its value. */
export interface Cookies {
  /** Whether cookies are Secure: they are on an https issuer. */
  readonly secure: boolean
  /** The full name: a prefix makes the browser enforce Secure, and with `host` also Path=/ without Domain. */
  nameOf(name: string, reach?: CookieReach): string
  get(ctx: Context, name: string): string | undefined
  set(ctx: Context, name: string, value: string, options?: CookieOptions): void
  clear(ctx: Context, name: string): void
}

/**
 * @param issuer decides about prefixes: `__Host-` and `__Secure-` (RFC 6265bis section 4.1.3) work on https only
 */
export function createCookies({ issuer }: { issuer: string }): Cookies {
  const secure = issuer.startsWith('https:')
  const nameOf = (name: string, reach: CookieReach = 'host') => {
    if (!secure) return name
    return reach === 'host' ? `__Host-${name}` : `__Secure-${name}`
  }
  const attributes = { path: '/', httpOnly: true, secure, signed: false, overwrite: true } as const

  return {
    secure,
    nameOf,
    get: (ctx, name) => ctx.cookies.get(nameOf(name), { signed: false }),
    set(ctx, name, value, { maxAgeSeconds, sameSite = 'lax' } = {}) {
      const life = maxAgeSeconds === undefined ? {} : { maxAge: maxAgeSeconds * 1000 }
      ctx.cookies.set(nameOf(name), value, { ...attributes, sameSite, ...life })
    },
    clear(ctx, name) {
      ctx.cookies.set(nameOf(name), null, { ...attributes, sameSite: 'lax' })
    },
  }
}
