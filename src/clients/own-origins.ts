/** The origins of pages of the house, from the redirect URIs of its public clients. Asked by requests that name one. */
import { type Clock, elapsedMs, momentOf } from '../clock.ts'

export interface OwnOriginsDeps {
  /** The redirect URIs of all first-party public clients. */
  load(): Promise<readonly string[]>
  clock: Clock
  ttlMs?: number
}

export type OwnOrigins = ReturnType<typeof createOwnOrigins>

export function createOwnOrigins({ load, clock, ttlMs = 5_000 }: OwnOriginsDeps) {
  let known = { origins: Promise.resolve<ReadonlySet<string>>(new Set()), readAt: momentOf(clock), ttlMs: 0 }

  /** One reading at a time, for everybody who asks meanwhile; one that failed is not kept. */
  function origins(): Promise<ReadonlySet<string>> {
    if (elapsedMs(known.readAt, clock) < known.ttlMs) return known.origins
    const reading = load().then(originsOf)
    const mine = { origins: reading, readAt: momentOf(clock), ttlMs }
    known = mine
    reading.catch(() => {
      mine.ttlMs = 0
    })
    return reading
  }

  /** At most 5 s behind. Throws Unavailable (503). */
  return async function isOwnOrigin(origin: string): Promise<boolean> {
    return (await origins()).has(origin)
  }
}

/** Exactly, and none for a native scheme, whose origin is that of everything without one. */
const originsOf = (uris: readonly string[]): ReadonlySet<string> =>
  new Set(uris.flatMap((uri) => URL.parse(uri)?.origin ?? []).filter((origin) => origin !== 'null'))
