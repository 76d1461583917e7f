/** Pages of what a person looks for by its beginning, in the order of that text; an index serves search and order alike. */
import { type Expression, type ReferenceExpression, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'

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
export const searchText = (column: string): Expression<string> => sql<string>`lower(${sql.ref(column)}) collate "C"`

/**
 * Narrows a query to one page, ordered by `column` and id.
 *
 * @param column a text column with an index over `(lower(column) collate "C", id)`
 */
export function prefixPage<DB, Table extends keyof DB, Row>(
  query: SelectQueryBuilder<DB, Table, Row>,
  { column, id = 'id' }: { column: string; id?: string },
  { search, after, limit }: PrefixPage,
): SelectQueryBuilder<DB, Table, Row> {
  const text = searchText(column)
  const key = sql.ref(id) as unknown as ReferenceExpression<DB, Table>
  let page = query.orderBy(text).orderBy(sql.ref(id)).limit(limit)
  if (search !== undefined) {
    page = page
      .where(sql<SqlBool>`${text} >= lower(${search}) collate "C"`)
      .where(sql<SqlBool>`${text} < (lower(${search}) || ${LAST}) collate "C"`)
  }
  if (after !== undefined) {
    page = page.where(sql<SqlBool>`(${text}, ${key}) > (${after.text} collate "C", ${after.id}::uuid)`)
  }
  return page
}
