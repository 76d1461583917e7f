/**
 * Tells services what has been revoked and whose permissions have changed, as server-sent events. A listener gets
 * everything in force, then every change; where it ends it can go on from, at any process. Its place, the cursor, names
 * the transaction and the version before which everything was sent, so after a break a little may be sent twice, and
 * nothing is left out.
 *
 * A heartbeat says that everything committed before it has been sent: it follows a reading of the durable store.
 */
import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import type { Database } from '../storage/tables.ts'
import { createEventQueue, type EventQueue } from './event-queue.ts'
import type { PermissionChangeRow, PermissionChangeStore, PermissionChanges } from './permission-change-store.ts'
import type { Revoked } from './revocation-entry.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import type { Place, RevocationFloorStore } from './revocation-floor-store.ts'

/** Heartbeats lie no further apart while the stores answer. */
const HEARTBEAT_SECONDS = 1
/** A heartbeat that waited longer would say more than is known. */
const HEARTBEAT_FRESH_MS = 1_000
/** Without a journal that tells of the others' revocations the durable store is asked more often. */
const POLL_MS = 500
const MAX_LISTENERS = 1_000
/** One service that opens streams without end must leave room for the others. */
const MAX_LISTENERS_OF_CLIENT = 200
const MAX_EVENTS = 10_000
const MAX_BYTES = 1_000_000
/** No longer than the longest access token by which it was opened. */
const MAX_LIFE_MS = 3_600_000
const ROWS_AT_ONCE = 5_000
/** Whoever missed more than this is told everything in force anew. */
const MAX_MISSED = 50_000
/** Between the beginning of a transaction, which is noted, and its commit. */
const COMMITTED_WITHIN_MS = 3_000

export interface RevocationStreamDeps {
  db: Database
  feed: RevocationFeed
  floors: RevocationFloorStore
  changes: PermissionChangeStore
  clock: Clock
  /** Has the listener told whenever permissions may have changed; a hint that may be lost. */
  onAccessChange(listener: () => void): void
  onFault?: ((error: unknown) => void) | undefined
}

/** Before which everything has been sent. */
interface Cursor {
  txid: string
  version: number
}

interface Opening {
  clientId: string
  tokenId: string
  /** Where the client was before; empty for the beginning. */
  lastEventId: string
}

type Data = Record<string, string | number | boolean>

interface Listener {
  queue: EventQueue
  clientId: string
  /** Of the token by which it was opened. */
  tokenId: string
  endsAtMs: number
}

export type RevocationStream = ReturnType<typeof createRevocationStream>

