/**
 * How much of the stored access model this process knows: everything up to a version, confirmed at a time. A decision may
 * rest on memory that was confirmed less than 800 ms ago; so a right taken away in one process is gone in every other
 * within a second, at the latest, whether or not the news of it arrived.
 */
import { type Clock, elapsedMs, type Moment, momentOf } from '../clock.ts'
import type { Database } from '../storage/tables.ts'
import type { Touch } from './access-change-store.ts'
import { type AccessChangeRow, type FreshnessStore, KEPT_SECONDS, MAX_CHANGES } from './freshness-store.ts'

export interface FreshnessDeps {
  db: Database
  store: FreshnessStore
  clock: Clock
  /** Has the listener told whenever another process may have written. */
  onAnnouncement(listener: () => void): void
}

/** Told what to forget. */
export interface FreshnessListener {
  touched(touch: Touch): void
  /** Anything may have changed. */
  everything(): void
}

export type Freshness = ReturnType<typeof createFreshness>

const BELIEVED_MS = 800
/** Whoever asked longer ago than this may have missed changes that are not kept any more. */
const CAUGHT_UP_MS = (KEPT_SECONDS * 1_000) / 2

interface Check extends Moment {
  /** Counts announcements: what began before the latest one does not confirm it. */
  announcement: number
}

export function createFreshness({ db, store, clock, onAnnouncement }: FreshnessDeps) {
  const listeners: FreshnessListener[] = []
  let announcements = 0
  let isListening = false
  let version: string | undefined
  let confirmed: Check | undefined
  let underWay: Promise<void> | undefined
  let generation = 0

  const markStale = (): void => {
    announcements += 1
  }

  const isFresh = (): boolean =>
    confirmed !== undefined && confirmed.announcement === announcements && elapsedMs(confirmed, clock) < BELIEVED_MS

  async function refresh(): Promise<void> {
    // One that began before an announcement does not see what was announced; the next one does.
    if (underWay) await underWay
    if (isFresh()) return
    underWay ??= check().finally(() => {
      underWay = undefined
    })
    await underWay
  }

  async function check(): Promise<void> {
    listenOnce()
    const begun: Check = { announcement: announcements, ...momentOf(clock) }
    await catchUp()
    confirmed = begun
  }

  async function catchUp(): Promise<void> {
    if (version === undefined || confirmed === undefined || elapsedMs(confirmed, clock) > CAUGHT_UP_MS)
      return startOver()
    const changes = await store.changesSince(db, version)
    if (changes.length === MAX_CHANGES) return startOver()
    learn(changes)
  }

  /** The version is read first: what is loaded after everything was forgotten is at least as new. */
  async function startOver(): Promise<void> {
    version = await store.version(db)
    generation += 1
    for (const listener of listeners) listener.everything()
  }

  function learn(changes: readonly AccessChangeRow[]): void {
    const last = changes.at(-1)
    if (!last) return
    version = last.version
    generation += 1
    for (const { kind, subject } of changes) for (const listener of listeners) listener.touched({ kind, subject })
  }

  function listenOnce(): void {
    if (isListening) return
    isListening = true
    onAnnouncement(markStale)
  }

  return {
    /**
     * Resolves when what is remembered may be decided upon; nothing to wait for most of the time.
     * Throws Unavailable (503) when the database does not answer.
     */
    ensureFresh: (): Promise<void> | undefined => (isFresh() ? undefined : refresh()),

    /** Whether what is remembered may be decided upon as it is. */
    isFresh,

    /** The version that every later decision is at least as new as. Throws Unavailable (503). */
    async knownVersion(): Promise<number> {
      if (version === undefined) await refresh()
      return Number(version)
    },

    /** There is something new, here or elsewhere: the next decision asks first. */
    markStale,

    /** Moves whenever something is to be forgotten: what was loaded before must not be remembered after. */
    generation: (): number => generation,

    listen: (listener: FreshnessListener): void => void listeners.push(listener),

    /** Deletes changes too old for anybody; for the sweeper. */
    async removeOld(): Promise<void> {
      while (!(await store.removeOld(db)));
    },
  }
}
