/**
 * The events of the stream made into a picture of what has been revoked. A new picture is drawn beside the old one and
 * takes its place when it is whole.
 */
import type { AccessTokenClaims } from './claims.ts'
import type { Currency } from './currency.ts'
import { createDenySet, revocationIn } from './deny-set.ts'
import type { Report } from './events.ts'
import { isObject, monotonicMs } from './server-call.ts'
import type { ServerSentEvent } from './sse-parser.ts'

const SWEEP_MS = 30_000
/** What can be sent back in a header. */
const CURSOR = /^[\x21-\x7e]{1,512}$/

/** Somebody's permissions have changed, by the server's clock; everybody's when no account is named. */
export interface PermissionChange {
  account: string | undefined
  /** Tokens of an older one are outdated; unknown when something may have been missed. */
  version: number | undefined
  atMs: number
}

export interface RevocationPictureDeps {
  currency: Currency
  report: Report
  maxEntries: number
  /** Milliseconds since the epoch. */
  now(): number
  onPermissions(change: PermissionChange): void
  /** How far heartbeats may lie apart, as the server promises. */
  onHeartbeatInterval(seconds: number): void
}

export interface RevocationPicture {
  /** Where to go on; undefined when everything has to be told anew. */
  cursor(): string | undefined
  /** A new connection begins; what the server's clock shows is known from its answer. */
  begin(serverNowMs: number): void
  /** Throws when the event cannot be right; then the connection is worth nothing. */
  take(event: ServerSentEvent): void
  /** The connection has ended. Answers whether it had delivered all it had to tell at first. */
  end(): boolean
  /** What is known cannot be built upon. */
  discard(): void
  denies(claims: AccessTokenClaims): boolean
}

export function createRevocationPicture(deps: RevocationPictureDeps): RevocationPicture {
  const { currency, report, maxEntries, now, onPermissions } = deps
  let known = createDenySet({ maxEntries })
  let arriving: typeof known | undefined
  let cursor: string | undefined
  let serverNowMs = 0
  let isConfirmed = false
  let sweptAt = monotonicMs()

  const discard = (): void => {
    cursor = undefined
    arriving = undefined
    currency.incomplete()
  }

  const confirm = (): void => {
    isConfirmed = true
    currency.heard()
  }

  const deny = (data: Record<string, unknown>): void => {
    const revocation = revocationIn(data)
    if (!revocation) {
      report({ kind: 'event_not_understood', event: 'revoked' })
      return
    }
    for (const set of new Set([known, arriving])) set?.add(revocation, serverNowMs)
    if ((arriving ?? known).isFull()) {
      report({ kind: 'deny_set_full' })
      throw new Error('There is no room for all that has been revoked.')
    }
  }

  const takers: Readonly<Record<string, (data: Record<string, unknown>) => void>> = {
    reset: discard,

    snapshot_begin({ heartbeat_seconds: heartbeat }) {
      discard()
      arriving = createDenySet({ maxEntries })
      if (typeof heartbeat === 'number') deps.onHeartbeatInterval(heartbeat)
      // Which permissions have changed before is not part of the picture.
      onPermissions({ account: undefined, version: undefined, atMs: serverNowMs })
    },

    revoked: deny,

    permissions({ account, everyone, version: given, at_ms: at }) {
      const atMs = typeof at === 'number' ? at : Math.max(serverNowMs, now())
      const version = typeof given === 'number' ? given : undefined
      if (everyone === true) onPermissions({ account: undefined, version, atMs })
      else if (typeof account === 'string') onPermissions({ account, version, atMs })
    },

    snapshot_end() {
      if (!arriving) throw new Error('A picture ends that has not begun.')
      known = arriving
      arriving = undefined
      currency.complete()
      confirm()
      report({ kind: 'stream_current', entries: known.size() })
    },

    heartbeat({ at_ms: at }) {
      if (typeof at === 'number') serverNowMs = at
      if (!arriving) confirm()
      if (monotonicMs() - sweptAt < SWEEP_MS) return
      sweptAt = monotonicMs()
      // By the clock that says when entries end: setting ours must not bring a token back to life.
      known.sweep(serverNowMs)
    },
  }

  return {
    cursor: () => cursor,
    begin(at) {
      serverNowMs = at
    },
    take({ id, event, data }) {
      const value: unknown = JSON.parse(data)
      if (!isObject(value)) throw new Error('An event of the stream is no JSON object.')
      const take = Object.hasOwn(takers, event) ? takers[event] : undefined
      if (take) take(value)
      else report({ kind: 'event_not_understood', event })
      // In the middle of a picture there is no place to go on from.
      if (currency.isWhole() && CURSOR.test(id)) cursor = id
      // Before the first heartbeat there may be older news on its way, and being heard says nothing yet.
      if (isConfirmed) currency.heard()
    },
    end() {
      const wasConfirmed = isConfirmed
      isConfirmed = false
      arriving = undefined
      return wasConfirmed
    },
    discard,
    denies: (claims) => known.denies(claims),
  }
}
