/**
 * Writes revocations to the durable store. What arrives while a statement is under way goes into the next one together:
 * a thousand a second cost a few hundred statements, and a single one waits for nothing.
 */
import { Unavailable } from '../errors.ts'
import type { Database } from '../storage/tables.ts'
import { keyOf, type Revoked } from './revocation-entry.ts'
import type { RevocationFloorStore, Wish } from './revocation-floor-store.ts'

const MAX_BATCH = 500
/** More waiting than this are turned away at once: the store does not keep up. */
const MAX_WAITING = 20_000

interface Waiting {
  wish: Wish
  resolve(revoked: Revoked | undefined): void
  reject(error: unknown): void
}

export function createRevocationWriter({ db, store }: { db: Database; store: Pick<RevocationFloorStore, 'raise'> }) {
  let waiting: Waiting[] = []
  let isWriting = false

  /** One statement may name a thing once: who wishes for the same waits for the next. */
  function takeBatch(): Waiting[] {
    const names = new Set<string>()
    const batch: Waiting[] = []
    const rest: Waiting[] = []
    for (const one of waiting) {
      const name = keyOf(one.wish)
      if (batch.length === MAX_BATCH || names.has(name)) rest.push(one)
      else {
        names.add(name)
        batch.push(one)
      }
    }
    waiting = rest
    return batch
  }

  async function writeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      const written = new Map(
        (
          await store.raise(
            db,
            batch.map(({ wish }) => wish),
          )
        ).map((row) => [keyOf(row), row]),
      )
      for (const { wish, resolve } of batch) resolve(written.get(keyOf(wish)))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  async function writeAll(): Promise<void> {
    isWriting = true
    while (waiting.length > 0) await writeBatch(takeBatch())
    isWriting = false
  }

  /** What is in force now; undefined when the wish was refused. Throws Unavailable. */
  return function write(wish: Wish): Promise<Revoked | undefined> {
    if (waiting.length >= MAX_WAITING) return Promise.reject(new Unavailable('the durable store of revocations'))
    return new Promise((resolve, reject) => {
      waiting.push({ wish, resolve, reject })
      if (!isWriting) void writeAll()
    })
  }
}
