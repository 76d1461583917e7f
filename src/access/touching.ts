import type { Change } from './access-change.ts'
import type { Touch } from './access-change-store.ts'
import type { Batch } from './role-store.ts'

const BATCH = 10_000

/** Touches what stands in a list that may be long; `read` answers a part of it, in the order of the ids. */
export async function touchAll(
  change: Change,
  kind: Touch['kind'],
  read: (batch: Batch) => Promise<string[]>,
): Promise<void> {
  let ids: string[]
  let after: string | undefined
  do {
    ids = await read({ after, limit: BATCH })
    for (const id of ids) change.touch(kind, id)
    after = ids.at(-1)
  } while (ids.length === BATCH)
}
