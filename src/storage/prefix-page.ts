/** Pages of what a person looks for by its beginning, in the order of that text; an index serves search and order alike. */
import {
  type Expression,
  type RawBuilder,
  type ReferenceExpression,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
} from 'kysely'

export interface PrefixPage {
  /** The beginning of the text, without regard to case; undefined for all. */
  search?: string | undefined
  /** The text, in lower case, and the id of the last row of the page before. */
  after?: { text: string; id: string } | undefined
  limit: number
}

/** Sorts behind every text that begins with the prefix: the last code point there is. */
const LAST = '\u{10FFFF}'

/** The bytes of the lower-cased text, as the search indexes have them. */
export const searchText = (column: string): RawBuilder<string> => sql<string>`lower(${sql.ref(column)}) collate "C"`

/** Whether the text in a column begins with another, without regard to case. */
export function beginsWith(column: string, search: string): Expression<SqlBool> {
  const text = searchText(column)
  return sql<SqlBool>`(${text} >= lower(${search}) collate "C" and ${text} < (lower(${search}) || ${LAST}) collate "C")`
}

/**
 * Narrows a query to one page, ordered by `column` and id.
 *
 * @param column a text column with an index over `(lower(column) collate "C", id)`
 */
export function prefixPage<DB, Table extends keyof DB, Row>(
  query: SelectQueryBuilder<DB, Table, Row>,
  { column, id = 'id', idType = 'uuid' }: { column: string; id?: string; idType?: 'uuid' | 'text' },
  { search, after, limit }: PrefixPage,
): SelectQueryBuilder<DB, Table, Row> {
  const text = searchText(column)
  const key = sql.ref(id) as unknown as ReferenceExpression<DB, Table>
  let page = query.orderBy(text).orderBy(sql.ref(id)).limit(limit)
  if (search !== undefined) page = page.where(beginsWith(column, search))
  if (after !== undefined) {
    const behind = sql`(${after.text} collate "C", ${after.id}::${sql.raw(idType)})`
    page = page.where(sql<SqlBool>`(${text}, ${key}) > ${behind}`)
  }
  return page
}

/** Where a page of several lists begins: behind a row of one of them. */
export interface TurnPage extends Omit<PrefixPage, 'after'> {
  after?: { turn: number; text: string; id: string } | undefined
}

/** An item, by which of the lists it was found, and what it is ordered by there. */
export interface Found<Item> {
  turn: number
  text: string
  item: Item
}

/**
 * One page of several lists, each in its own order, one behind the other: a list is read only once those before it have
 * ended, so a page costs no more than its rows.
 */
export async function inTurn<Item>(
  lists: readonly ((page: PrefixPage) => Promise<Omit<Found<Item>, 'turn'>[]>)[],
  { search, after, limit }: TurnPage,
): Promise<Found<Item>[]> {
  const found: Found<Item>[] = []
  for (const [turn, list] of lists.entries()) {
    if (found.length === limit || turn < (after?.turn ?? 0)) continue
    const behind = turn === after?.turn ? after : undefined
    const rows = await list({ search, limit: limit - found.length, after: behind })
    found.push(...rows.map((row) => ({ turn, ...row })))
  }
  return found
}