export function createRevocationStream(deps: RevocationStreamDeps) {
  const { db, feed, floors, changes, clock, onFault } = deps
  const listeners = new Set<Listener>()
  const pollMs = feed.marksMayBeLost ? HEARTBEAT_SECONDS * 1_000 : POLL_MS
  let isClosed = false
  let isListening = false
  let version: number | undefined
  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> | undefined

  const cursorText = (): string => `${feed.horizon() ?? 0}-${version ?? 0}`

  function tellAll(kind: string, data: Data, options?: { freshMs: number }): void {
    const text = eventText(cursorText(), kind, data)
    for (const { queue } of listeners) queue.push(text, options)
  }

  function tellRevoked(revoked: Revoked): void {
    if (listeners.size === 0) return
    tellAll('revoked', presentRevoked(revoked))
    const { kind, id } = revoked
    if (kind !== 'client' && kind !== 'token') return
    // By the next connection it has to show a token that lives.
    for (const { clientId, tokenId, queue } of listeners) {
      if ((kind === 'client' ? clientId : tokenId) === id) queue.end()
    }
  }

  async function readChanges(): Promise<void> {
    if (version === undefined) {
      version = await changes.version(db)
      return
    }
    const news = await changes.since(db, version)
    const now = clock.now()
    const told = presentChanges(news, () => now)
    // The cursor of a change lies before it until all of its version are told.
    for (const data of told) tellAll('permissions', data)
    version = Math.max(version, news.version)
  }

  /** Reads what is new, and says so when nothing can be missing. */
  async function readAll(): Promise<void> {
    const atMs = clock.now()
    await Promise.all([feed.catchUp(), readChanges()])
    tellAll('heartbeat', { at_ms: atMs }, { freshMs: HEARTBEAT_FRESH_MS })
  }

  function beginRound(): Promise<void> {
    round ??= readAll()
      .catch((error) => onFault?.(error))
      .finally(() => {
        round = undefined
        endOldListeners()
        schedule(pollMs)
      })
    return round
  }

  function schedule(ms: number): void {
    clearTimeout(timer)
    timer = undefined
    if (listeners.size > 0 && !isClosed) timer = setTimeout(beginRound, ms)
  }

  function endOldListeners(): void {
    for (const { queue, endsAtMs } of listeners) if (endsAtMs < clock.now()) queue.end()
  }

  function isCrowdedBy(clientId: string): boolean {
    let own = 0
    for (const listener of listeners) if (listener.clientId === clientId) own += 1
    return own >= MAX_LISTENERS_OF_CLIENT
  }

  function listenOnce(): void {
    if (isListening) return
    isListening = true
    feed.start()
    feed.listen(tellRevoked)
    deps.onAccessChange(() => {
      if (listeners.size > 0) void beginRound()
    })
  }

  function* snapshot(cursor: string, begunAtMs: number): Generator<string> {
    const dueMs = feed.storeNowMs()
    yield eventText(NO_PLACE, 'snapshot_begin', { heartbeat_seconds: HEARTBEAT_SECONDS })
    for (const revoked of feed.set.values()) {
      if (revoked.tokensExpireAtMs > dueMs) yield eventText(NO_PLACE, 'revoked', presentRevoked(revoked))
    }
    yield eventText(NO_PLACE, 'permissions', { everyone: true, version: version ?? 0, at_ms: begunAtMs })
    yield eventText(cursor, 'snapshot_end', {})
  }

  /** Undefined when the place is not known here, or too much has happened since. */
  async function missedSince(from: Cursor, until: { cursor: string; atMs: number }): Promise<string[] | undefined> {
    const missed: string[] = []
    const fromText = `${from.txid}-${from.version}`
    let place: Place | undefined = { txid: from.txid, seq: 0 }
    while (place) {
      const page = await floors.pageBehind(db, place, ROWS_AT_ONCE)
      if (page.isAhead || missed.length > MAX_MISSED) return undefined
      for (const revoked of page.revoked) missed.push(eventText(fromText, 'revoked', presentRevoked(revoked)))
      place = page.revoked.length === ROWS_AT_ONCE ? page.last : undefined
    }
    const news = await changes.since(db, from.version)
    if (news.version < from.version) return undefined
    const now = clock.now()
    for (const data of presentChanges(news, ({ atMs }) => Math.min(now, atMs + COMMITTED_WITHIN_MS))) {
      missed.push(eventText(fromText, 'permissions', data))
    }
    return [...missed, eventText(until.cursor, 'heartbeat', { at_ms: until.atMs })]
  }

  async function* prefaceOf(lastEventId: string): AsyncGenerator<string> {
    const [begunAtMs, begunAt] = [clock.now(), cursorText()]
    const from = cursorOf(lastEventId)
    const missed = from && (await missedSince(from, { cursor: begunAt, atMs: begunAtMs }))
    if (missed) return yield* missed
    if (lastEventId !== '') yield eventText(NO_PLACE, 'reset', {})
    yield* snapshot(begunAt, begunAtMs)
  }

  return {
    /**
     * Opens a stream for a client, from where it ended before (empty: from the beginning). Throws Unavailable (503) when
     * the stores do not answer, too many listen, or the server is stopping.
     */
    async open({ clientId, tokenId, lastEventId }: Opening): Promise<Readable> {
      listenOnce()
      // Everything in force before now is in memory then.
      await Promise.all([feed.catchUp(), readChanges()])
      if (isClosed || listeners.size >= MAX_LISTENERS || isCrowdedBy(clientId))
        throw new Unavailable('the revocation stream', undefined, 5)
      const listener: Listener = {
        clientId,
        tokenId,
        endsAtMs: clock.now() + MAX_LIFE_MS,
        queue: createEventQueue({
          preface: prefaceOf(lastEventId),
          maxEvents: MAX_EVENTS,
          maxBytes: MAX_BYTES,
          onClose: () => void listeners.delete(listener),
        }),
      }
      listeners.add(listener)
      if (!timer && !round) schedule(pollMs)
      return listener.queue.body
    },

    /** Ends every stream; no other is opened. */
    close(): void {
      isClosed = true
      clearTimeout(timer)
      for (const { queue } of listeners) queue.end()
    },
  }
}

/** Nothing can go on from there: a listener that is lost before everything is told starts anew. */
const NO_PLACE = '0'

const CURSOR = /^(\d{1,19})-(\d{1,15})$/

function cursorOf(text: string): Cursor | undefined {
  const [, txid, version] = CURSOR.exec(text) ?? []
  return txid === undefined ? undefined : { txid, version: Number(version) }
}

const eventText = (id: string, kind: string, data: Data): string =>
  `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`

const presentRevoked = ({ kind, id, notBeforeMs, except, tokensExpireAtMs }: Revoked): Data => ({
  kind,
  id,
  ...(notBeforeMs === undefined ? {} : { not_before_ms: notBeforeMs }),
  ...(except === undefined ? {} : { except }),
  expires_at: Math.ceil(tokensExpireAtMs / 1_000),
})

/** A change of a role, team or resource may be anybody's; who sees whom is nobody's permission. */
function presentChanges(
  { version, changes, isWhole }: PermissionChanges,
  atMs: (change: Pick<PermissionChangeRow, 'atMs'>) => number,
): Data[] {
  const everyone = (change: Pick<PermissionChangeRow, 'version' | 'atMs'>): Data => ({
    everyone: true,
    version: change.version,
    at_ms: Math.ceil(atMs(change)),
  })
  if (!isWhole) return [everyone({ version, atMs: Number.POSITIVE_INFINITY })]
  const told = new Map<string, Data>()
  for (const change of changes) {
    if (change.kind.startsWith('visibility_')) continue
    if (change.kind !== 'account') told.set('everyone', everyone(change))
    else {
      const { subject, version: own } = change
      told.set(`account ${subject}`, { account: subject, version: own, at_ms: Math.ceil(atMs(change)) })
    }
  }
  return [...told.values()]
}
