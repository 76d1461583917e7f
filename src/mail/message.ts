/** A finished message, and the MIME it is sent as. */
import { Undeliverable } from './undeliverable.ts'

/** One recipient by its address alone: a display name would be a stranger's text in a header field. */
export interface Recipient {
  address: string
}

export interface Sender {
  name: string
  address: string
}

export interface Message {
  from: Sender
  to: Recipient
  subject: string
  text: string
  html: string
  /** Content-Language. */
  language: string
}

/** What a transport carries: finished bytes, and who they go to, as the envelope says it. */
export interface Parcel {
  from: string
  to: string
  raw: Buffer
}

export interface Transport {
  /**
   * Resolves when the message has been taken over.
   * @throws Undeliverable when no later attempt can succeed, Unavailable otherwise
   */
  deliver(parcel: Parcel): Promise<void>
  close(): Promise<void>
}

/** Nothing in it that a mail library could read as a list, a route, a display name, a quoted string or a second line. */
const ONE_ADDRESS = /^[\w!#$%&'*+/=?^`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}$/

/**
 * Writes the MIME of a message.
 * @throws Undeliverable when it would go to anybody but its one recipient
 */
export async function compose({ from, to, subject, text, html, language }: Message): Promise<Parcel> {
  if (!ONE_ADDRESS.test(to.address)) throw new Undeliverable('The recipient is not one plain address.')
  // Loaded when the first mail is written: most commands and many processes never write one.
  const { createTransport } = await import('nodemailer')
  const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
  const { message, envelope } = await composer.sendMail({
    from,
    // Measured: given as a string, an address with a comma or a line break reaches two people.
    to: { name: '', address: to.address },
    subject,
    text,
    html,
    // RFC 3834 section 5: nobody's holiday notice need answer this.
    headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': language },
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  if (!Buffer.isBuffer(message)) throw new TypeError('The message was not composed into a buffer.')
  if (!isExactly(envelope.to, to.address)) throw new Undeliverable('The envelope is not the recipient.')
  return { from: from.address, to: to.address, raw: message }
}

/** Host names are the same in any case (RFC 5321 section 2.4), and the library writes them in small letters. */
function isExactly(recipients: readonly string[], address: string): boolean {
  const at = address.lastIndexOf('@')
  const written = address.slice(0, at) + address.slice(at).toLowerCase()
  return recipients.length === 1 && (recipients[0] === address || recipients[0] === written)
}
