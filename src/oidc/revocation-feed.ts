/**
 * Brings every revocation of every process into this one's memory: all in force from the durable store at first, then
 * what the journal says, entry by entry. Memory may be believed while the journal has proved within the last second that
 * nothing is missing; whoever asks at another time has to ask a store. After every gap (a lost connection, a pause of
 * this process, a flushed Redis) the durable store is read again before memory is believed.
 *
 * Memory only ever says that something is dead, so it may always be believed about that.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, elapsedMs, type Moment, momentOf } from '../clock.ts'
import type { Follower, Journal } from '../storage/journal.ts'
import type { Database } from '../storage/tables.ts'
import { decodeRevoked, type Revoked } from './revocation-entry.ts'
import type { Place, RevocationFloorStore } from './revocation-floor-store.ts'
import { createRevocationSet } from './revocation-set.ts'

/** A revocation that was answered this long ago is refused by every process. */
const BELIEVED_MS = 1_000
/** An answer is believed as of the question, so two waits in a row must fit. */
const WAIT_MS = 400
const ENTRIES_AT_ONCE = 1_000
const ROWS_AT_ONCE = 5_000
const MENDED_AT_ONCE = 500
const RETRY_MS = 200
/** A successor of a lost Redis may lack the last of what its predecessor had been told. */
const REWRITTEN_MS = 5 * 60_000

export interface RevocationFeedDeps {
  db: Database
  store: RevocationFloorStore
  journal: Journal
  clock: Clock
  onFault?: ((error: unknown) => void) | undefined
}

/** Told of what was not known before. */
export type RevocationListener = (revoked: Revoked) => void

/** Writes again what a store may have lost of these. */
export type Mend = (revoked: readonly Revoked[]) => Promise<void>
type Page = Awaited<ReturnType<RevocationFloorStore['pageBehind']>>

export type RevocationFeed = ReturnType<typeof createRevocationFeed>

