/** The use cases of access over a database, without a server. */
import { type Access, createAccess } from '../../src/access/access.ts'
import { type AccessChanges, createAccessChanges } from '../../src/access/access-change.ts'
import { createAccessChangeStore } from '../../src/access/access-change-store.ts'
import { createPermissionStore } from '../../src/access/permission-store.ts'
import { createResourceStore } from '../../src/access/resource-store.ts'
import { createRoleGraphStore } from '../../src/access/role-graph-store.ts'
import { createRoleStore } from '../../src/access/role-store.ts'
import { createAuditStore } from '../../src/audit/audit-store.ts'
import type { Database } from '../../src/storage/tables.ts'

export const changesOn = (db: Database): AccessChanges =>
  createAccessChanges({
    db,
    store: createAccessChangeStore(),
    audit: (executor, actor, event) => createAuditStore().insert(executor, actor, event),
    announce: () => undefined,
  })

export const accessOn = (db: Database): Access =>
  createAccess({
    db,
    changes: changesOn(db),
    stores: {
      roles: createRoleStore(),
      graph: createRoleGraphStore(),
      permissions: createPermissionStore(),
      resources: createResourceStore(),
    },
  })
