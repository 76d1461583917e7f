/** What lists and links answer: the same in every room. */
import type { Context } from 'koa'
import { type CursorValue, pageOf } from './pagination.ts'

/** Sends one page of a list, each item as `present` shows it. */
export function sendPage<T>(
  ctx: Context,
  { items, next }: { items: readonly T[]; next: readonly CursorValue[] | undefined },
  present: (item: T) => object,
): void {
  ctx.set('Cache-Control', 'no-store')
  ctx.body = pageOf(items.map(present), next)
}

/** Sends what a link was made to: 201 when the link is new, 200 when it was there already. */
export function sendLinked<T>(
  ctx: Context,
  { linked, isNew }: { linked: T; isNew: boolean },
  present: (item: T) => object,
): void {
  ctx.status = isNew ? 201 : 200
  ctx.set('Cache-Control', 'no-store')
  ctx.body = present(linked)
}
