/**
 * What a browser keeps of a sign-in, so that the next one from it is told apart from a stranger's guesses. It opens
 * nothing: without the password it is worth nothing.
 */
import type { Context } from 'koa'
import type { Cookies } from './cookies.ts'

const NAME = 'usher_device'

export interface DeviceCookieDeps {
  cookies: Cookies
  /** A token for the device that an account has just signed in on. */
  tokenFor(accountId: string, presented: string | undefined): string
  maxAgeSeconds: number
}

export type DeviceCookie = ReturnType<typeof createDeviceCookie>

export function createDeviceCookie({ cookies, tokenFor, maxAgeSeconds }: DeviceCookieDeps) {
  const read = (ctx: Context): string | undefined => cookies.get(ctx, NAME)
  return {
    read,
    /** Remembers that this account has signed in here. */
    keep(ctx: Context, accountId: string): void {
      cookies.set(ctx, NAME, tokenFor(accountId, read(ctx)), { maxAgeSeconds })
    },
    /** The Cookie header with which a request of our own speaks for the same device. */
    headerOf: (device: string): string => `${cookies.nameOf(NAME)}=${device}`,
  }
}
