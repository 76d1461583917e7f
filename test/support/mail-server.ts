/** A real mail server on loopback that keeps what it is given, and refuses or stalls when a test says so. */
import { once } from 'node:events'
import PostalMime from 'postal-mime'
import { SMTPServer } from 'smtp-server'

export interface ReceivedMail {
  /** Of the envelope: who the mail really goes to. */
  from: string
  to: string[]
  /** Of the message. */
  subject: string
  text: string
  html: string
  raw: string
  headers: { key: string; value: string }[]
}

export interface MailServer {
  /** Ready for USHER_SMTP_URL. */
  url: string
  port: number
  /** Everything taken so far, in order. */
  mails: ReceivedMail[]
  /** Every RCPT TO heard, also of mail that was refused. */
  recipients: string[]
  /** Waits until there are `count` mails and answers the last of them. */
  received(count?: number): Promise<ReceivedMail>
  /** What the server answers to RCPT TO or after DATA from now on: undefined takes the mail. */
  refuse: { recipient?: string | undefined; data?: string | undefined }
  /** Resolves when DATA may be answered; the server stalls until then. */
  stall: Promise<unknown> | undefined
  close(): Promise<void>
}

export interface MailServerOptions {
  /** A fixed one, for a server that comes back where it was. */
  port?: number
  /** Encrypted with a certificate that nobody vouches for, from the start or on demand. */
  tls?: 'smtps' | 'starttls'
}

export async function startMailServer({ port = 0, tls }: MailServerOptions = {}): Promise<MailServer> {
  const mails: ReceivedMail[] = []
  const recipients: string[] = []
  const waiting = new Set<() => void>()
  const smtp = new SMTPServer({
    authOptional: true,
    secure: tls === 'smtps',
    disabledCommands: tls === 'starttls' ? ['AUTH'] : ['STARTTLS', 'AUTH'],
    logger: false,
    disableReverseLookup: true,
    closeTimeout: 200,
    onRcptTo({ address }, _session, done) {
      recipients.push(address)
      done(refusal(server.refuse.recipient))
    },
    async onData(stream, { envelope }, done) {
      const raw = Buffer.concat(await stream.toArray())
      await server.stall
      if (server.refuse.data !== undefined) return done(refusal(server.refuse.data))
      const { subject = '', text = '', html = '', headers } = await PostalMime.parse(raw)
      const { mailFrom, rcptTo } = envelope
      const from = mailFrom === false ? '' : mailFrom.address
      mails.push({ from, to: rcptTo.map(({ address }) => address), subject, text, html, raw: String(raw), headers })
      done()
      for (const look of waiting) look()
    },
  })
  smtp.on('error', () => {}) // a client that hangs up
  const listener = smtp.listen(port, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const server: MailServer = {
    url: `${tls === 'smtps' ? 'smtps' : 'smtp'}://127.0.0.1:${address.port}`,
    port: address.port,
    mails,
    recipients,
    refuse: {},
    stall: undefined,
    async received(count = 1) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const look = () => mails.length >= count && resolve()
      waiting.add(look)
      look()
      await promise
      waiting.delete(look)
      const last = mails.at(count - 1)
      if (!last) throw new Error('no mail')
      return last
    },
    close: () => new Promise((resolve) => smtp.close(() => resolve())),
  }
  return server
}

/** "450 4.2.1 try later" as the error that smtp-server answers with. */
function refusal(answer: string | undefined): Error | null {
  if (answer === undefined) return null
  const [code = '', ...words] = answer.split(' ')
  return Object.assign(new Error(words.join(' ')), { responseCode: Number(code) })
}
