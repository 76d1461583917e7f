/**
 * How old something remembered is, by the faster of two clocks: the steady one stands still while the machine sleeps, and
 * the other can be set back, after which nothing is known.
 */
import type { Clock } from './clock.ts'

export interface Moment {
  steadyMs: number
  wallMs: number
}

export const momentOf = (clock: Clock): Moment => ({ steadyMs: performance.now(), wallMs: clock.now() })

/** Milliseconds; infinite after the clock was set back. */
export function elapsedMs(since: Moment, clock: Clock): number {
  const wall = clock.now() - since.wallMs
  return wall < 0 ? Number.POSITIVE_INFINITY : Math.max(wall, performance.now() - since.steadyMs)
}
