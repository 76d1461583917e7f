/**
 * The clock of sign-ins. Their instants are compared with not-before floors, which other processes raise by clocks of
 * their own: a sign-in is never put before a floor that was there when it began, and a clock that is plainly wrong is
 * corrected by the database's.
 */
import type { Clock } from '../clock.ts'
import type { RevocationFeed } from './revocation-feed.ts'

/** A floor further ahead than this is nobody's honest clock. */
const BELIEVED_AHEAD_MS = 60_000
/** Below this the difference may come from the measurement. */
const PLAIN_SKEW_MS = 1_000

export interface SignInClock extends Clock {
  /** To be awaited before a sign-in begins: from then on every floor raised so far is known. Throws Unavailable (503). */
  catchUp(): Promise<void>
}

export function createSignInClock({ clock, feed }: { clock: Clock; feed: RevocationFeed }): SignInClock {
  return {
    now() {
      const skew = feed.skewMs()
      const now = clock.now() + (Math.abs(skew) > PLAIN_SKEW_MS ? skew : 0)
      return Math.max(now, Math.min(feed.set.highestFloorMs() + 1, now + BELIEVED_AHEAD_MS))
    },

    async catchUp() {
      feed.start()
      if (!feed.isFresh()) await feed.readHighestFloor()
    },
  }
}
