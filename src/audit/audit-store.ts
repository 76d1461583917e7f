/** The audit_events table. */
import type { Actor, AuditEvent } from '../audit-event.ts'
import { uuidv7 } from '../ids.ts'
import type { Executor } from '../storage/tables.ts'

export type AuditStore = ReturnType<typeof createAuditStore>

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createAuditStore() {
  return {
    async insert(executor: Executor, actor: Actor, { action, target, before, after }: AuditEvent): Promise<void> {
      await executor
        .insertInto('audit_events')
        .values({
          id: uuidv7(),
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
        })
        .execute()
    },
  }
}
