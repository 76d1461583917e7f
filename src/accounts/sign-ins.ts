/**
 * The history of sign-ins that an account's owner can read. A wrong password must take as long for an account as for
 * nobody, so only successes are written while the caller waits; failures are written in the background, a little later.
 */
import { type Clock, systemClock } from '../clock.ts'
import { uuidv7 } from '../ids.ts'
import type { Database } from '../storage/tables.ts'
import type { NewSignIn, SignIn } from './sign-in.ts'
import type { SignInStore } from './sign-in-store.ts'

export interface SignInsDeps {
  db: Database
  store: SignInStore
  clock?: Clock
  /** Told when entries could not be written and were tried again later, or dropped. */
  onFault?(error: unknown): void
}

/** More than this are not held back: the oldest is dropped. Limits on guessing make it hard to reach. */
const MAX_WAITING = 1_000
const MAX_USER_AGENT = 300
/** At a random time, so that writing falls on no particular one of the requests behind. */
const WAIT_MS = { least: 100, most: 700 }

export type SignIns = ReturnType<typeof createSignIns>

export function createSignIns({ db, store, clock = systemClock, onFault = () => {} }: SignInsDeps) {
  let waiting: SignIn[] = []
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  function keep(entry: NewSignIn): void {
    const now = clock.now()
    const { address, userAgent } = entry
    waiting.push({
      ...entry,
      id: uuidv7(now),
      at: new Date(now),
      address: storable(address, 100),
      userAgent: storable(userAgent, MAX_USER_AGENT),
    })
    if (waiting.length > MAX_WAITING) waiting.shift()
  }

  async function writeWaiting(): Promise<void> {
    const entries = waiting
    waiting = []
    try {
      await store.insert(db, entries)
    } catch (error) {
      onFault(error)
      waiting = [...entries, ...waiting].slice(-MAX_WAITING)
    }
  }

  /** One write after the other: what fails keeps its place. */
  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    writing = writing.then(writeWaiting)
    return writing
  }

  function flushLater(): void {
    if (timer !== undefined) return
    timer = setTimeout(() => void flush(), WAIT_MS.least + Math.random() * (WAIT_MS.most - WAIT_MS.least))
    timer.unref()
  }

  return {
    /** Records a sign-in. Never throws: a history that cannot be written signs nobody out. */
    async record(entry: NewSignIn): Promise<void> {
      keep(entry)
      if (entry.outcome === 'succeeded') await flush()
      else flushLater()
    },

    /** A page of the last 90 days, newest first. `before` is the id of the last entry of the page before. */
    async list(
      accountId: string,
      { before, limit }: { before?: string | undefined; limit: number },
    ): Promise<SignIn[]> {
      await flush()
      return store.page(db, accountId, { before, limit })
    },

    /** Writes what waits; for a process that ends. */
    close: flush,
  }
}

/** A header may hold what the database cannot: bytes that are no text. */
const storable = (text: string, limit: number): string => text.slice(0, limit).toWellFormed().replaceAll('\0', '')
