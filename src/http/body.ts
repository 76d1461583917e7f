import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'

const FORM_LIMIT_BYTES = 16 * 1024
const JSON_LIMIT_BYTES = 64 * 1024
const MAX_FIELDS = 100

/**
 * Reads a posted form. A parameter given twice is refused (RFC 6749 section 3.1: "Request and response parameters MUST
 * NOT be included more than once").
 *
 * @returns the fields by name, in an object without prototype
 * @throws AppError bad_request (400), payload_too_large (413), unsupported_media_type (415)
 */
export async function readForm(ctx: Context, limitBytes = FORM_LIMIT_BYTES): Promise<Record<string, string>> {
  if (!ctx.is('application/x-www-form-urlencoded')) throw unsupported('application/x-www-form-urlencoded')
  return parseForm(await readText(ctx.req, limitBytes))
}

/** Reads a JSON body; the caller validates its shape. Throws as readForm does. */
export async function readJson(ctx: Context, limitBytes = JSON_LIMIT_BYTES): Promise<unknown> {
  if (!ctx.is('application/json')) throw unsupported('application/json')
  const text = await readText(ctx.req, limitBytes)
  try {
    return JSON.parse(text, refuseHostileText)
  } catch (cause) {
    throw cause instanceof AppError ? cause : new AppError('bad_request', 400, 'The body is not valid JSON.', { cause })
  }
}

/** Parses the text of an urlencoded form; for callers that read the body themselves. */
function parseForm(text: string): Record<string, string> {
  const fields: Record<string, string> = Object.create(null)
  let count = 0
  for (const [name, value] of new URLSearchParams(text)) {
    if (name in fields) throw new AppError('bad_request', 400, 'A parameter is given more than once.')
    if (++count > MAX_FIELDS) throw new AppError('bad_request', 400, 'The form has too many fields.')
    if (value.includes('\0')) throw new AppError('bad_request', 400, 'The form has invalid characters.')
    fields[name] = value
  }
  return fields
}

/** Reads at most `limitBytes` of a request as UTF-8, from a Koa or a bare request. */
export async function readText(request: IncomingMessage, limitBytes: number): Promise<string> {
  if (request.headers['content-encoding'] !== undefined && request.headers['content-encoding'] !== 'identity') {
    throw new AppError('unsupported_media_type', 415, 'Compressed bodies are not accepted.')
  }
  // Refused before reading: a caller who announces too much is not listened to.
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes)

  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length
    if (size > limitBytes) throw tooLarge(limitBytes)
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new AppError('bad_request', 400, 'The body is not valid UTF-8.', { cause })
  }
}

/**
 * Keys that reach for prototypes, texts that PostgreSQL cannot hold: a NUL, half of a surrogate pair; and numbers beyond
 * those of this program, which would be kept as null.
 */
function refuseHostileText(key: string, value: unknown): unknown {
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
    throw new AppError('bad_request', 400, 'The body has a forbidden key.')
  }
  for (const text of [key, value]) {
    if (typeof text === 'string' && (!text.isWellFormed() || text.includes('\0'))) {
      throw new AppError('bad_request', 400, 'The body has invalid characters.')
    }
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new AppError('bad_request', 400, 'The body has a number that is too large.')
  }
  return value
}

const tooLarge = (limitBytes: number) =>
  new AppError('payload_too_large', 413, `The body is larger than ${limitBytes} bytes.`)

const unsupported = (expected: string) => new AppError('unsupported_media_type', 415, `The body must be ${expected}.`)
