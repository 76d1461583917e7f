/** Lists as the rooms give them, page by page, for commands that want all of it. */
import type { PrefixPage } from '../storage/prefix-page.ts'

interface Keyed {
  id: string
  key: string
}

const LIMIT = 100

/** All items of a list that is ordered by keys, or those whose key begins with a text. */
export async function everyByKey<T extends Keyed>(
  list: (page: PrefixPage) => Promise<{ items: T[]; next: unknown }>,
  search?: string,
): Promise<T[]> {
  const all: T[] = []
  for (let after: PrefixPage['after']; ; ) {
    const { items, next } = await list({ search, after, limit: LIMIT })
    all.push(...items)
    const last = items.at(-1)
    if (next === undefined || last === undefined) return all
    after = { text: last.key.toLowerCase(), id: last.id }
  }
}

/** All items of a list whose next page begins behind the last item of the one before. */
export async function everyAfter<T>(
  list: (page: { after?: string; limit: number }) => Promise<readonly T[]>,
  positionOf: (item: T) => string,
): Promise<T[]> {
  const all: T[] = []
  for (let last: T | undefined; ; ) {
    const page = await list({ limit: LIMIT, ...(last === undefined ? {} : { after: positionOf(last) }) })
    all.push(...page)
    last = page.at(-1)
    if (last === undefined || page.length < LIMIT) return all
  }
}
