import type { Context } from 'koa'

/** Sends the browser on by GET, whatever it has posted (RFC 9110 section 15.4.4); nobody keeps the answer. */
export function seeOther(ctx: Context, url: string): void {
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(url)
}
