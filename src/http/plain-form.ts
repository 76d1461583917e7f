/** Forms of the ordinary kind, read so that the chain can still read them when somebody looked and passed them on. */
import type { IncomingMessage } from 'node:http'

const LIMIT_BYTES = 8 * 1024
const TYPE = /^application\/x-www-form-urlencoded(?:;\s*charset=utf-8)?$/i
/** What needs no thought: every other reader of forms reads it the same way. */
const PLAIN = /^(?:[\w.~*&=+:-]|%[0-9A-Fa-f]{2})+$/

export interface PlainForm {
  fields: ReadonlyMap<string, string>
  /** Puts the body back, for whoever reads the request next. */
  unread(): void
}

/**
 * The fields of a small form that arrives in one piece, each once. Undefined for everything else, whose body is left as it
 * was.
 */
export async function readPlainForm(request: IncomingMessage): Promise<PlainForm | undefined> {
  const { headers } = request
  const length = Number(headers['content-length'])
  if (!(length > 0 && length <= LIMIT_BYTES) || headers['transfer-encoding'] !== undefined) return undefined
  if (headers['content-encoding'] !== undefined || !TYPE.test(headers['content-type'] ?? '')) return undefined
  const body = await whole(request, length)
  if (!body) return undefined
  const fields = parsed(body.toString('latin1'))
  const unread = () => request.unshift(body)
  if (fields) return { fields, unread }
  unread()
  return undefined
}

/** The body once all of it is there; undefined when the request ends before. */
function whole(request: IncomingMessage, length: number): Promise<Buffer | undefined> {
  const now: unknown = request.read(length)
  if (Buffer.isBuffer(now)) return Promise.resolve(now)
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>()
  const done = (body: Buffer | undefined) => {
    request.off('readable', look).off('end', ended).off('close', ended).off('error', ended)
    resolve(body)
  }
  const look = () => {
    const body: unknown = request.read(length)
    if (Buffer.isBuffer(body)) done(body)
  }
  const ended = () => done(undefined)
  request.on('readable', look).on('end', ended).on('close', ended).on('error', ended)
  return promise
}

/** Undefined for a repeated name, an empty one, and what is not plain. */
function parsed(text: string): Map<string, string> | undefined {
  if (!PLAIN.test(text)) return undefined
  const fields = new Map<string, string>()
  for (const pair of text.split('&')) {
    const mark = pair.indexOf('=')
    const name = pair.slice(0, mark)
    if (mark < 1 || fields.has(name) || /[%+]/.test(name)) return undefined
    const value = decoded(pair.slice(mark + 1))
    if (value === undefined) return undefined
    fields.set(name, value)
  }
  return fields
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
