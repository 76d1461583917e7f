/** The teams, their members and their roles. */
import { CompiledQuery } from 'kysely'
import { uuidv7 } from '../ids.ts'
import { type PrefixPage, prefixPage } from '../storage/prefix-page.ts'
import type { Executor } from '../storage/tables.ts'
import { createTree } from '../storage/tree.ts'
import type { Member, Team, TeamRole } from './team.ts'

export type TeamStore = ReturnType<typeof createTeamStore>

export interface MemberPage {
  limit: number
  /** The account of the last member of the page before. */
  after?: string | undefined
}

// The roles of the team and of every team above it, each with the roles it includes.
const PERMISSION_KEYS_REACHING = `
  select distinct permissions.key from team_closure
    join team_roles on team_roles.team_id = team_closure.ancestor_id
    join role_closure on role_closure.role_id = team_roles.role_id
    join role_permissions on role_permissions.role_id = role_closure.included_id
    join permissions on permissions.id = role_permissions.permission_id
  where team_closure.team_id = $1`

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createTeamStore() {
  return {
    /** Teams with themselves and all above them. */
    tree: createTree({ closure: 'team_closure', node: 'team_id' }),

    async findById(executor: Executor, id: string): Promise<Team | undefined> {
      return selectTeam(executor).where('teams.id', '=', id).executeTakeFirst()
    },

    async findByKey(executor: Executor, key: string): Promise<Team | undefined> {
      return selectTeam(executor).where('teams.key', '=', key).executeTakeFirst()
    },

    /** In the order of their keys. */
    async page(executor: Executor, page: PrefixPage): Promise<Team[]> {
      return prefixPage(selectTeam(executor), { column: 'teams.key', id: 'teams.id' }, page).execute()
    },

    /** Every team with the keys of its roles; those above come before those below. */
    async all(executor: Executor): Promise<(Team & { roles: string[] })[]> {
      const teams = await selectTeam(executor)
        .select(({ selectFrom, fn }) =>
          selectFrom('team_closure')
            .select(fn.countAll<string>().as('depth'))
            .whereRef('team_closure.team_id', '=', 'teams.id')
            .as('depth'),
        )
        .orderBy('depth')
        .orderBy('teams.key')
        .execute()
      const rows = await selectRole(executor).select('team_roles.team_id as teamId').orderBy('roles.key').execute()
      const held = Map.groupBy(rows, ({ teamId }) => teamId)
      return teams.map(({ depth: _, ...team }) => ({ ...team, roles: (held.get(team.id) ?? []).map(({ key }) => key) }))
    },

    /** Undefined when there is one with this key. */
    async insert(
      executor: Executor,
      team: { key: string; description: string; parentId: string | null },
    ): Promise<string | undefined> {
      const row = await executor
        .insertInto('teams')
        .values({ id: uuidv7(), key: team.key, description: team.description, parent_id: team.parentId })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('id')
        .executeTakeFirst()
      return row?.id
    },

    async update(
      executor: Executor,
      id: string,
      { description, parentId }: { description: string; parentId: string | null },
    ): Promise<void> {
      await executor
        .updateTable('teams')
        .set({ description, parent_id: parentId, updated_at: new Date() })
        .where('id', '=', id)
        .execute()
    },

    /** With its members and roles. Throws SQLSTATE 23503 while there are teams below it. */
    async remove(executor: Executor, id: string): Promise<void> {
      await executor.deleteFrom('teams').where('id', '=', id).execute()
    },

    /** What lies directly on a team. */
    async contentsOf(executor: Executor, id: string): Promise<{ teams: number; members: number; roles: number }> {
      const row = await executor
        .selectNoFrom(({ selectFrom, fn }) => [
          selectFrom('teams').select(fn.countAll<string>().as('count')).where('parent_id', '=', id).as('teams'),
          selectFrom('team_members').select(fn.countAll<string>().as('count')).where('team_id', '=', id).as('members'),
          selectFrom('team_roles').select(fn.countAll<string>().as('count')).where('team_id', '=', id).as('roles'),
        ])
        .executeTakeFirstOrThrow()
      return { teams: Number(row.teams), members: Number(row.members), roles: Number(row.roles) }
    },

    /** What a member of this team holds by it, in no order. */
    async permissionKeysReaching(executor: Executor, id: string): Promise<string[]> {
      const query: CompiledQuery<{ key: string }> = CompiledQuery.raw(PERMISSION_KEYS_REACHING, [id])
      return (await executor.executeQuery(query)).rows.map(({ key }) => key)
    },

    async findMember(executor: Executor, id: string, accountId: string): Promise<Member | undefined> {
      return selectMember(executor).where('team_id', '=', id).where('account_id', '=', accountId).executeTakeFirst()
    },

    /** In the order of their accounts. */
    async members(executor: Executor, id: string, { limit, after }: MemberPage): Promise<Member[]> {
      const query = selectMember(executor).where('team_id', '=', id).orderBy('account_id').limit(limit)
      return (after === undefined ? query : query.where('account_id', '>', after)).execute()
    },

    /** In order; all of them without a limit. */
    async memberIds(executor: Executor, id: string, { limit, after }: Partial<MemberPage> = {}): Promise<string[]> {
      let query = executor.selectFrom('team_members').select('account_id').where('team_id', '=', id)
      if (after !== undefined) query = query.where('account_id', '>', after)
      if (limit !== undefined) query = query.limit(limit)
      return (await query.orderBy('account_id').execute()).map((row) => row.account_id)
    },

    /** Adds the member or says anew whether it manages. Throws SQLSTATE 23503 when there is no such account. */
    async putMember(executor: Executor, id: string, accountId: string, isManager: boolean): Promise<void> {
      await executor
        .insertInto('team_members')
        .values({ team_id: id, account_id: accountId, is_manager: isManager })
        .onConflict((conflict) => conflict.columns(['team_id', 'account_id']).doUpdateSet({ is_manager: isManager }))
        .execute()
    },

    async removeMember(executor: Executor, id: string, accountId: string): Promise<void> {
      await executor.deleteFrom('team_members').where('team_id', '=', id).where('account_id', '=', accountId).execute()
    },

    /** Whether an active account manages this very team. */
    async isManager(executor: Executor, id: string, accountId: string): Promise<boolean> {
      const row = await executor
        .selectFrom('team_members')
        .innerJoin('accounts', 'accounts.id', 'team_members.account_id')
        .select('team_members.team_id')
        .where('team_members.team_id', '=', id)
        .where('team_members.account_id', '=', accountId)
        .where('team_members.is_manager', '=', true)
        .where('accounts.status', '=', 'active')
        .executeTakeFirst()
      return row !== undefined
    },

    /** In the order of their keys. */
    async roles(executor: Executor, id: string): Promise<TeamRole[]> {
      return selectRole(executor).where('team_roles.team_id', '=', id).orderBy('roles.key').execute()
    },

    async pageOfRoles(executor: Executor, id: string, page: PrefixPage): Promise<TeamRole[]> {
      const query = selectRole(executor).where('team_roles.team_id', '=', id)
      return prefixPage(query, { column: 'roles.key', id: 'roles.id' }, page).execute()
    },

    /** False when the team has it already. */
    async addRole(executor: Executor, id: string, roleId: string): Promise<boolean> {
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('team_roles')
        .values({ team_id: id, role_id: roleId })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      return written === 1n
    },

    async removeRole(executor: Executor, id: string, roleId: string): Promise<void> {
      await executor.deleteFrom('team_roles').where('team_id', '=', id).where('role_id', '=', roleId).execute()
    },
  }
}

const selectTeam = (executor: Executor) =>
  executor
    .selectFrom('teams')
    .leftJoin('teams as above', 'above.id', 'teams.parent_id')
    .select([
      'teams.id',
      'teams.key',
      'teams.description',
      'above.key as parent',
      'teams.created_at as createdAt',
      'teams.updated_at as updatedAt',
    ])

const selectMember = (executor: Executor) =>
  executor
    .selectFrom('team_members')
    .select(['account_id as accountId', 'is_manager as isManager', 'created_at as createdAt'])

const selectRole = (executor: Executor) =>
  executor
    .selectFrom('team_roles')
    .innerJoin('roles', 'roles.id', 'team_roles.role_id')
    .select(['roles.id', 'roles.key', 'roles.description'])