export function createRevocationFeed({ db, store, journal, clock, onFault }: RevocationFeedDeps) {
  const set = createRevocationSet()
  const listeners = new Set<RevocationListener>()
  const onReturn = new Set<() => Promise<void>>()
  const onLate = new Set<RevocationListener>()
  const onLoss = new Set<Mend>()
  /** Every transaction before this one is known. */
  let horizon: string | undefined
  /** Since when nothing is missing, as far as the journal has proved; undefined while it has not. */
  let proven: Moment | undefined
  /** How far the database's clock is ahead of ours. */
  let skewMs = 0
  /** What the database's clock showed at an instant of the steady one. */
  let storeClock: { nowMs: number; at: number } | undefined
  let follower: Follower | undefined
  let reading: Promise<void> | undefined
  let nextReading: Promise<void> | undefined

  function learn(revoked: Revoked): boolean {
    if (!set.learn(revoked)) return false
    for (const listener of listeners) listener(revoked)
    return true
  }

  /** What was read before the journal has told it, if ever, and not because it is old. */
  function learnLate(revoked: Revoked): void {
    if (!learn(revoked) || revoked.writtenAtMs < storeNowMs() - REWRITTEN_MS) return
    for (const listener of onLate) listener(revoked)
  }

  /** Reads what the durable store has and this process may not. Whoever asks gets a reading that began after that. */
  function catchUp(): Promise<void> {
    if (!reading) {
      reading = readFloor().finally(() => {
        reading = undefined
      })
      return reading
    }
    const begin = () => {
      nextReading = undefined
      return catchUp()
    }
    nextReading ??= reading.then(begin, begin)
    return nextReading
  }

  async function readFloor(): Promise<void> {
    let place: Place | undefined = { txid: horizon ?? '0', seq: 0 }
    let next: string | undefined
    while (place) {
      const page = await store.pageBehind(db, place, ROWS_AT_ONCE)
      readClock(page.nowMs)
      // What was written while we read is behind the horizon of the first page.
      next ??= page.horizon
      for (const revoked of page.revoked) learnLate(revoked)
      place = page.revoked.length === ROWS_AT_ONCE ? page.last : undefined
    }
    horizon = next
    set.forget(storeNowMs())
  }

  function readClock(nowMs: number): void {
    skewMs = nowMs - clock.now()
    storeClock = { nowMs, at: performance.now() }
  }

  /**
   * The time by the database's clock, which also says when revocations end: nobody who sets the clock of this computer
   * brings anything back to life.
   */
  const storeNowMs = (): number =>
    storeClock ? storeClock.nowMs + performance.now() - storeClock.at : Number.NEGATIVE_INFINITY

  async function follow(following: Follower): Promise<void> {
    let isFirst = true
    while (!following.isClosed()) {
      try {
        await followUntilLost(following)
      } catch (error) {
        if (following.isClosed()) return
        if (!isFirst) onFault?.(error)
      }
      isFirst = false
      proven = undefined
      await delay(RETRY_MS)
    }
  }

  async function followUntilLost(following: Follower): Promise<void> {
    // Before the floor is read: whatever comes behind it is either there already or in the journal.
    let position = await following.end()
    await catchUp()
    await mendSince(storeNowMs() - REWRITTEN_MS)
    for (const work of onReturn) await work()
    for (;;) {
      const asked = momentOf(clock)
      const [wasProven, wasFresh] = [proven !== undefined, isFresh()]
      const {
        entries,
        position: next,
        isSealed,
      } = await following.read(position, {
        limit: ENTRIES_AT_ONCE,
        waitMs: wasFresh ? WAIT_MS : 1,
      })
      for (const entry of entries) learnEntry(entry)
      position = next
      set.forget(storeNowMs())
      if (!isSealed) await restore(following)
      // Whoever was away for so long may find that older entries have been dropped.
      else if (wasProven && !wasFresh) await catchUp()
      if (entries.length < ENTRIES_AT_ONCE) proven = asked
    }
  }

  function learnEntry(text: string): void {
    const revoked = decodeRevoked(text)
    if (revoked) learn(revoked)
  }

  /**
   * After a loss every mark is written again before anybody may believe that there are no others: also of what is older
   * than any access token, for what it kills may lie on a node of a cluster that has lost nothing.
   */
  async function restore(following: Follower): Promise<void> {
    await catchUp()
    await eachInForce(mend)
    await following.seal()
  }

  async function eachInForce(work: Mend): Promise<void> {
    let place: Place | undefined = { txid: '0', seq: 0 }
    while (place) {
      const page: Page = await store.pageBehind(db, place, MENDED_AT_ONCE, { all: true })
      readClock(page.nowMs)
      await work(page.revoked)
      place = page.last
    }
  }

  async function mendSince(writtenSinceMs: number): Promise<void> {
    const latest = [...set.values()].filter(({ writtenAtMs }) => writtenAtMs >= writtenSinceMs)
    for (let begin = 0; begin < latest.length; begin += MENDED_AT_ONCE) {
      await mend(latest.slice(begin, begin + MENDED_AT_ONCE))
    }
  }

  async function mend(revoked: readonly Revoked[]): Promise<void> {
    for (const work of onLoss) await work(revoked)
  }

  const isFresh = (): boolean => proven !== undefined && elapsedMs(proven, clock) < BELIEVED_MS

  return {
    set,
    learn,
    catchUp,
    isFresh,

    /** Whether marks may be lost, so that their absence says nothing without the seal. */
    marksMayBeLost: journal.follow !== undefined,

    /** Begins to follow; once. Without a journal to follow, memory is never believed to be complete. */
    start(): void {
      if (follower || !journal.follow) return
      follower = journal.follow({
        onLost() {
          proven = undefined
        },
      })
      follow(follower).catch((error) => onFault?.(error))
    },

    /** Resolves when memory may be believed; at once where there is nothing to follow. */
    async untilFresh(): Promise<void> {
      while (follower && !follower.isClosed() && !isFresh()) await delay(5)
    },

    skewMs: () => skewMs,

    /** The time by the database's clock, as last read; minus infinity before the first reading. */
    storeNowMs,

    /** For whoever cannot wait until memory is complete. One round trip. */
    async readHighestFloor(): Promise<void> {
      const { floorMs, nowMs } = await store.highestFloor(db)
      readClock(nowMs)
      set.noteFloor(floorMs)
    },

    /** The transaction before which everything is known; undefined before the first reading. */
    horizon: (): string | undefined => horizon,

    /** Tells a listener from now on of everything new. Answers how to stop. */
    listen(listener: RevocationListener): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    /** Calls with everything in force, page by page. Throws Unavailable (503). */
    eachInForce,

    /** Work to be done about what a Redis that is back, or has a successor, may have lost. */
    onLoss: (work: Mend): void => void onLoss.add(work),

    /** Has a listener told what was read that the journal should have told, and did not. */
    onLate: (listener: RevocationListener): void => void onLate.add(listener),

    /** Work to be done whenever the journal answers again. */
    onReturn: (work: () => Promise<void>): void => void onReturn.add(work),

    close(): void {
      follower?.close()
      proven = undefined
    },
  }
}
