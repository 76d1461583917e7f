/**
 * Creations that may be repeated: with an `Idempotency-Key` the first answer is kept and given again, so that a caller who
 * lost it does not create twice. Answers may hold a secret that is shown once, so they are kept sealed with the caller's key.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type { Actor } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { createKeyedDigest } from '../keyed-digest.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'

export interface IdempotencyDeps {
  ephemeral: Pick<Ephemeral, 'get' | 'put' | 'swap' | 'remove'>
  secret: string
}

export interface Attempt {
  route: string
  actor: Actor
  /** All that makes this request differ from another one of the same route. */
  body: unknown
}

/** Does the work unless its answer is kept already. Throws conflict (409) and bad_request (400). */
export type Idempotency = (ctx: Context, attempt: Attempt, work: () => Promise<void>) => Promise<void>

const KEPT_SECONDS = 24 * 60 * 60
/** How long an attempt may take; a process that died meanwhile holds a key no longer. */
const ATTEMPT_SECONDS = 60
/** What is left of an attempt that failed: nothing was created, so the key is free. */
const FREED = 'f'
const KEY = /^[\x21-\x7e]{8,200}$/
const HEADERS = ['ETag', 'Location', 'Cache-Control', 'Content-Type']

interface Kept {
  status: number
  headers: Record<string, string>
  body: unknown
}

export function createIdempotency({ ephemeral, secret }: IdempotencyDeps): Idempotency {
  const mac = createKeyedDigest(secret)

  /** Takes the key for one attempt; answers what is there when somebody else has it. */
  async function take(key: string, pending: string): Promise<{ isTaken: boolean; found?: string | undefined }> {
    const life = { ttlSeconds: ATTEMPT_SECONDS }
    if (await ephemeral.put(key, pending, { ...life, ifAbsent: true })) return { isTaken: true }
    const [found] = await ephemeral.get([key])
    if (found !== undefined && found !== FREED) return { isTaken: false, found }
    return { isTaken: await ephemeral.swap(key, found, pending, life) }
  }

  return async function once(ctx, { route, actor, body }, work) {
    const given = ctx.get('Idempotency-Key')
    if (given === '') return work()
    if (!KEY.test(given))
      throw new AppError('bad_request', 400, 'The Idempotency-Key must be 8 to 200 visible characters.')
    const name = [route, actor.kind, actor.id ?? '', given]
    const key = `ik:${mac('name', ...name).toString('base64url')}`
    const seal = mac('seal', ...name)
    // Keyed: a body may hold a password, which a dictionary would find behind a plain digest.
    const request = mac('request', ...name, JSON.stringify(body ?? null)).toString('base64url')
    const pending = `p ${request} ${randomBytes(9).toString('base64url')}`
    const { isTaken, found } = await take(key, pending)
    if (!isTaken) return repeat(ctx, found, request, seal)
    // Neither may hide what has happened: where the store is gone the key frees itself.
    const leave = (value: string, ttlSeconds: number) =>
      ephemeral.swap(key, pending, value, { ttlSeconds }).catch(() => false)
    try {
      await work()
    } catch (error) {
      await leave(FREED, 1)
      throw error
    }
    await leave(`d ${request} ${sealed(answerOf(ctx), seal)}`, KEPT_SECONDS)
  }
}

function repeat(ctx: Context, found: string | undefined, request: string, seal: Buffer): void {
  const [state, digest, text] = (found ?? '').split(' ')
  if (state === 'd' || state === 'p') {
    if (digest !== request) throw conflict('This Idempotency-Key was used with another body.')
    if (state === 'd' && text !== undefined) {
      answer(ctx, opened(text, seal))
      return
    }
  }
  throw conflict('A request with this Idempotency-Key is being worked on. Ask again shortly.', 1)
}

function answerOf(ctx: Context): Kept {
  const headers = HEADERS.map((name) => [name, ctx.response.get(name)]).filter(([, value]) => value !== '')
  return { status: ctx.status, headers: Object.fromEntries(headers), body: ctx.body }
}

function answer(ctx: Context, { status, headers, body }: Kept): void {
  ctx.status = status
  ctx.body = body
  ctx.set(headers)
  ctx.set('Idempotent-Replayed', 'true')
}

function sealed(kept: Kept, key: Buffer): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const text = Buffer.concat([cipher.update(JSON.stringify(kept), 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64url')
}

function opened(text: string, key: Buffer): Kept {
  const bytes = Buffer.from(text, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
  decipher.setAuthTag(bytes.subarray(12, 28))
  return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')) as Kept
}

const conflict = (message: string, retryAfterSeconds?: number) =>
  new AppError('conflict', 409, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
