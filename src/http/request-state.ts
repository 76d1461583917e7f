import type { Context } from 'koa'
import type { Locale } from '../i18n.ts'

/** What our middleware leaves on a request for whoever comes after. */
declare module 'koa' {
  interface DefaultState {
    /** Set by the first middleware of the chain. */
    requestId?: string
    /** The language of the page rendered for this request. */
    locale?: Locale
  }
}

/** The id of a request: in its `X-Request-Id`, in every log line and on every error page. */
export const requestIdOf = (ctx: Context): string => ctx.state.requestId ?? 'none'
