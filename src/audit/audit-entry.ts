/** An event of the audit log as it is read. */
import type { Actor } from '../audit-event.ts'

export interface AuditEntry {
  /** UUIDv7, in the order of time. */
  id: string
  at: Date
  actor: { kind: Actor['kind']; id: string | undefined; clientId: string | undefined }
  action: string
  target: { kind: string; id: string }
  before: object | null
  after: object | null
  requestId: string | undefined
  address: string | undefined
}

/** What an index serves; with two of them a page could cost the reading of the whole log. */
export type AuditFilter = { actor: string } | { target: { kind: string; id: string } } | { action: string }

export interface AuditPage {
  filter?: AuditFilter | undefined
  /** The first id that belongs to it. */
  from?: string | undefined
  /** The first id that does not any more. */
  before?: string | undefined
  limit: number
}
