/** Conditional requests (RFC 9110 section 13): a reader is spared what it has, and a writer cannot overwrite unseen. */
import { createHash } from 'node:crypto'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'

/** A strong validator of a representation. */
const etagOf = (representation: object): string =>
  `"${createHash('sha256').update(JSON.stringify(representation)).digest('base64url').slice(0, 27)}"`

/** Sends a representation with its validator; 304 where the caller has it already. */
export function sendWithEtag(ctx: Context, representation: object): void {
  ctx.set('ETag', etagOf(representation))
  ctx.set('Cache-Control', 'private, no-cache')
  ctx.status = 200
  if (ctx.fresh) ctx.status = 304
  else ctx.body = representation
}

/**
 * Refuses a change of what the caller has not seen. Without If-Match every state may be changed.
 * @throws AppError precondition_failed (412)
 */
export function checkIfMatch(ifMatch: string, representation: object): void {
  if (ifMatch === '' || ifMatch.trim() === '*') return
  // RFC 9110 section 13.1.1: "an origin server MUST use the strong comparison function", so W/ never matches.
  const seen = ifMatch.split(',').map((tag) => tag.trim())
  if (!seen.includes(etagOf(representation))) {
    throw new AppError('precondition_failed', 412, 'It has been changed since it was read. Read it again first.')
  }
}

/** Answers a creation: 201 with the object, where it is, and its validator. */
export function sendCreated(ctx: Context, path: string, representation: object): void {
  ctx.status = 201
  ctx.set('Location', path)
  ctx.set('ETag', etagOf(representation))
  ctx.set('Cache-Control', 'no-store')
  ctx.body = representation
}
