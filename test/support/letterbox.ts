/** The outbox and the mailer of one test: what was wished for lies in `intents`, what was sent in `letters`. */
import type { Intent, NewIntent } from '../../src/mail/intent.ts'
import type { Mailer } from '../../src/mail/mailer.ts'
import type { Outbox } from '../../src/mail/outbox.ts'

export interface Letter {
  to: string
  template: string
  locale: string | undefined
  data: Record<string, unknown>
}

export type Letterbox = ReturnType<typeof createLetterbox>

export function createLetterbox() {
  const intents: NewIntent[] = []
  const letters: Letter[] = []
  const enqueue: Outbox['add'] = async (_executor, intent) => void intents.push(intent)
  const send: Mailer['send'] = async ({ to, template, locale, data }) =>
    void letters.push({ to: to.address, template, locale, data: { ...data } })

  return {
    intents,
    letters,
    enqueue,
    send,
    /** Delivers what was wished for, as the worker does; kinds without a handler stay. */
    async deliver(handlers: Record<string, (intent: Intent) => Promise<void>>): Promise<void> {
      const kept: NewIntent[] = []
      for (const intent of intents.splice(0)) {
        const handler = handlers[intent.kind]
        if (handler) await handler(claimed(intent))
        else kept.push(intent)
      }
      intents.push(...kept)
    },
    /** The code of the newest letter to an address. */
    codeFor(address: string): string {
      const code = letters.findLast(({ to }) => to === address)?.data.code
      if (typeof code !== 'string') throw new Error(`No code was mailed to ${address}.`)
      return code
    },
  }
}

const claimed = ({ kind, email, accountId, data = {} }: NewIntent): Intent => ({
  id: 'an intent',
  kind,
  email,
  accountId,
  data,
  attempts: 1,
  createdAt: new Date(),
})
