/** A mailer over a given transport, as compose/core.ts builds it. */
import { createTranslator } from '../../src/i18n.ts'
import { createMailer } from '../../src/mail/mailer.ts'
import type { Transport } from '../../src/mail/message.ts'
import { createTemplates } from '../../src/mail/templates.ts'

const viewsDir = new URL('../../views', import.meta.url).pathname
const translator = createTranslator(`${viewsDir}/locales`)
const templates = createTemplates({ viewsDir, translator, issuer: 'https://id.example.test' })

export const mailerOver = (transport: Transport, from = 'Usher <no-reply@id.example.test>') =>
  createMailer({ transport, templates, translator, from })

/** A mail with a code to an address. */
export const codeFor = (address: string, locale?: string) => ({
  to: { address },
  template: 'reset-code' as const,
  locale,
  data: { code: '042917', lifeMinutes: 10 },
})
