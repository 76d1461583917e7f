import { timingSafeEqual } from 'node:crypto'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import { createKeyedDigest } from '../keyed-digest.ts'

export interface Csrf {
  /** The value for the hidden field of a form. `binding` names what the form acts on, such as interaction and session. */
  token(binding: string): string
  /** Throws `forbidden` (403) unless the post came from our own page with the token of this binding. */
  check(ctx: Context, binding: string, presented: unknown): void
}

/**
 * Cross-site request forgery guard of HTML forms, which works without JavaScript: a keyed token bound to what the form
 * acts on, and the browser's own word about where the post came from.
 *
 * @param secret at least 256 bits, for this purpose only
 */
export function createCsrf({ secret, issuer }: { secret: string; issuer: string }): Csrf {
  const { origin } = new URL(issuer)
  const digest = createKeyedDigest(secret, 'csrf')

  return {
    token: (binding) => digest(binding).toString('base64url'),
    check(ctx, binding, presented) {
      if (!isSameOrigin(ctx, origin)) throw refusal('the browser named another origin')
      const given = Buffer.from(typeof presented === 'string' ? presented : '', 'base64url')
      const expected = digest(binding)
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw refusal('wrong token')
    },
  }
}

/**
 * Fetch Metadata decides where the browser sends it. Otherwise Origin does, except for `null`: under our
 * `Referrer-Policy: no-referrer` a browser sends it with our own forms too, and then the token alone decides.
 */
function isSameOrigin(ctx: Context, origin: string): boolean {
  const site = ctx.get('Sec-Fetch-Site')
  if (site) return site === 'same-origin'
  const named = ctx.get('Origin')
  return named === '' || named === 'null' || named === origin
}

function refusal(detail: string): AppError {
  return new AppError('forbidden', 403, 'This form is no longer valid. Go back, reload the page and try again.', {
    detail,
  })
}
