import type { Context } from 'koa'
import { LOCALES, type Locale, type Translator } from '../i18n.ts'
import type { Cookies } from './cookies.ts'
import './request-state.ts'

const COOKIE = 'ui_locale'
const ONE_YEAR_SECONDS = 365 * 24 * 3600

/** Decides in which language a page is shown; `hint` is the client's ui_locales. */
export type LocaleOf = (ctx: Context, hint?: string) => Locale

/**
 * The order is: the language link just followed, the client's ui_locales, the language chosen earlier (a cookie),
 * Accept-Language, English.
 *
 * The cookie remembers the hint it overruled. Whoever switches away from the client's choice keeps the own language on
 * the next pages of the same sign-in, and another client's hint counts again.
 */
export function createLocaleOf({ translator, cookies }: { translator: Translator; cookies: Cookies }): LocaleOf {
  return function localeOf(ctx, hint = '') {
    const asked = typeof ctx.query.ui_locales === 'string' ? ctx.query.ui_locales : ''
    const [chosen = '', overruled] = (cookies.get(ctx, COOKIE) ?? '').split('.')
    const clientWish = overruled === asCookieText(hint) ? chosen : hint
    const locale = translator.pick({
      uiLocales: `${asked} ${clientWish}`,
      cookie: chosen,
      acceptLanguage: ctx.get('Accept-Language'),
    })
    if (isLanguageLink(ctx, asked)) {
      cookies.set(ctx, COOKIE, `${locale}.${asCookieText(hint)}`, { maxAgeSeconds: ONE_YEAR_SECONDS })
    }
    ctx.state.locale = locale
    return locale
  }
}

/** At the authorization endpoint the same parameter is the client's wish, not the person's. */
function isLanguageLink(ctx: Context, asked: string): boolean {
  return ctx.method === 'GET' && !ctx.path.startsWith('/oauth2/authorize') && LOCALES.some((locale) => locale === asked)
}

/** A client's text in the alphabet of a cookie (RFC 6265 section 4.1.1), short. */
const asCookieText = (text: string): string => text.slice(0, 64).replaceAll(/[^A-Za-z0-9-]/g, '_')
