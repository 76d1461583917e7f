/**
 * Accounts as claims are made of them, for the calls that ask about the same ones again and again. What another process
 * has written is seen within a second, at once when it was the status; what this one has, at once. Memory holds no
 * password hashes.
 */
import { LRUCache } from 'lru-cache'
import type { Account } from './account.ts'

export interface RememberedAccountsDeps {
  findById(id: string): Promise<Account | undefined>
  /** Tells what decisions must not rest on any more (access/freshness.ts). */
  freshness: {
    listen(listener: { touched(touch: { kind: string; subject: string }): void; everything(): void }): void
  }
}

export type RememberedAccounts = ReturnType<typeof createRememberedAccounts>

/** Each may have attributes of many kilobytes. */
const MAX_ACCOUNTS = 2_000
const REMEMBERED_MS = 800

export function createRememberedAccounts({ findById, freshness }: RememberedAccountsDeps) {
  // With a resolution of 0 it asks the clock each time, instead of a timer of its own.
  const known = new LRUCache<string, Account>({ max: MAX_ACCOUNTS, ttl: REMEMBERED_MS, ttlResolution: 0 })
  /** Moves whenever something is forgotten: what was being read then may be older. */
  let generation = 0
  freshness.listen({
    touched: ({ kind, subject }) => void (kind === 'account' && forget(subject)),
    everything() {
      generation += 1
      known.clear()
    },
  })

  function forget(id: string): void {
    generation += 1
    known.delete(id)
  }

  async function load(id: string): Promise<Account | undefined> {
    const begun = { generation, atMs: performance.now() }
    const account = await findById(id)
    const isLatest = generation === begun.generation
    if (account && isLatest) known.set(account.id, { ...account, passwordHash: undefined }, { start: begun.atMs })
    return activeOnly(account)
  }

  return {
    /** The account, when it is there and may sign in. Throws Unavailable (503). */
    findActive(id: string): Account | undefined | Promise<Account | undefined> {
      const remembered = known.get(id)
      return remembered ? activeOnly(remembered) : load(id)
    },

    /** It has been written here. */
    forget,
  }
}

const activeOnly = (account: Account | undefined): Account | undefined =>
  account?.status === 'active' ? account : undefined
