/** What each mail says. The words are in the dictionaries under `mail.`, the form in views/mail/letter.{txt,html}.eta. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Eta } from 'eta'
import type { Locale, Translate, Translator } from '../i18n.ts'

/** What each template needs. Nothing but a code ever reaches the subject. */
export interface MailData {
  'registration-code': CodeData
  'registration-notice': Record<string, never>
  'reset-code': CodeData
  'password-changed': { at: Date }
  'email-change-code': CodeData
  'email-change-notice': { newAddress: string; at: Date }
}

interface CodeData {
  code: string
  lifeMinutes: number
}

export type TemplateName = keyof MailData

/** One mail as the views print it: each part that is there, in this order. */
interface Letter {
  paragraphs: string[]
  code?: string
  facts?: { name: string; value: string }[]
  link?: { label: string; url: string }
  notes: string[]
}

export interface RenderedMail {
  subject: string
  text: string
  html: string
}

export interface TemplatesDeps {
  viewsDir: string
  translator: Pick<Translator, 'translate' | 'direction'>
  /** Every link of every mail begins with it. */
  issuer: string
}

export type Templates = ReturnType<typeof createTemplates>

export function createTemplates({ viewsDir, translator, issuer }: TemplatesDeps) {
  const eta = new Eta({ autoTrim: false })
  // Text is text: escaping is for HTML alone.
  const plain = new Eta({ autoEscape: false, autoTrim: [false, 'nl'] })
  const html = eta.compile(readFileSync(join(viewsDir, 'mail/letter.html.eta'), 'utf8'))
  const text = plain.compile(readFileSync(join(viewsDir, 'mail/letter.txt.eta'), 'utf8'))
  const { host } = new URL(issuer)

  return {
    render<T extends TemplateName>(template: T, locale: Locale, data: MailData[T]): RenderedMail {
      const t = translator.translate(locale)
      const own: Translate = (key, values) => t(`mail.${template.replaceAll('-', '_')}.${key}`, values)
      const shown = {
        ...WRITERS[template](data, { t, own, locale, issuer, host }),
        subject: own('subject', 'code' in data ? { code: safeCode(data.code) } : {}),
        heading: own('heading'),
        sender: t('mail.sender', { host }),
        lang: locale,
        dir: translator.direction(locale),
      }
      return { subject: shown.subject, text: plain.render(text, shown).trim(), html: eta.render(html, shown) }
    },
  }
}

interface Pen {
  t: Translate
  /** Texts of the template itself. */
  own: Translate
  locale: Locale
  issuer: string
  host: string
}

const WRITERS: { [T in TemplateName]: (data: MailData[T], pen: Pen) => Letter } = {
  'registration-code': writeCode,
  'reset-code': writeCode,
  'email-change-code': writeCode,
  'registration-notice': (_data, { own, issuer }) => ({
    paragraphs: [own('text')],
    link: { label: own('link'), url: `${issuer}/recover` },
    notes: [own('note')],
  }),
  'password-changed': ({ at }, pen) => ({
    paragraphs: [pen.own('text')],
    facts: [factOf('at', inWords(at, pen.locale), pen)],
    link: { label: pen.own('link'), url: `${pen.issuer}/recover` },
    notes: [pen.own('note')],
  }),
  'email-change-notice': ({ newAddress, at }, pen) => ({
    paragraphs: [pen.own('text')],
    facts: [factOf('new_address', newAddress, pen), factOf('at', inWords(at, pen.locale), pen)],
    link: { label: pen.own('link'), url: `${pen.issuer}/recover` },
    notes: [pen.own('note')],
  }),
}

function writeCode({ code, lifeMinutes }: CodeData, { t, own, host }: Pen): Letter {
  return {
    paragraphs: [own('text')],
    code: safeCode(code),
    notes: [t('mail.code_life', { count: lifeMinutes }), t('mail.code_place', { host }), own('note')],
  }
}

/** The code stands in the subject, where no text of a stranger may stand. */
function safeCode(code: string): string {
  if (!/^[\w-]{6,64}$/.test(code)) throw new TypeError('This is not a code.')
  return code
}

/** A fact may be what a stranger has typed: one line, of bounded length. */
const factOf = (name: string, value: string, { t }: Pen) => ({
  name: t(`mail.fact.${name}`),
  value: value
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, 200),
})

const inWords = (at: Date, locale: Locale): string =>
  new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(at).concat(' UTC')
