/** Everything in force that can kill an access token, in memory: as large as what was revoked within the life of one. */
import { keyOf, kills, namesOf, type Origin, type Revoked } from './revocation-entry.ts'

const BUCKET_MS = 10_000

/** Under which names something of this origin is looked for. */
export const keysOf = (origin: Origin): string[] => namesOf(origin).map(keyOf)

export type RevocationSet = ReturnType<typeof createRevocationSet>

export function createRevocationSet() {
  const inForce = new Map<string, Revoked>()
  /** By the time at which they are looked at again, so that nobody looks at all of them. */
  const buckets = new Map<number, Revoked[]>()
  let highestFloorMs = 0
  let forgottenUntil = 0

  function put(revoked: Revoked): void {
    inForce.set(keyOf(revoked), revoked)
    const bucket = Math.ceil(revoked.tokensExpireAtMs / BUCKET_MS)
    const others = buckets.get(bucket)
    if (others) others.push(revoked)
    else buckets.set(bucket, [revoked])
  }

  function noteFloor(ms: number): void {
    if (ms > highestFloorMs) highestFloorMs = ms
  }

  return {
    /** Learns one; false when this or something later is known of it already. */
    learn(revoked: Revoked): boolean {
      const known = inForce.get(keyOf(revoked))
      if (known && known.seq >= revoked.seq) return false
      noteFloor(revoked.notBeforeMs ?? 0)
      put(revoked)
      return true
    },

    /** Whether something of this origin is dead; `keys` for who asks again and again about the same one. */
    denies(origin: Origin, keys: readonly string[] = keysOf(origin)): boolean {
      for (const key of keys) {
        const revoked = inForce.get(key)
        if (revoked !== undefined && kills(revoked, origin)) return true
      }
      return false
    },

    /** Drops what no access token outlives. Costs as much as there is to drop. */
    forget(nowMs: number): void {
      const due = Math.floor(nowMs / BUCKET_MS)
      if (due <= forgottenUntil) return
      forgottenUntil = due
      for (const [bucket, revocations] of buckets) {
        if (bucket > due) continue
        buckets.delete(bucket)
        // A later state of the same revocation lies in a bucket of its own.
        for (const revoked of revocations) {
          if (inForce.get(keyOf(revoked)) === revoked) inForce.delete(keyOf(revoked))
        }
      }
    },

    noteFloor,

    /** The highest instant of any floor seen, whose process's clock may be ahead of ours. */
    highestFloorMs: (): number => highestFloorMs,

    /** Those in force; one that is learned meanwhile may or may not be among them. */
    values: (): IterableIterator<Revoked> => inForce.values(),

    size: (): number => inForce.size,
  }
}
