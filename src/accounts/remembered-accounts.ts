/**
 * Accounts as claims are made of them, for the calls that ask about the same ones again and again. Memory is believed as
 * long as that of roles and permissions is: what one process changes, every other has forgotten within a second. It holds
 * no password hashes.
 */
import { LRUCache } from 'lru-cache'
import type { Account } from './account.ts'

export interface RememberedAccountsDeps {
  findById(id: string): Promise<Account | undefined>
  freshness: AccountFreshness
}

/** What is known of changes elsewhere (access/freshness.ts). */
export interface AccountFreshness {
  isFresh(): boolean
  ensureFresh(): Promise<void> | undefined
  /** Moves whenever something is to be forgotten. */
  generation(): number
  listen(listener: { touched(touch: { kind: string; subject: string }): void; everything(): void }): void
}

export type RememberedAccounts = ReturnType<typeof createRememberedAccounts>

const MAX_ACCOUNTS = 10_000
/** What no touch has reported is forgotten all the same. */
const LONGEST_MS = 60_000

export function createRememberedAccounts({ findById, freshness }: RememberedAccountsDeps) {
  // With a resolution of 0 it asks the clock each time, instead of a timer of its own.
  const known = new LRUCache<string, Account>({ max: MAX_ACCOUNTS, ttl: LONGEST_MS, ttlResolution: 0 })
  freshness.listen({
    touched: ({ kind, subject }) => void (kind === 'account' && known.delete(subject)),
    everything: () => known.clear(),
  })

  /** The next one is answered from memory; this one must not wait for that, nor fail with it. */
  function confirmForTheNext(): void {
    freshness.ensureFresh()?.catch(() => undefined)
  }

  async function load(id: string): Promise<Account | undefined> {
    const generation = freshness.generation()
    confirmForTheNext()
    const account = await findById(id)
    // What was touched meanwhile may have been read before.
    if (account && freshness.generation() === generation) known.set(account.id, { ...account, passwordHash: undefined })
    return activeOnly(account)
  }

  return {
    /** The account, when it is there and may sign in. Throws Unavailable (503). */
    findActive(id: string): Account | undefined | Promise<Account | undefined> {
      const remembered = freshness.isFresh() ? known.get(id) : undefined
      return remembered ? activeOnly(remembered) : load(id)
    },
  }
}

const activeOnly = (account: Account | undefined): Account | undefined =>
  account?.status === 'active' ? account : undefined
