import type { Change } from './access-change.ts'
import type { Batch } from './role-store.ts'

const BATCH = 10_000

/** Touches the accounts of a list that may be long. */
export async function touchAccounts(change: Change, read: (batch: Batch) => Promise<string[]>): Promise<void> {
  let ids: string[]
  let after: string | undefined
  do {
    ids = await read({ after, limit: BATCH })
    for (const id of ids) change.touch('account', id)
    after = ids.at(-1)
  } while (ids.length === BATCH)
}
