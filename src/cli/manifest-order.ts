/** What stands above what in a declarative file, whatever order it is written in. */

/** Something with a key that names others of its list. */
export interface Edges {
  key: string
  /** The keys it names; those that are not in the list are somebody else's matter. */
  names: readonly string[]
}

export interface Cycle {
  /** Where in the list, and where among what that one names. */
  index: number
  edge: number
  /** The keys on the way round; the last is the first. */
  path: string[]
}

/** Those that are named come before those who name them; with the first cycle that there is, if there is one. */
export function inOrder(list: readonly Edges[]): { order: number[]; cycle: Cycle | undefined } {
  const places = new Map(list.map(({ key }, index) => [key, index]))
  const order: number[] = []
  const done = new Set<number>()
  const way: number[] = []
  let cycle: Cycle | undefined

  function visit(index: number): void {
    if (done.has(index)) return
    way.push(index)
    for (const [edge, name] of (list[index]?.names ?? []).entries()) {
      const next = places.get(name)
      if (next === undefined) continue
      const from = way.indexOf(next)
      if (from < 0) visit(next)
      else cycle ??= { index, edge, path: [...way.slice(from), next].map((place) => list[place]?.key ?? '') }
    }
    way.pop()
    done.add(index)
    order.push(index)
  }

  for (const index of list.keys()) visit(index)
  return { order, cycle }
}
