/** Teams over a real database, with accounts and roles to put into them. */
import { createAccess } from '../../src/access/access.ts'
import { createAccessChanges } from '../../src/access/access-change.ts'
import { createAccessChangeStore } from '../../src/access/access-change-store.ts'
import { createPermissionStore } from '../../src/access/permission-store.ts'
import { createResourceStore } from '../../src/access/resource-store.ts'
import { createRoleGraphStore } from '../../src/access/role-graph-store.ts'
import { createRoleStore } from '../../src/access/role-store.ts'
import { createAuditStore } from '../../src/audit/audit-store.ts'
import { type Actor, OPERATOR } from '../../src/audit-event.ts'
import { uuidv7 } from '../../src/ids.ts'
import type { Database } from '../../src/storage/tables.ts'
import { createTeamStore } from '../../src/teams/team-store.ts'
import { createTeams } from '../../src/teams/teams.ts'

export type TeamWorld = Awaited<ReturnType<typeof teamsOn>>

export async function teamsOn(db: Database) {
  const changeStore = createAccessChangeStore()
  const { insert: audit } = createAuditStore()
  const changes = createAccessChanges({ db, store: changeStore, audit, announce: () => undefined })
  const stores = {
    roles: createRoleStore(),
    graph: createRoleGraphStore(),
    permissions: createPermissionStore(),
    resources: createResourceStore(),
  }
  const access = createAccess({ db, changes, stores })
  const store = createTeamStore()
  const teams = createTeams({ db, changes, store, roles: access })
  await access.initialize()

  const account = async (): Promise<string> => {
    const id = uuidv7()
    const json = JSON.stringify({})
    await db
      .insertInto('accounts')
      .values({ id, email: `${id}@example.org`, profile: json, attributes: json })
      .execute()
    return id
  }

  return {
    db,
    changes,
    access,
    store,
    teams,
    account,

    actorOf: (id: string): Actor => ({ kind: 'account', id }),

    /** A role that holds permissions of these keys, made where they are missing. */
    async role(key: string, permissions: string[]): Promise<string> {
      for (const permission of permissions) await access.ensurePermission({ key: permission })
      await access.ensureRole({ key, permissions })
      return key
    },

    team: async (key: string, parent: string | null = null) => teams.create(OPERATOR, { key, parent }),

    /** What an account holds by everything there is, sorted. */
    held: async (accountId: string): Promise<string[]> => (await changeStore.permissionKeysOf(db, accountId)).sort(),

    /** What the last write touched, sorted. */
    async touched(): Promise<string[]> {
      const rows = await db
        .selectFrom('access_changes')
        .innerJoin('access_version', 'access_version.version', 'access_changes.version')
        .select(['kind', 'subject'])
        .execute()
      return rows.map(({ kind, subject }) => `${kind} ${subject}`).sort()
    },

    /** The latest events about teams, oldest first. */
    async events(targetId: string) {
      return db.selectFrom('audit_events').selectAll().where('target_id', '=', targetId).orderBy('id').execute()
    },
  }
}
