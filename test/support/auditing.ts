/** The audit log of a test's own database. */
import { createAuditLog } from '../../src/audit/audit-log.ts'
import { createAuditStore } from '../../src/audit/audit-store.ts'
import type { Database } from '../../src/storage/tables.ts'

export const auditOf = (db: Database) => createAuditLog({ db, store: createAuditStore() })
