/** Small sums over measured values. */

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** The indexes of the most values of which none is more than `share` above another. */
export function calmest(values: readonly number[], share: number): number[] {
  const order = values.map((value, place) => ({ value, place })).toSorted((one, other) => one.value - other.value)
  let best: typeof order = []
  for (const [from, { value }] of order.entries()) {
    const within = order.slice(from).filter((other) => other.value <= value * (1 + share))
    if (within.length > best.length) best = within
  }
  return best.map(({ place }) => place).toSorted((one, other) => one - other)
}
