/** Where accounts are in the tree, from memory, which forgets what the access room hears was touched. */
import { LRUCache } from 'lru-cache'
import type { Freshness } from '../access/freshness.ts'
import type { Database } from '../storage/tables.ts'
import type { Place, Viewer } from './visibility-decision.ts'
import { ROOT } from './visibility-group.ts'
import type { VisibilityStore } from './visibility-store.ts'

export interface VisibilityPlacesDeps {
  db: Database
  store: VisibilityStore
  freshness: Pick<Freshness, 'ensureFresh' | 'generation' | 'listen'>
}

const MAX_ACCOUNTS = 200_000
/** Of group ids in all chains. */
const MAX_CHAINED = 200_000
/** What no touch has reported is forgotten all the same. */
const LONGEST_MS = 60_000

/** The root goes by its own name here: most accounts are in it, and have no row that would tell its id. */
const ROOT_CHAIN: ReadonlySet<string> = new Set([ROOT])

export function createVisibilityPlaces({ db, store, freshness }: VisibilityPlacesDeps) {
  // With a resolution of 0 it asks the clock each time, instead of a timer of its own.
  const groups = new LRUCache<string, string>({ max: MAX_ACCOUNTS, ttl: LONGEST_MS, ttlResolution: 0 })
  const chains = new LRUCache<string, ReadonlySet<string>>({
    maxSize: MAX_CHAINED,
    ttl: LONGEST_MS,
    ttlResolution: 0,
    sizeCalculation: ({ size }) => size,
  })
  freshness.listen({
    touched({ kind, subject }): void {
      if (kind === 'visibility_group') chains.delete(subject)
      else if (kind === 'visibility_member' || kind === 'account') groups.delete(subject)
    },
    everything(): void {
      groups.clear()
      chains.clear()
    },
  })

  async function groupsOf(accountIds: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    for (const id of accountIds) {
      const groupId = groups.get(id)
      if (groupId !== undefined) found.set(id, groupId)
    }
    const missing = accountIds.filter((id) => !found.has(id))
    if (missing.length === 0) return found
    const isCurrent = sinceNow()
    for (const [id, groupId] of await store.groupsOf(db, missing)) {
      found.set(id, groupId ?? ROOT)
      if (isCurrent()) groups.set(id, groupId ?? ROOT)
    }
    return found
  }

  async function chainOf(groupId: string): Promise<ReadonlySet<string>> {
    if (groupId === ROOT) return ROOT_CHAIN
    const known = chains.get(groupId)
    if (known) return known
    const isCurrent = sinceNow()
    const chain = new Set([...(await store.chainOf(db, groupId)), ROOT])
    if (isCurrent()) chains.set(groupId, chain)
    return chain
  }

  /** What was touched while it was read must not be remembered. */
  function sinceNow(): () => boolean {
    const generation = freshness.generation()
    return () => freshness.generation() === generation
  }

  return {
    /** Undefined for an account that there is not. Throws Unavailable (503). */
    async of(viewerId: string, ownerId: string): Promise<{ viewer: Viewer | undefined; owner: Place | undefined }> {
      await freshness.ensureFresh()
      const found = await groupsOf([...new Set([viewerId, ownerId])])
      const [viewerGroup, ownerGroup] = [found.get(viewerId), found.get(ownerId)]
      return {
        viewer: viewerGroup === undefined ? undefined : await viewerAt(viewerId, viewerGroup),
        owner: ownerGroup === undefined ? undefined : { accountId: ownerId, groupId: ownerGroup },
      }
    },
  }

  async function viewerAt(accountId: string, groupId: string): Promise<Viewer> {
    return { accountId, groupId, chain: await chainOf(groupId) }
  }
}
