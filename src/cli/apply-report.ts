/** What `usher apply` prints, and where in the file a refusal belongs. */

export type Outcome = 'created' | 'changed' | 'unchanged'
export type Report = (kind: string, name: string, outcome: Outcome) => void

export function reporter() {
  const counts = { created: 0, changed: 0, unchanged: 0 }
  const report: Report = (kind, name, outcome) => {
    counts[outcome] += 1
    console.log(`${outcome.padEnd(9)}  ${kind.padEnd(16)}  ${name}`)
  }
  const summary = () => `${counts.created} created, ${counts.changed} changed, ${counts.unchanged} unchanged.`
  return { report, summary }
}

/** Created when it was so first; changed when any step changed something. */
export const together = (...outcomes: readonly Outcome[]): Outcome =>
  outcomes.find((outcome) => outcome === 'created') ?? outcomes.find((outcome) => outcome === 'changed') ?? 'unchanged'

/** One after the other, in the order of the file or another one; a refusal names the place in the file. */
export async function eachOf<T>(
  list: string,
  items: readonly T[],
  work: (item: T) => Promise<void>,
  order: Iterable<number> = items.keys(),
): Promise<void> {
  for (const index of order) {
    const item = items[index]
    if (item === undefined) continue
    try {
      await work(item)
    } catch (error) {
      throw await located(`${list}[${index}]`, error)
    }
  }
}

async function located(place: string, error: unknown): Promise<unknown> {
  const { AppError } = await import('../errors.ts')
  if (!(error instanceof AppError) || error.status >= 500) return error
  const { ManifestError, placeOf } = await import('./manifest.ts')
  const faults = error.faults.map(({ pointer, message }) => `${place}${dotted(placeOf(pointer))}: ${message}`)
  return new ManifestError(faults.length > 0 ? faults : [`${place}: ${error.message}`])
}

const dotted = (place: string): string => (place === '' ? '' : `.${place}`)
