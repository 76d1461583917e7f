/** The outbox table. Time is the database's own: the processes that share it need not agree on theirs. */
import { type Selectable, sql } from 'kysely'
import { uuidv7 } from '../ids.ts'
import type { Executor, OutboxTable } from '../storage/tables.ts'
import type { Intent, NewIntent } from './intent.ts'

/** An intent in the hands of one worker. */
export interface Claimed extends Intent {
  leaseId: string
}

export type OutboxStore = ReturnType<typeof createOutboxStore>

export function createOutboxStore() {
  return {
    async insert(executor: Executor, { kind, email, accountId, data = {} }: NewIntent): Promise<void> {
      await executor
        .insertInto('outbox')
        .values({
          id: uuidv7(),
          kind,
          email: email ?? null,
          account_id: accountId ?? null,
          data: JSON.stringify(data),
          lease_id: null,
          leased_until: null,
        })
        .execute()
    },

    /**
     * Takes up to `limit` due intents of the given kinds for `leaseSeconds`. One statement, so no transaction stays
     * open while mail is sent; of two workers each takes rows that the other has not.
     */
    async claim(
      executor: Executor,
      { kinds, limit, leaseSeconds }: { kinds: readonly string[]; limit: number; leaseSeconds: number },
    ): Promise<Claimed[]> {
      const leaseId = uuidv7()
      // Materialized: joined into the update, the limit could be taken once per row.
      const { rows } = await sql<Selectable<OutboxTable>>`
        with due as materialized (
          select id from outbox
          where due_at <= clock_timestamp() and (leased_until is null or leased_until <= clock_timestamp())
            and kind in (${sql.join(kinds)})
          order by due_at limit ${limit} for update skip locked)
        update outbox set attempts = attempts + 1, lease_id = ${leaseId},
          leased_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
        from due where outbox.id = due.id
        returning outbox.*
      `.execute(executor)
      return rows.map((row) => ({ ...fromRow(row), leaseId }))
    },

    /** Ends an intent: it was delivered, or it was given up. Whoever has lost the lease ends nothing. */
    async remove(executor: Executor, { id, leaseId }: Claimed): Promise<void> {
      await executor.deleteFrom('outbox').where('id', '=', id).where('lease_id', '=', leaseId).execute()
    },

    /** Returns an intent, due again after `delayMs`. */
    async postpone(executor: Executor, { id, leaseId }: Claimed, delayMs: number): Promise<void> {
      await sql`
        update outbox set lease_id = null, leased_until = null,
          due_at = clock_timestamp() + make_interval(secs => ${delayMs / 1000})
        where id = ${id} and lease_id = ${leaseId}
      `.execute(executor)
    },
  }
}

const fromRow = (row: Selectable<OutboxTable>): Intent => ({
  id: row.id,
  kind: row.kind,
  email: row.email ?? undefined,
  accountId: row.account_id ?? undefined,
  data: row.data,
  attempts: row.attempts,
  createdAt: row.created_at,
})
