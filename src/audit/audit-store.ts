/** The audit_events table. Ids are in the order of time, so every page is a range of an index that ends with the id. */
import { type Selectable, sql } from 'kysely'
import type { Actor, AuditEvent } from '../audit-event.ts'
import { uuidv7 } from '../ids.ts'
import type { AuditEventsTable, Executor } from '../storage/tables.ts'
import type { AuditEntry, AuditFilter, AuditPage } from './audit-entry.ts'

export type AuditStore = ReturnType<typeof createAuditStore>

type Row = Selectable<AuditEventsTable>

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createAuditStore() {
  return {
    async insert(executor: Executor, actor: Actor, { action, target, before, after }: AuditEvent): Promise<void> {
      // One instant for both: what is asked of a time is answered by the ids.
      const now = new Date()
      await executor
        .insertInto('audit_events')
        .values({
          id: uuidv7(now.getTime()),
          actor_kind: actor.kind,
          actor_id: actor.id ?? null,
          client_id: actor.clientId ?? null,
          action,
          target_kind: target.kind,
          target_id: target.id,
          before: before ? JSON.stringify(before) : null,
          after: after ? JSON.stringify(after) : null,
          request_id: actor.requestId ?? null,
          address: actor.address ?? null,
          created_at: now,
        })
        .execute()
    },

    async findById(executor: Executor, id: string): Promise<AuditEntry | undefined> {
      const row = await executor.selectFrom('audit_events').selectAll().where('id', '=', id).executeTakeFirst()
      return row && fromRow(row)
    },

    /** Newest first. */
    async list(executor: Executor, page: AuditPage): Promise<AuditEntry[]> {
      const rows = await pageQuery(executor, page).execute()
      return rows.map(fromRow)
    },

    /** Of the actions that begin with a text, newest first. */
    async listActions(executor: Executor, beginning: string, page: Omit<AuditPage, 'filter'>): Promise<AuditEntry[]> {
      const { rows } = await actionsQuery(beginning, page).execute(executor)
      return rows.map(fromRow)
    },

    /** Removes the oldest of those before an id; answers how many. */
    async removeBefore(executor: Executor, id: string, limit: number): Promise<number> {
      // Of two servers each takes rows the other has not locked.
      const { numAffectedRows } = await sql`
        delete from audit_events where id in (
          select id from audit_events where id < ${id}::uuid order by id limit ${limit} for update skip locked)
      `.execute(executor)
      return Number(numAffectedRows ?? 0n)
    },
  }
}

function pageQuery(executor: Executor, { filter, from, before, limit }: AuditPage) {
  let query = executor.selectFrom('audit_events').selectAll().orderBy('id', 'desc').limit(limit)
  if (from !== undefined) query = query.where('id', '>=', from)
  if (before !== undefined) query = query.where('id', '<', before)
  for (const [column, value] of columnsOf(filter)) query = query.where(column, '=', value)
  return query
}

function columnsOf(filter: AuditFilter | undefined): ['actor_id' | 'action' | 'target_kind' | 'target_id', string][] {
  if (filter === undefined) return []
  if ('actor' in filter) return [['actor_id', filter.actor]]
  if ('action' in filter) return [['action', filter.action]]
  const { kind, id } = filter.target
  return [
    ['target_kind', kind],
    ['target_id', id],
  ]
}

/**
 * There are few actions and any number of events. The actions are read one by one off their index, and then of each only
 * the newest events, so that the work is of the size of the page. Compared as pairs, they can be read off no other index:
 * by the time alone, whoever looks for a rare action would go through everything.
 */
const actionsQuery = (beginning: string, { from, before, limit }: Omit<AuditPage, 'filter'>) => sql<Row>`
  with recursive actions (action) as (
    (select action from audit_events order by action limit 1)
    union all
    select (select next.action from audit_events next where next.action > actions.action order by next.action limit 1)
    from actions where actions.action is not null
  )
  select event.* from actions cross join lateral (
    select * from audit_events
    where (action, id) >= (actions.action, ${from ?? LEAST}::uuid)
      and (action, id) < (actions.action, ${before ?? GREATEST}::uuid)
    order by action desc, id desc limit ${limit}
  ) event
  where starts_with(actions.action, ${beginning})
  order by event.id desc limit ${limit}`

const LEAST = '00000000-0000-0000-0000-000000000000'
const GREATEST = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

const fromRow = (row: Row): AuditEntry => ({
  id: row.id,
  at: row.created_at,
  actor: { kind: row.actor_kind, id: row.actor_id ?? undefined, clientId: row.client_id ?? undefined },
  action: row.action,
  target: { kind: row.target_kind, id: row.target_id },
  before: row.before,
  after: row.after,
  requestId: row.request_id ?? undefined,
  address: row.address ?? undefined,
})
