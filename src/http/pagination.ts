import { AppError } from '../errors.ts'
import { isUuid } from '../ids.ts'

/** Where a page begins, as it was told with the page before: texts and whole numbers. */
export type CursorValue = string | number

/** What a list is asked for. */
export interface Page {
  limit: number
  cursor: CursorValue[] | undefined
  /** What the items begin with. */
  search: string | undefined
}

const MAX_LIMIT = 100
const MAX_SEARCH = 200
const DEFAULT_LIMIT = 20
const MAX_CURSOR = 512

const PAGE_PARAMETERS = ['limit', 'cursor', 'search']

/**
 * Reads `?limit=&cursor=`, and `search` where the list has one.
 * @throws AppError bad_request (400), also for a cursor this server has not made
 */
export function readPageOf(
  query: Record<string, unknown>,
  { cursor: kinds, search: meaning }: { cursor: readonly ('string' | 'number')[]; search?: string },
): Page {
  const { limit, cursor, search } = query
  if (search !== undefined && meaning === undefined) throw fault('/search', 'is not known here')
  if (search !== undefined && !(isText(search) && search.length <= MAX_SEARCH))
    throw fault('/search', 'is not a text to look for')
  return {
    limit: limitOf(limit),
    cursor: readCursor(cursor, kinds),
    search: typeof search === 'string' && search !== '' ? search : undefined,
  }
}

/** The rest of a query. */
export const withoutPage = (query: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(query).filter(([name]) => !PAGE_PARAMETERS.includes(name)))

/** What the cursor of a list in the order of keys and ids holds. */
export const KEY_CURSOR = ['string', 'string'] as const

/**
 * A page of a list in the order of keys and ids, as storage/prefix-page.ts takes it.
 * @throws AppError bad_request (400) for a cursor this server has not made
 */
export function keyPageOf({ limit, cursor, search }: Page) {
  if (!cursor) return { limit, search, after: undefined }
  return { limit, search, after: { text: String(cursor[0]), id: uuidOf(cursor[1]) } }
}

/** A UUID of a cursor. Throws bad_request (400) when it is none. */
export function uuidOf(value: CursorValue | undefined): string {
  if (!isUuid(value)) throw foreignCursor()
  return value
}

/** The first `limit` of the `limit + 1` rows that were read in the order of keys and ids. */
export const onePageByKey = <T extends { key: string; id: string }>(rows: readonly T[], limit: number) =>
  onePage(rows, limit, (last) => [last.key.toLowerCase(), last.id])

/** The first `limit` of the `limit + 1` rows that were read, and where the next page begins. */
export function onePage<T>(rows: readonly T[], limit: number, cursorOf: (last: T) => CursorValue[]) {
  const items = rows.slice(0, limit)
  const last = rows.length > limit ? items.at(-1) : undefined
  return { items, next: last && cursorOf(last) }
}

/** A cursor by itself, for pages; undefined for the first page. Throws bad_request (400). */
export const readCursor = (cursor: unknown, kinds: readonly ('string' | 'number')[]): CursorValue[] | undefined =>
  cursor === undefined ? undefined : cursorOf(cursor, kinds)

export const cursorFor = (values: readonly CursorValue[]): string =>
  Buffer.from(JSON.stringify(values)).toString('base64url')

/** A page as it is sent; without a next one `next_cursor` is null. */
export const pageOf = <T>(items: readonly T[], next: readonly CursorValue[] | undefined) => ({
  items,
  next_cursor: next ? cursorFor(next) : null,
})

function limitOf(text: unknown): number {
  if (text === undefined) return DEFAULT_LIMIT
  const limit = typeof text === 'string' && /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > MAX_LIMIT) throw fault('/limit', `must be 1 to ${MAX_LIMIT}`)
  return limit
}

function cursorOf(text: unknown, kinds: readonly string[]): CursorValue[] {
  const values = typeof text === 'string' && text.length <= MAX_CURSOR ? parsed(text) : undefined
  const isOurs =
    values?.length === kinds.length &&
    values.every((value, place) => typeof value === kinds[place] && (isText(value) || Number.isSafeInteger(value)))
  if (!isOurs) throw foreignCursor()
  return values as CursorValue[] // every one has been looked at
}

/** The database takes no others. */
const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.isWellFormed() && !value.includes('\0')

const foreignCursor = () => fault('/cursor', 'is not one this server has made')

function parsed(text: string): unknown[] | undefined {
  try {
    const values: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return Array.isArray(values) ? values : undefined
  } catch {
    return undefined
  }
}

const fault = (pointer: string, message: string) =>
  new AppError('bad_request', 400, `The query ${pointer.slice(1)} ${message}.`.replace('  ', ' '), {
    faults: [{ pointer, message }],
  })
