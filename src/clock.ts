/** Time is an argument: whoever needs it takes a Clock, and tests pass their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** Whole seconds since the epoch, as JWTs count time (RFC 7519 section 2, NumericDate). */
export const epochSeconds = (clock: Clock): number => Math.floor(clock.now() / 1000)
