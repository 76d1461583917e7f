/** What commands print: tables for people, JSON for programs. */

export type Row = Readonly<Record<string, string>>

export const printJson = (value: unknown): void => console.log(JSON.stringify(value, null, 2))

/** Columns in the order of the first row's members, whose names are the headings. */
export function printTable(rows: readonly Row[], whenEmpty: string): void {
  const [first] = rows
  if (first === undefined) {
    console.log(whenEmpty)
    return
  }
  const columns = Object.keys(first)
  // Not by the arguments of Math.max, of which a long list is too many.
  const widths = columns.map((column) =>
    rows.reduce((widest, row) => Math.max(widest, (row[column] ?? '').length), column.length),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  console.log(line(columns.map((column) => column.toUpperCase())))
  for (const row of rows) console.log(line(columns.map((column) => row[column] ?? '')))
}

/** A line for each member. */
export function printMembers(object: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(object)) console.log(`${name}: ${inWords(value)}`.trimEnd())
}

/** A member of an object as people read it. */
export const inWords = (value: unknown): string =>
  value === null
    ? '-'
    : Array.isArray(value)
      ? value.join(' ')
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value)

export const withoutUndefined = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
