/**
 * An installation of a given size, put into the tables at once: every account has two roles, a permission of its own and a
 * team, every role twenty permissions and up to three roles below it, and teams lie five deep. Its ids can be told.
 */
import { type RawBuilder, sql } from 'kysely'
import type { OpenDatabase } from '../../src/storage/database.ts'
import type { Database } from '../../src/storage/tables.ts'
import { inTransaction } from '../../src/storage/transaction.ts'

export interface ModelSize {
  accounts: number
  roles: number
  permissions: number
  teams: number
  /** Also of resources, clients and visibility groups. Default: as many as there are roles. */
  others?: number
}

const KINDS = {
  account: 'a0000000',
  role: 'b0000000',
  permission: 'c0000000',
  team: 'd0000000',
  resource: 'e0000000',
  group: 'f0000000',
  event: '01890000',
  signIn: '01890001',
} as const
type Kind = keyof typeof KINDS

/** The id of the nth of a kind, counted from 0. */
export const idOf = (kind: Kind, place: number): string =>
  `${KINDS[kind]}-0000-7000-8000-${place.toString(16).padStart(12, '0')}`

const id = (kind: Kind, place: string): RawBuilder<string> =>
  sql.raw(`('${KINDS[kind]}-0000-7000-8000-' || lpad(to_hex((${place})::bigint), 12, '0'))::uuid`)

const PERMISSIONS_OF_A_ROLE = 20
const SIGN_INS_OF_ONE = 1_000
const EVENTS_OF_ONE = 1_000

/** Adds the model to an installation that has been initialized, and lets the planner know. */
export async function loadModel(database: OpenDatabase, size: ModelSize): Promise<void> {
  await database.withoutDeadline(async (db) => {
    await inTransaction(db, async (executor) => {
      // What is put in refers to what is put in; checking each would take most of the time.
      await sql`set local session_replication_role = replica`.execute(executor)
      for (const statement of statementsFor(size)) await statement.execute(executor as Database)
    })
    await sql`vacuum analyze`.execute(db)
  })
}

function statementsFor({ accounts, roles, permissions, teams, others = roles }: ModelSize): RawBuilder<unknown>[] {
  const [A, R, P, T, O] = [accounts, roles, permissions, teams, others].map((count) => sql.lit(count)) as Counts
  const raw = (count: number) => String(count)
  return [
    sql`insert into accounts (id, email, email_verified, username, profile, attributes)
      select ${id('account', 'n')}, 'user-' || n || '@example.org', true, 'name-' || n, '{}', '{}'
      from generate_series(0, ${A} - 1) n`,
    sql`insert into resources (id, key) select ${id('resource', 'n')}, 'resource-' || n
      from generate_series(0, ${O} - 1) n`,
    sql`insert into permissions (id, key, resource_id)
      select ${id('permission', 'n')}, 'area-' || n % 100 || ':act-' || n, ${id('resource', `n % ${raw(others)}`)}
      from generate_series(0, ${P} - 1) n`,
    sql`insert into roles (id, key) select ${id('role', 'n')}, 'role-' || n from generate_series(0, ${R} - 1) n`,
    sql`insert into role_permissions (role_id, permission_id)
      select distinct ${id('role', 'n')}, ${id('permission', `(n * ${PERMISSIONS_OF_A_ROLE} + k) % ${raw(permissions)}`)}
      from generate_series(0, ${R} - 1) n, generate_series(0, ${sql.lit(PERMISSIONS_OF_A_ROLE - 1)}) k`,
    // In chains of four.
    sql`insert into role_includes (role_id, included_id) select ${id('role', 'n')}, ${id('role', 'n + 1')}
      from generate_series(0, ${R} - 2) n where n % 4 < 3`,
    sql`insert into role_closure (role_id, included_id) select ${id('role', 'n')}, ${id('role', 'n + k')}
      from generate_series(0, ${R} - 1) n, generate_series(0, 3) k where n % 4 + k < 4 and n + k < ${R}`,
    sql`insert into account_roles (account_id, role_id)
      select distinct ${id('account', 'n')}, ${id('role', `(n * (k * 6 + 1) + k) % ${raw(roles)}`)}
      from generate_series(0, ${A} - 1) n, generate_series(0, 1) k`,
    sql`insert into account_permissions (account_id, permission_id)
      select ${id('account', 'n')}, ${id('permission', `n % ${raw(permissions)}`)} from generate_series(0, ${A} - 1) n`,
    // Ten below each; the first is at the top.
    sql`insert into teams (id, key, parent_id)
      select ${id('team', 'n')}, 'team-' || n, case when n = 0 then null else ${id('team', '(n - 1) / 10')} end
      from generate_series(0, ${T} - 1) n`,
    sql`insert into team_closure (team_id, ancestor_id)
      with recursive above (team, ancestor) as (
        select n, n from generate_series(0, ${T} - 1) n
        union all select team, (ancestor - 1) / 10 from above where ancestor > 0
      ) select ${id('team', 'team')}, ${id('team', 'ancestor')} from above`,
    sql`insert into team_roles (team_id, role_id) select ${id('team', 'n')}, ${id('role', `n % ${raw(roles)}`)}
      from generate_series(0, ${T} - 1) n`,
    sql`insert into team_members (team_id, account_id, is_manager)
      select ${id('team', `n % ${raw(teams)}`)}, ${id('account', 'n')}, n < ${T} from generate_series(0, ${A} - 1) n`,
    sql`insert into visibility_groups (id, key, parent_id)
      select ${id('group', 'n')}, 'group-' || n, root.id
      from generate_series(0, ${O} - 1) n, (select id from visibility_groups where parent_id is null) root`,
    sql`insert into visibility_closure (group_id, ancestor_id)
      select ${id('group', 'n')}, ${id('group', 'n')} from generate_series(0, ${O} - 1) n
      union all select ${id('group', 'n')}, root.id
      from generate_series(0, ${O} - 1) n, (select id from visibility_groups where parent_id is null) root`,
    sql`insert into visibility_members (account_id, group_id)
      select ${id('account', 'n')}, ${id('group', `n % ${raw(others)}`)} from generate_series(0, ${A} - 1) n`,
    sql`insert into clients (id, name, type, grant_types, redirect_uris, post_logout_redirect_uris, scopes,
        token_endpoint_auth_method)
      select 'app-' || n, 'Name ' || n, 'machine', '[]', '[]', '[]', '[]', 'none' from generate_series(0, ${O} - 1) n`,
    sql`insert into audit_events (id, actor_kind, actor_id, action, target_kind, target_id)
      select ${id('event', 'n')}, 'account',
        ${id('account', `case when n < ${EVENTS_OF_ONE} then 0 else n end`)}::text,
        (array['account.created', 'account.changed', 'role.created', 'team.member_added'])[n % 4 + 1], 'account',
        ${id('account', `case when n < ${EVENTS_OF_ONE} then 0 else n end`)}::text
      from generate_series(0, ${A} - 1) n`,
    sql`insert into sign_ins (id, account_id, outcome, client_id, address, user_agent, created_at,
        expires_at)
      select ${id('signIn', 'n')}, ${id('account', `case when n < ${SIGN_INS_OF_ONE} then 0 else n end`)}, 'succeeded',
        'usher', '127.0.0.1', '', now(), now() + interval '90 days' from generate_series(0, ${A} - 1) n`,
  ]
}

type Counts = [RawBuilder<number>, RawBuilder<number>, RawBuilder<number>, RawBuilder<number>, RawBuilder<number>]
