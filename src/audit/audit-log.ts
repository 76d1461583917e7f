/** The record of every change, for those who may read it. Events are written by whoever makes a change, in its transaction. */
import type { AuditSink } from '../audit-event.ts'
import type { Executor } from '../storage/tables.ts'
import type { AuditStore } from './audit-store.ts'

export type AuditLog = ReturnType<typeof createAuditLog>

export function createAuditLog({ store }: { store: AuditStore }) {
  const record: AuditSink<Executor> = (executor, actor, event) => store.insert(executor, actor, event)
  return { record }
}
