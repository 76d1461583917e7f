/** Rows of the access model, written as they are meant to lie in the tables, beside the use cases that write them. */
import { createAccessChanges } from '../../src/access/access-change.ts'
import { createAccessChangeStore } from '../../src/access/access-change-store.ts'
import { createCombinedPermissions } from '../../src/access/combined-permissions.ts'
import { createCombinedPermissionsStore } from '../../src/access/combined-permissions-store.ts'
import { createExplanationStore } from '../../src/access/explanation-store.ts'
import { createFreshness } from '../../src/access/freshness.ts'
import { createFreshnessStore } from '../../src/access/freshness-store.ts'
import { createPolicyDecision } from '../../src/access/policy-decision.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { uuidv7 } from '../../src/ids.ts'
import type { Database, Executor, Tables } from '../../src/storage/tables.ts'

/** One process over a database: what it decides, and how it learns that it must forget. */
export function processOver(db: Database, { clock = systemClock }: { clock?: Clock } = {}) {
  const freshness = createFreshness({ db, store: createFreshnessStore(), clock, onAnnouncement: () => undefined })
  const combined = createCombinedPermissions({ db, store: createCombinedPermissionsStore(), freshness })
  const decisions = createPolicyDecision({ db, store: createExplanationStore(), combined })
  const changes = createAccessChanges({
    db,
    store: createAccessChangeStore(),
    audit: async () => undefined,
    announce: freshness.markStale,
  })
  return { freshness, decisions, changes }
}

export type AccessModel = ReturnType<typeof accessModel>

export function accessModel(db: Executor) {
  const keyOf = new Map<string, string>()
  let serial = 0

  async function add<T extends keyof Tables & ('permissions' | 'roles' | 'teams' | 'resources')>(
    table: T,
    key: string,
    more: object = {},
  ): Promise<string> {
    const id = uuidv7()
    await db
      .insertInto(table as 'permissions')
      .values({ id, key, ...more })
      .execute()
    keyOf.set(id, key)
    return id
  }

  return {
    async account(status: 'active' | 'disabled' = 'active'): Promise<string> {
      const id = uuidv7()
      serial += 1
      const email = `model-${serial}-${id}@example.org`
      await db.insertInto('accounts').values({ id, email, status, profile: '{}', attributes: '{}' }).execute()
      return id
    },

    permission: (key: string, resource?: string) => add('permissions', key, { resource_id: resource ?? null }),

    resource: (key: string, audience: string, hasClaim: boolean) =>
      add('resources', key, { audience, permissions_claim: hasClaim }),

    /** With permissions, by id. */
    async role(key: string, ...permissions: string[]): Promise<string> {
      const id = await add('roles', key)
      await db.insertInto('role_closure').values({ role_id: id, included_id: id }).execute()
      for (const permission of permissions) await this.hold(id, permission)
      return id
    },

    roleId: async (key: string): Promise<string> =>
      (await db.selectFrom('roles').select('id').where('key', '=', key).executeTakeFirstOrThrow()).id,

    permissionId: async (key: string): Promise<string> =>
      (await db.selectFrom('permissions').select('id').where('key', '=', key).executeTakeFirstOrThrow()).id,

    async hold(role: string, permission: string, executor: Executor = db): Promise<void> {
      await executor.insertInto('role_permissions').values({ role_id: role, permission_id: permission }).execute()
    },

    /** Whatever reaches the role reaches from now on what the other one reaches. */
    async include(role: string, included: string, executor: Executor = db): Promise<void> {
      await executor.insertInto('role_includes').values({ role_id: role, included_id: included }).execute()
      await executor
        .insertInto('role_closure')
        .columns(['role_id', 'included_id'])
        .expression((from) =>
          from
            .selectFrom('role_closure as above')
            .innerJoin('role_closure as below', (join) => join.on('below.role_id', '=', included))
            .where('above.included_id', '=', role)
            .select(['above.role_id', 'below.included_id']),
        )
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    },

    async team(key: string, parent?: string): Promise<string> {
      const id = await add('teams', key, { parent_id: parent ?? null })
      await db.insertInto('team_closure').values({ team_id: id, ancestor_id: id }).execute()
      if (parent === undefined) return id
      const above = await db.selectFrom('team_closure').select('ancestor_id').where('team_id', '=', parent).execute()
      await db
        .insertInto('team_closure')
        .values(above.map(({ ancestor_id }) => ({ team_id: id, ancestor_id })))
        .execute()
      return id
    },

    async join(account: string, team: string, executor: Executor = db): Promise<void> {
      await executor.insertInto('team_members').values({ account_id: account, team_id: team }).execute()
    },

    async giveTeam(team: string, role: string, executor: Executor = db): Promise<void> {
      await executor.insertInto('team_roles').values({ team_id: team, role_id: role }).execute()
    },

    async assign(account: string, role: string, executor: Executor = db): Promise<void> {
      await executor.insertInto('account_roles').values({ account_id: account, role_id: role }).execute()
    },

    async unassign(account: string, role: string, executor: Executor = db): Promise<void> {
      await executor.deleteFrom('account_roles').where('account_id', '=', account).where('role_id', '=', role).execute()
    },

    async grant(account: string, permission: string, executor: Executor = db): Promise<void> {
      await executor
        .insertInto('account_permissions')
        .values({ account_id: account, permission_id: permission })
        .execute()
    },
  }
}
