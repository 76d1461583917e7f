/** The record of every change, for those who may read it. Events are written by whoever makes a change, in its transaction. */
import type { Actor, AuditEvent, AuditNote, AuditSink } from '../audit-event.ts'
import { type Clock, systemClock } from '../clock.ts'
import { uuidFloor } from '../ids.ts'
import type { Database, Executor } from '../storage/tables.ts'
import type { AuditEntry, AuditFilter } from './audit-entry.ts'
import type { AuditStore } from './audit-store.ts'

export interface AuditLogDeps {
  db: Database
  store: AuditStore
  /** Events older than this are removed; undefined keeps them for ever. */
  retentionDays?: number | undefined
  /** Most rows removed by one statement. */
  batch?: number
  /** Told of an event that could not be kept. */
  onLoss?: (loss: { actor: Actor; action: string; target: AuditEvent['target']; err: unknown }) => void
  clock?: Clock
}

export interface AuditQuery {
  filter?: AuditFilter | undefined
  since?: Date | undefined
  /** Not of this instant any more. */
  until?: Date | undefined
  /** The id of the last entry of the page before. */
  after?: string | undefined
  limit: number
}

export type AuditLog = ReturnType<typeof createAuditLog>

const DAY_MS = 86_400_000

export function createAuditLog(deps: AuditLogDeps) {
  const { db, store, retentionDays, batch = 500, onLoss = () => undefined, clock = systemClock } = deps

  const record: AuditSink<Executor> = (executor, actor, event) => store.insert(executor, actor, event)

  const note: AuditNote = async (actor, event) => {
    try {
      await store.insert(db, actor, event)
    } catch (err) {
      const { action, target } = event
      onLoss({ actor, action, target, err })
    }
  }

  function list({ filter, since, until, after, limit }: AuditQuery): Promise<AuditEntry[]> {
    const ends = [...(until ? [uuidFloor(until)] : []), ...(after ? [after] : [])].sort()
    const page = { from: since && uuidFloor(since), before: ends[0], limit }
    const beginning = filter && 'action' in filter ? beginningOf(filter.action) : undefined
    return beginning === undefined ? store.list(db, { ...page, filter }) : store.listActions(db, beginning, page)
  }

  return {
    /** Keeps an event in the transaction of the change. */
    record,

    /** Keeps an event of what has happened already; when that fails it is told to the log, and to nobody else. */
    note,

    /**
     * Newest first, at most `limit`. An action that ends with `.*` means all that begin so. Throws Unavailable (503).
     */
    list,

    find: (id: string): Promise<AuditEntry | undefined> => store.findById(db, id),

    /** Removes what has been kept long enough, a few rows at a time; answers how many. For a timer. */
    async removeOld(): Promise<number> {
      if (retentionDays === undefined) return 0
      const floor = uuidFloor(new Date(clock.now() - retentionDays * DAY_MS))
      let removed = 0
      for (;;) {
        const count = await store.removeBefore(db, floor, batch)
        removed += count
        if (count < batch) return removed
      }
    },
  }
}

/** `role.*` means every action that begins with `role.`. */
const beginningOf = (action: string): string | undefined => (action.endsWith('.*') ? action.slice(0, -1) : undefined)
