/** Time is an argument: whoever needs it takes a Clock, and tests pass their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/**
 * When something was remembered, by two clocks: the steady one stands still while the machine sleeps, and the other can be
 * set back.
 */
export interface Moment {
  steadyMs: number
  wallMs: number
}

export const momentOf = (clock: Clock): Moment => ({ steadyMs: performance.now(), wallMs: clock.now() })

/** How old it is by the faster clock, in milliseconds; infinite after the clock was set back. */
export function elapsedMs(since: Moment, clock: Clock): number {
  const wall = clock.now() - since.wallMs
  return wall < 0 ? Number.POSITIVE_INFINITY : Math.max(wall, performance.now() - since.steadyMs)
}

/** Whole seconds since the epoch, as JWTs count time (RFC 7519 section 2, NumericDate). */
export const epochSeconds = (clock: Clock): number => Math.floor(clock.now() / 1000)
