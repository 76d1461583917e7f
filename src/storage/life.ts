/**
 * A life in whole milliseconds, as both stores count it. A record without an end is a fault of the caller, never a
 * record that stays for ever.
 */
export function lifeMs(ttlSeconds: number): number {
  if (!Number.isFinite(ttlSeconds) || ttlSeconds <= 0) {
    throw new RangeError(`A record must live for more than 0 seconds, not ${ttlSeconds}.`)
  }
  return Math.ceil(ttlSeconds * 1000)
}
