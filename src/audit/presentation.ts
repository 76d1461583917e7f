/** Events as the API shows them to those who may read them. */
import type { AuditEntry } from './audit-entry.ts'

export const presentAuditEvent = (entry: AuditEntry) => ({
  id: entry.id,
  at: entry.at.toISOString(),
  actor: { kind: entry.actor.kind, id: entry.actor.id ?? null, client_id: entry.actor.clientId ?? null },
  action: entry.action,
  target: { kind: entry.target.kind, id: entry.target.id },
  before: entry.before,
  after: entry.after,
  request_id: entry.requestId ?? null,
  address: entry.address ?? null,
})
