import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { createTranslator, LOCALES, type Locale } from '../../src/i18n.ts'
import { createTemplates, type MailData, type TemplateName } from '../../src/mail/templates.ts'

const viewsDir = new URL('../../views', import.meta.url).pathname
const translator = createTranslator(`${viewsDir}/locales`)
const issuer = 'https://id.example.test'

const at = new Date('2026-03-04T05:06:07Z')
const code = { code: '042917', lifeMinutes: 10 }
const samples: MailData = {
  'registration-code': code,
  'registration-notice': {},
  'reset-code': code,
  'password-changed': { at },
  'email-change-code': code,
  'email-change-notice': { newAddress: 'new@example.test', at },
}
const names = Object.keys(samples) as TemplateName[] // the keys of an object literal of that type

/** Every dictionary key asked for while `work` runs. */
function keysUsed(work: (templates: ReturnType<typeof createTemplates>) => void): Set<string> {
  const used = new Set<string>()
  const listening = {
    direction: translator.direction,
    translate: (locale: Locale) => (key: string, values?: Readonly<Record<string, string | number>>) => {
      used.add(key)
      return translator.translate(locale)(key, values)
    },
  }
  work(createTemplates({ viewsDir, translator: listening, issuer }))
  return used
}

const renderAll = (templates: ReturnType<typeof createTemplates>) =>
  names.flatMap((name) => LOCALES.map((locale) => ({ name, locale, ...templates.render(name, locale, samples[name]) })))

describe('mail templates', () => {
  const templates = createTemplates({ viewsDir, translator, issuer })

  for (const { name, locale, subject, text, html } of renderAll(templates)) {
    it(`${name} in ${locale} is complete as text and as HTML`, () => {
      for (const part of [subject, text, html]) {
        expect(part).not.to.match(/mail\.\w|undefined|\[object|\{\{|\}\}|&amp;/)
      }
      expect(text)
        .to.include('id.example.test')
        .and.not.match(/\n{3}|[ \t]\n(?!Sent|Отпр)|<\w/)
      expect(html).to.include(`<html lang="${locale}" dir="ltr">`).and.include('id.example.test')
      expect(/[а-яё]/i.test(subject + text)).to.equal(locale === 'ru')
    })

    it(`${name} in ${locale} loads nothing, follows nobody and can be read in the dark`, () => {
      expect(html).not.to.match(/<img|<script|<link|<iframe|\bsrc=|url\(|@import|@font-face/i)
      expect([...html.matchAll(/href="([^"]+)"/g)].every(([, url]) => url?.startsWith(`${issuer}/`))).to.equal(true)
      expect(html).to.include('prefers-color-scheme: dark').and.include('content="light dark"')
    })
  }

  for (const name of names.filter((name) => name.endsWith('-code'))) {
    it(`${name} begins its subject with the code, and says where it belongs and for how long`, () => {
      for (const locale of LOCALES) {
        const { subject, text, html } = templates.render(name, locale, samples[name])
        expect(subject).to.match(/^042917\b/)
        expect(text)
          .to.include('\n    042917\n')
          .and.match(/10 (minutes|минут)/)
        expect(html).to.match(/>042917<\/p>/)
      }
    })
  }

  it('use every text of the dictionary, and only texts that are there', () => {
    const flatten = (value: object, prefix: string): string[] =>
      Object.entries(value).flatMap(([key, inner]) =>
        typeof inner === 'string' ? [prefix + key] : flatten(inner, `${prefix}${key}.`),
      )
    const english = JSON.parse(readFileSync(`${viewsDir}/locales/en.json`, 'utf8'))
    const there = new Set(flatten(english.mail, 'mail.').map((key) => key.replace(/_(one|other)$/, '')))
    expect([...keysUsed(renderAll)].sort()).to.deep.equal([...there].sort())
  })

  it('print what a stranger wrote as one bounded line of text, never as HTML', () => {
    const newAddress = `<b onload=x>"&\r\nBcc: evil@example.test\u2028${'x'.repeat(5_000)}`
    const { subject, text, html } = templates.render('email-change-notice', 'en', { at, newAddress })
    expect(subject).to.equal('The address of your account is about to change')
    expect(text).to.include('New address: <b onload=x>"& Bcc: evil@example.test x').and.not.match(/^Bcc/m)
    expect(html).to.include('&lt;b onload=x&gt;&quot;&amp; Bcc').and.not.include('<b onload')
    expect(text.length).to.be.lessThan(1_500)
  })

  it('fill no place from inside a value', () => {
    const newAddress = '{{host}} $t(mail.sender)'
    const { text } = templates.render('email-change-notice', 'en', { at, newAddress })
    expect(text).to.include(`New address: ${newAddress}`)
  })

  it('refuse to put anything but a code into the subject', () => {
    for (const odd of ['', '12 34 56', '123456\r\nBcc: evil@example.test', 'hello!!', 'x'.repeat(65)]) {
      expect(() => templates.render('reset-code', 'en', { code: odd, lifeMinutes: 10 })).to.throw(TypeError)
    }
  })
})
