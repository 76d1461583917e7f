/** Where an account's permissions come from, as the tables say it at this moment. */
import { CompiledQuery } from 'kysely'
import type { Executor } from '../storage/tables.ts'
import { NON_REGISTERED, USER } from './role.ts'

export type ExplanationStore = ReturnType<typeof createExplanationStore>

/** A role as it comes to an account. */
export interface RootRole {
  id: string
  /** Of the team that gives it, if one does. */
  team: string | null
}

export interface Include {
  roleId: string
  includedId: string
}

export interface RolePermission {
  roleId: string
  permission: string
}

const MAX_ROOTS = 200
const MAX_EDGES = 5_000

const ROOTS = `
  select role_id as id, null as team from account_roles where account_id = $1
  union
  select id, null from roles where key = '${USER}'
  union
  select team_roles.role_id, teams.key from team_members
    join team_closure on team_closure.team_id = team_members.team_id
    join team_roles on team_roles.team_id = team_closure.ancestor_id
    join teams on teams.id = team_roles.team_id where team_members.account_id = $1
  order by id, team limit ${MAX_ROOTS}`

const STRANGER_ROOTS = `select id, null as team from roles where key = '${NON_REGISTERED}'`

const DIRECT = `
  select permissions.key from account_permissions
    join permissions on permissions.id = account_permissions.permission_id
    where account_permissions.account_id = $1 and permissions.key = any($2::text[])`

const ROLES = `
  select distinct roles.id, roles.key from role_closure join roles on roles.id = role_closure.included_id
    where role_closure.role_id = any($1::uuid[]) order by roles.id limit ${MAX_EDGES}`

const INCLUDES = `
  select role_id as "roleId", included_id as "includedId" from role_includes where role_id = any($1::uuid[])
    order by role_id, included_id limit ${MAX_EDGES}`

const HELD_BY_ROLES = `
  select role_permissions.role_id as "roleId", permissions.key as permission from role_permissions
    join permissions on permissions.id = role_permissions.permission_id
    where role_permissions.role_id = any($1::uuid[]) and permissions.key = any($2::text[])
    order by permissions.key, role_permissions.role_id limit ${MAX_EDGES}`

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createExplanationStore() {
  async function ask<Row>(executor: Executor, text: string, parameters: readonly unknown[]): Promise<Row[]> {
    const query: CompiledQuery<Row> = CompiledQuery.raw(text, [...parameters])
    return (await executor.executeQuery(query)).rows
  }

  return {
    /** The roles that come to an account first; `non_registered` is whoever has not signed in. */
    roots: (executor: Executor, accountId: string): Promise<RootRole[]> =>
      accountId === NON_REGISTERED ? ask(executor, STRANGER_ROOTS, []) : ask(executor, ROOTS, [accountId]),

    /** Those of the permissions that the account has without a role. */
    async direct(executor: Executor, accountId: string, keys: readonly string[]): Promise<string[]> {
      if (accountId === NON_REGISTERED) return []
      return (await ask<{ key: string }>(executor, DIRECT, [accountId, keys])).map(({ key }) => key)
    },

    /** Every role that these reach, themselves among them: its key by its id. */
    async reached(executor: Executor, roleIds: readonly string[]): Promise<Map<string, string>> {
      const rows = await ask<{ id: string; key: string }>(executor, ROLES, [roleIds])
      return new Map(rows.map(({ id, key }) => [id, key]))
    },

    includes: (executor: Executor, roleIds: readonly string[]): Promise<Include[]> =>
      ask(executor, INCLUDES, [roleIds]),

    /** Which of these roles hold which of these permissions themselves. */
    heldBy: (executor: Executor, roleIds: readonly string[], keys: readonly string[]): Promise<RolePermission[]> =>
      ask(executor, HELD_BY_ROLES, [roleIds, keys]),
  }
}
