import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInstance } from 'i18next'

/** The languages of the pages and mails; each has its dictionary in views/locales. */
export const LOCALES = ['en', 'ru'] as const
export type Locale = (typeof LOCALES)[number]

/** Looks a text up by its key; `values` fill `{{name}}`, and `count` chooses the plural form. */
export type Translate = (key: string, values?: Readonly<Record<string, string | number>>) => string

/** Where a wish for a language can come from, strongest first. */
export interface LanguageWishes {
  /** OpenID Connect Core section 3.1.2.1: language tags separated by spaces, best first. */
  uiLocales?: string | undefined
  cookie?: string | undefined
  acceptLanguage?: string | undefined
}

export interface Translator {
  pick(wishes: LanguageWishes): Locale
  translate(locale: Locale): Translate
  /** Writing direction for `<html dir>`. */
  direction(locale: Locale): 'ltr' | 'rtl'
  /** The name of a language in the reader's language or, without one, in itself. */
  nameOf(locale: Locale): string
}

/**
 * Loads the dictionaries of all languages from a folder (`en.json`, `ru.json`). Texts are returned unescaped: the
 * templates escape. A key missing in one language is answered in English.
 */
export function createTranslator(localesDir: string): Translator {
  const i18n = createInstance()
  const resources = Object.fromEntries(
    LOCALES.map((locale) => [
      locale,
      { translation: JSON.parse(readFileSync(join(localesDir, `${locale}.json`), 'utf8')) },
    ]),
  )
  void i18n.init({
    resources,
    lng: 'en',
    fallbackLng: 'en',
    supportedLngs: [...LOCALES],
    initAsync: false,
    interpolation: { escapeValue: false },
  })
  const texts = new Map(LOCALES.map((locale) => [locale, i18n.getFixedT(locale)]))
  const names = new Map(LOCALES.map((locale) => [locale, nativeName(locale)]))

  return {
    pick: pickLocale,
    translate: (locale) => (key, values) => texts.get(locale)?.(key, { ...values }) ?? key,
    direction: (locale) => i18n.dir(locale),
    nameOf: (locale) => names.get(locale) ?? locale,
  }
}

/** The first wish that names a language we have; English when none does. Never fails: hints are only hints. */
export function pickLocale({ uiLocales, cookie, acceptLanguage }: LanguageWishes): Locale {
  const wishes = [...(uiLocales ?? '').slice(0, 200).split(' '), cookie ?? '', ...byQuality(acceptLanguage ?? '')]
  for (const tag of wishes) {
    const language = tag.toLowerCase().split('-', 1)[0]
    const found = LOCALES.find((locale) => locale === language)
    if (found) return found
  }
  return 'en'
}

/** The tags of an Accept-Language header, best first (RFC 9110 section 12.5.4); refused ones (`q=0`) left out. */
function byQuality(header: string): string[] {
  return header
    .slice(0, 200)
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().split(';')
      const quality = parameters.map((parameter) => /^\s*q=([\d.]+)\s*$/.exec(parameter)?.[1]).find(Boolean)
      return { tag: tag.trim(), quality: quality === undefined ? 1 : Number(quality) }
    })
    .filter(({ quality }) => quality > 0)
    .sort((left, right) => right.quality - left.quality)
    .map(({ tag }) => tag)
}

function nativeName(locale: Locale): string {
  const name = new Intl.DisplayNames([locale], { type: 'language' }).of(locale) ?? locale
  return name.charAt(0).toLocaleUpperCase(locale) + name.slice(1)
}
