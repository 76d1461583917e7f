import type { Translator } from '../i18n.ts'
import { compose, type Recipient, type Sender, type Transport } from './message.ts'
import type { MailData, TemplateName, Templates } from './templates.ts'

export interface Mail<T extends TemplateName> {
  /** The stored address; exactly one. */
  to: Recipient
  template: T
  /** Language tag of the account (BCP 47); English when we do not have it. */
  locale: string | undefined
  data: MailData[T]
}

export interface MailerDeps {
  transport: Transport
  templates: Templates
  translator: Pick<Translator, 'pick'>
  /** As in a From header: `Usher <no-reply@example.org>`. */
  from: string
}

export type Mailer = ReturnType<typeof createMailer>

/** Writes and sends mail. Called by the outbox's handlers only: no request waits for a mail server. */
export function createMailer({ transport, templates, translator, from }: MailerDeps) {
  const sender = senderOf(from)

  return {
    /**
     * Resolves when the mail server, or the folder, has taken the mail.
     * @throws Undeliverable when no later attempt can succeed, Unavailable when one may
     */
    async send<T extends TemplateName>({ to, template, locale, data }: Mail<T>): Promise<void> {
      const language = translator.pick({ uiLocales: locale })
      const rendered = templates.render(template, language, data)
      await transport.deliver(await compose({ from: sender, to, language, ...rendered }))
    },

    close: () => transport.close(),
  }
}

/** The settings have checked the form. */
function senderOf(from: string): Sender {
  const { name = '', address = from } = /^(?<name>.*?)\s*<(?<address>[^<>]+)>$/.exec(from)?.groups ?? {}
  return { name, address }
}
