/** The parts that what an account holds is put together from, each read by one statement. */
import { CompiledQuery } from 'kysely'
import type { Executor } from '../storage/tables.ts'
import type { AccountPart, ResourceServerPart, RolePart, TeamPart } from './holding.ts'
import { NON_REGISTERED, USER } from './role.ts'

export type CombinedPermissionsStore = ReturnType<typeof createCombinedPermissionsStore>

const ACCOUNT_PART = `
  select 'account' as kind, status as value, null as resource from accounts where id = $1
  union all
  select 'permission', permissions.key, permissions.resource_id::text from account_permissions
    join permissions on permissions.id = account_permissions.permission_id where account_permissions.account_id = $1
  union all
  select 'role', role_id::text, null from account_roles where account_id = $1
  union all
  select 'role', id::text, null from roles where key = '${USER}'
  union all
  select 'team', team_id::text, null from team_members where account_id = $1`

const STRANGER_PART = `select id from roles where key = '${NON_REGISTERED}'`

const TEAM_PARTS = `
  select team_closure.team_id as id, team_closure.ancestor_id as "ancestorId", team_roles.role_id as "roleId"
    from team_closure left join team_roles on team_roles.team_id = team_closure.ancestor_id
    where team_closure.team_id = any($1::uuid[])`

const ROLE_PARTS = `
  select role_closure.role_id as id, 'role' as kind, roles.key as value, roles.id::text as other
    from role_closure join roles on roles.id = role_closure.included_id where role_closure.role_id = any($1::uuid[])
  union all
  select role_closure.role_id, 'permission', permissions.key, permissions.resource_id::text
    from role_closure join role_permissions on role_permissions.role_id = role_closure.included_id
    join permissions on permissions.id = role_permissions.permission_id where role_closure.role_id = any($1::uuid[])`

const RESOURCE_SERVER_PART = 'select id, permissions_claim as "hasClaim" from resources where audience = $1'

interface AccountRow {
  kind: 'account' | 'permission' | 'role' | 'team'
  value: string
  resource: string | null
}
interface TeamRow {
  id: string
  ancestorId: string
  roleId: string | null
}
interface RoleRow {
  id: string
  kind: 'role' | 'permission'
  value: string
  /** Of a role its id, of a permission its resource. */
  other: string | null
}

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createCombinedPermissionsStore() {
  async function ask<Row>(executor: Executor, text: string, parameters: readonly unknown[]): Promise<Row[]> {
    const query: CompiledQuery<Row> = CompiledQuery.raw(text, [...parameters])
    return (await executor.executeQuery(query)).rows
  }

  return {
    async account(executor: Executor, id: string): Promise<AccountPart | undefined> {
      const rows = await ask<AccountRow>(executor, ACCOUNT_PART, [id])
      const account = rows.find(({ kind }) => kind === 'account')
      if (!account) return undefined
      const valuesOf = (wanted: AccountRow['kind']) =>
        rows.filter(({ kind }) => kind === wanted).map(({ value }) => value)
      return {
        isActive: account.value === 'active',
        permissions: new Map(
          rows.flatMap(({ kind, value, resource }) => (kind === 'permission' ? [[value, resource]] : [])),
        ),
        roleIds: valuesOf('role'),
        teamIds: valuesOf('team'),
      }
    },

    /** What those hold who have not signed in. */
    async stranger(executor: Executor): Promise<AccountPart> {
      const rows = await ask<{ id: string }>(executor, STRANGER_PART, [])
      return { isActive: true, permissions: new Map(), roleIds: rows.map(({ id }) => id), teamIds: [] }
    },

    /** One for every id, also for one that is no team. */
    async teams(executor: Executor, ids: readonly string[]): Promise<Map<string, TeamPart>> {
      const rows = await ask<TeamRow>(executor, TEAM_PARTS, [ids])
      return groupedBy(ids, rows, (own) => ({
        ancestorIds: new Set(own.map(({ ancestorId }) => ancestorId)),
        roleIds: [...new Set(own.flatMap(({ roleId }) => roleId ?? []))],
      }))
    },

    /** One for every id, also for one that is no role. */
    async roles(executor: Executor, ids: readonly string[]): Promise<Map<string, RolePart>> {
      const rows = await ask<RoleRow>(executor, ROLE_PARTS, [ids])
      return groupedBy(ids, rows, (own) => ({
        includedIds: new Set(own.flatMap(({ kind, other }) => (kind === 'role' ? (other ?? []) : []))),
        roleKeys: own.flatMap(({ kind, value }) => (kind === 'role' ? value : [])),
        permissions: new Map(own.flatMap(({ kind, value, other }) => (kind === 'permission' ? [[value, other]] : []))),
      }))
    },

    async resourceServer(executor: Executor, audience: string): Promise<ResourceServerPart> {
      const rows = await ask<{ id: string; hasClaim: boolean }>(executor, RESOURCE_SERVER_PART, [audience])
      return { hasClaim: rows.some(({ hasClaim }) => hasClaim), resourceIds: new Set(rows.map(({ id }) => id)) }
    },
  }
}

function groupedBy<Row extends { id: string }, Part>(
  ids: readonly string[],
  rows: readonly Row[],
  partOf: (own: readonly Row[]) => Part,
): Map<string, Part> {
  const groups = Map.groupBy(rows, ({ id }) => id)
  return new Map(ids.map((id) => [id, partOf(groups.get(id) ?? [])]))
}
