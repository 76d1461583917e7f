import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { createTranslator, LOCALES, pickLocale } from '../src/i18n.ts'

const localesDir = new URL('../views/locales', import.meta.url).pathname

/** The texts of a dictionary by their full key. */
function flatten(value: object, prefix = ''): Map<string, string> {
  return new Map(
    Object.entries(value).flatMap(([key, inner]) =>
      typeof inner === 'string' ? [[prefix + key, inner] as const] : [...flatten(inner, `${prefix}${key}.`)],
    ),
  )
}

const dictionaryOf = (locale: string) => flatten(JSON.parse(readFileSync(`${localesDir}/${locale}.json`, 'utf8')))
const PLURAL = /_(zero|one|two|few|many|other)$/

describe('dictionaries', () => {
  const english = dictionaryOf('en')
  const pluralKeys = new Set(
    [...english.keys()].filter((key) => PLURAL.test(key)).map((key) => key.replace(PLURAL, '')),
  )

  for (const locale of LOCALES) {
    const dictionary = dictionaryOf(locale)

    it(`of ${locale} has exactly the keys of English, with the plural forms of its own language`, () => {
      const { pluralCategories } = new Intl.PluralRules(locale).resolvedOptions()
      const expected = [...english.keys()].flatMap((key) => {
        const stem = key.replace(PLURAL, '')
        return pluralKeys.has(stem) ? pluralCategories.map((category) => `${stem}_${category}`) : [key]
      })
      expect([...dictionary.keys()].sort()).to.deep.equal([...new Set(expected)].sort())
    })

    it(`of ${locale} fills the same places in every text, and leaves none empty`, () => {
      for (const [key, text] of dictionary) {
        const original = english.get(key) ?? english.get(key.replace(PLURAL, '_other')) ?? ''
        expect(placesIn(text), key).to.deep.equal(placesIn(original))
        expect(text.trim(), key).to.equal(text).and.not.equal('')
      }
    })
  }

  it('are used up: every text of a page has a key, every key is on a page', () => {
    const views = readdirSync(`${localesDir}/..`).filter((name) => name.endsWith('.eta'))
    const templates = views.map((name) => readFileSync(`${localesDir}/../${name}`, 'utf8')).join('\n')
    const used = [...templates.matchAll(/it\.t\((['`])(.+?)\1/g)].map((match) => match[2] ?? '')
    for (const key of used.filter((name) => !name.includes('$'))) {
      expect(english.has(key) || pluralKeys.has(key), key).to.equal(true)
    }
    const patterns = used.map((key) => new RegExp(`^${key.replaceAll('.', '\\.').replaceAll(/\$\{[^}]+\}/g, '\\w+')}$`))
    // Those of mails are counted in test/mail/templates.test.ts.
    const unused = [...english.keys()].filter(
      (key) => !key.startsWith('mail.') && !patterns.some((pattern) => pattern.test(key.replace(PLURAL, ''))),
    )
    expect(unused).to.deep.equal([])
  })
})

describe('translator', () => {
  const translator = createTranslator(localesDir)

  it('speaks Russian plurals right', () => {
    const t = translator.translate('ru')
    const minutes = (count: number) => t('sign_in.error.rate_limited_hint', { count })
    expect([1, 3, 5, 11, 21, 22].map(minutes).map((text) => text.split(' ').slice(1, 3).join(' '))).to.deep.equal([
      '1 минуту',
      '3 минуты',
      '5 минут',
      '11 минут',
      '21 минуту',
      '22 минуты',
    ])
  })

  it('leaves escaping to the templates', () => {
    expect(translator.translate('en')('sign_in.cancel', { client: 'Ö & <b>' })).to.equal('Back to Ö & <b>')
  })

  it('fills no place from inside a value', () => {
    expect(translator.translate('en')('sign_in.cancel', { client: '{{client}} $t(error.title)' })).to.equal(
      'Back to {{client}} $t(error.title)',
    )
  })

  it('names languages in themselves', () => {
    expect(LOCALES.map(translator.nameOf)).to.deep.equal(['English', 'Русский'])
  })
})

describe('language choice', () => {
  it('follows ui_locales, then the cookie, then Accept-Language, then English', () => {
    expect(pickLocale({ uiLocales: 'ru', cookie: 'en', acceptLanguage: 'en' })).to.equal('ru')
    expect(pickLocale({ cookie: 'ru', acceptLanguage: 'en' })).to.equal('ru')
    expect(pickLocale({ acceptLanguage: 'ru' })).to.equal('ru')
    expect(pickLocale({})).to.equal('en')
  })

  it('falls back without a word for languages we do not have', () => {
    expect(pickLocale({ uiLocales: 'se' })).to.equal('en')
    expect(pickLocale({ uiLocales: 'se', acceptLanguage: 'ru' })).to.equal('ru')
    expect(pickLocale({ uiLocales: 'fr-CA fr ru-RU en' })).to.equal('ru')
    expect(pickLocale({ uiLocales: '../../etc/passwd', cookie: '<b>', acceptLanguage: ';;q=,' })).to.equal('en')
  })

  it('weighs Accept-Language by quality and skips what is refused', () => {
    expect(pickLocale({ acceptLanguage: 'en;q=0.5, ru;q=0.9' })).to.equal('ru')
    expect(pickLocale({ acceptLanguage: 'de, ru;q=0.4, en;q=0.3' })).to.equal('ru')
    expect(pickLocale({ acceptLanguage: 'ru;q=0, en;q=0.1' })).to.equal('en')
  })
})

const placesIn = (text: string): string[] => [...text.matchAll(/\{\{\w+\}\}/g)].map(String).sort()
