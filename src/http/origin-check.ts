import type { Context } from 'koa'
import { AppError } from '../errors.ts'

/**
 * For requests that a browser's cookie makes strong: they must come from our own pages, and say so. Fetch Metadata
 * decides where the browser sends it, else Origin; a request with neither is refused, because there is no token in it
 * that could speak for it as in a form.
 *
 * @throws AppError forbidden (403)
 */
export function requireOwnOrigin(ctx: Context, origin: string): void {
  const site = ctx.get('Sec-Fetch-Site')
  const isOwn = site ? site === 'same-origin' : ctx.get('Origin') === origin
  if (!isOwn) throw foreign()
}

/** The same for requests without a cookie yet, as a sign-in that sets one: what names another origin is refused. */
export function refuseForeignOrigin(ctx: Context, origin: string): void {
  if (ctx.get('Sec-Fetch-Site') || ctx.get('Origin')) requireOwnOrigin(ctx, origin)
}

const foreign = () =>
  new AppError('forbidden', 403, 'This request does not come from a page of this server.', {
    detail: 'wrong or missing Origin and Sec-Fetch-Site',
  })
