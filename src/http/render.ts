import { readdirSync, readFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import { Eta } from 'eta'
import type { Context } from 'koa'
import { LOCALES, type Locale, type Translator } from '../i18n.ts'
import type { Assets } from './assets.ts'
import type { LocaleOf } from './locale.ts'
import type { PageData, PageName } from './page-data.ts'
import { present } from './presentation.ts'
import { requestIdOf } from './request-state.ts'
import { contentSecurityPolicy } from './security-headers.ts'

export interface RenderOptions {
  /** 200 when left out. */
  status?: number
  /** URIs a form of this page may end at, such as the client's redirect URI (security-headers.ts). */
  formAction?: readonly string[]
  /** URIs of images besides the client's logo, which is allowed by itself. */
  imgSrc?: readonly string[]
  /** The client's ui_locales. */
  uiLocales?: string | undefined
  /** The address that shows this page by GET, for the language links; the request's own when it is a GET. */
  self?: string
}

/** Answers a request with a page. */
export type Render = <P extends PageName>(ctx: Context, page: P, data: PageData[P], options?: RenderOptions) => void

export interface RendererDeps {
  viewsDir: string
  assets: Assets
  translator: Translator
  localeOf: LocaleOf
}

/** Compiles every template at start; a broken one stops the server, not a visitor. */
export function createRenderer({ viewsDir, assets, translator, localeOf }: RendererDeps): Render {
  const eta = loadTemplates(viewsDir)

  return function render(ctx, page, data, options = {}) {
    const locale = localeOf(ctx, options.uiLocales)
    const html = eta.render(`@${page}`, {
      requestId: requestIdOf(ctx),
      ...present(page, data, locale),
      page,
      lang: locale,
      dir: translator.direction(locale),
      t: translator.translate(locale),
      asset: assets.urlOf,
      languages: languageLinks(ctx, translator, locale, options.self),
    })
    ctx.status = options.status ?? 200
    ctx.type = 'text/html; charset=utf-8'
    ctx.set('Cache-Control', 'no-store')
    ctx.set('Content-Language', locale)
    ctx.set('Content-Security-Policy', policyOf(data, options))
    ctx.body = html
  }
}

/** Templates are known to each other as `@name`. */
function loadTemplates(viewsDir: string): Eta {
  const eta = new Eta({ cache: true })
  const files = readdirSync(viewsDir).filter((file) => file.endsWith('.eta'))
  for (const file of files) eta.loadTemplate(`@${parse(file).name}`, readFileSync(join(viewsDir, file), 'utf8'))
  return eta
}

function policyOf(data: PageData[PageName], { formAction, imgSrc = [] }: RenderOptions): string {
  const logo = 'client' in data ? data.client?.logoUri : undefined
  return contentSecurityPolicy({ formAction, imgSrc: logo === undefined ? imgSrc : [...imgSrc, logo] })
}

/** Links to the same page in the other languages; none on a page that only a post can show. */
function languageLinks(ctx: Context, translator: Translator, current: Locale, self?: string) {
  const address = self ?? (ctx.method === 'GET' ? ctx.url : undefined)
  if (address === undefined) return []
  const [path, query] = address.split('?', 2)
  return LOCALES.map((locale) => {
    const parameters = new URLSearchParams(query)
    parameters.set('ui_locales', locale)
    return { locale, name: translator.nameOf(locale), href: `${path}?${parameters}`, isCurrent: locale === current }
  })
}
