/**
 * How long a request has been here. It may have waited in its socket while the process was busy, so it is as old as the
 * work since sockets were last looked at. In doubt a request is thought older: idle time is never counted.
 */
let lookedAt = performance.now()
let idleThen = idleMs()
let isLooking = false

function idleMs(): number {
  return performance.nodeTiming.idleTime
}

const arrivals = new WeakMap<object, number>()

/** To be called first of all for every request; later calls for the same one change nothing. */
export function noteArrival(request: object): void {
  noteTurn()
  if (arrivals.has(request)) return
  const now = performance.now()
  const busyMs = now - lookedAt - (idleMs() - idleThen)
  arrivals.set(request, now - Math.max(0, busyMs))
}

/** To be called when something happens from which the age of later requests counts: an answer leaves. */
export function noteTurn(): void {
  if (isLooking) return
  isLooking = true
  // Immediates run after the sockets of a turn have been read: what arrives from then on is read in a later turn.
  setImmediate(() => {
    isLooking = false
    lookedAt = performance.now()
    idleThen = idleMs()
  })
}

/** Milliseconds since it came, 0 for what was never noted. */
export function ageOf(request: object): number {
  const now = performance.now()
  return now - (arrivals.get(request) ?? now)
}
