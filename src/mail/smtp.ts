import type { SMTPPoolOptions, Transporter } from 'nodemailer'
import { Unavailable } from '../errors.ts'
import type { Parcel, Transport } from './message.ts'
import { Undeliverable } from './undeliverable.ts'

const DEADLINE_MS = 10_000

/**
 * Hands mail to the server of an smtps: or smtp: URL over a few lasting connections, each message within 10 s.
 * smtp: begins in the clear, upgrades by STARTTLS when the server offers it, and insists on it before any password.
 */
export function createSmtp(url: string, { deadlineMs = DEADLINE_MS } = {}): Transport {
  let transporter: Promise<Transporter> | undefined

  return {
    async deliver({ from, to, raw }: Parcel) {
      transporter ??= connect(url, deadlineMs)
      try {
        await (await transporter).sendMail({
          envelope: { from: { name: '', address: from }, to: [{ name: '', address: to }] },
          raw,
          signal: AbortSignal.timeout(deadlineMs),
        })
      } catch (error) {
        throw faultOf(error)
      }
    },

    async close() {
      // By force: whoever waits for a delivery has waited for it before closing.
      ;(await transporter)?.close({ force: true })
    },
  }
}

async function connect(url: string, deadlineMs: number): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  return createTransport({ ...serverOf(url), ...limits(deadlineMs), pool: true })
}

/** Read here, not by the library: there the query of the URL could set any of its options. */
function serverOf(url: string): SMTPPoolOptions {
  const { protocol, hostname, port, username, password } = new URL(url)
  const secure = protocol === 'smtps:'
  const hasLogin = username !== ''
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (secure ? 465 : 587),
    secure,
    requireTLS: !secure && hasLogin,
    ...(hasLogin ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
  }
}

const limits = (deadlineMs: number): SMTPPoolOptions => ({
  maxConnections: 5,
  // The outbox repeats; a library that repeats by itself would send twice behind its back.
  maxRequeues: 0,
  connectionTimeout: deadlineMs,
  greetingTimeout: deadlineMs,
  socketTimeout: deadlineMs,
  dnsTimeout: deadlineMs,
  disableFileAccess: true,
  disableUrlAccess: true,
})

/** RFC 3463 section 3.2, permanent: the mailbox or its host does not exist. Policies and quotas may change by tomorrow. */
const NO_SUCH_ADDRESS = /^5\d\d[ -]5\.1\.[123]\b/

/** Errors of the library quote the server, who quotes the address: what goes on names the kind of fault alone. */
function faultOf(error: unknown): Error {
  const { code, response, responseCode } = wordsOf(error)
  if (NO_SUCH_ADDRESS.test(response)) return new Undeliverable('The mail server knows no such address.')
  const status = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})/.exec(response)?.[1]
  return new Unavailable(`the mail server (${[code, responseCode, status].filter(Boolean).join(' ')})`)
}

function wordsOf(error: unknown): { code: string; response: string; responseCode: string } {
  const fields: Record<string, unknown> = error instanceof Error ? { ...error } : {}
  const { originalCode, code = 'failed', response = '', responseCode = '' } = fields
  return { code: String(originalCode ?? code), response: String(response), responseCode: String(responseCode) }
}
