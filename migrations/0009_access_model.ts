import { type Kysely, sql } from 'kysely'

/** What decisions rest on: resources, included roles, direct permissions, teams, visibility groups, and their version. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table resources (
      id uuid primary key,
      key text not null constraint resources_key_unique unique,
      description text not null default '',
      audience text,
      permissions_claim boolean not null default false,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  await sql`create index resources_audience on resources (audience)`.execute(db)
  await sql`alter table permissions add column resource_id uuid references resources (id) on delete restrict`.execute(
    db,
  )
  await sql`alter table permissions add column updated_at timestamptz not null default now()`.execute(db)
  await sql`create index permissions_resource on permissions (resource_id)`.execute(db)

  await sql`
    create table role_includes (
      role_id uuid not null references roles (id) on delete cascade,
      included_id uuid not null references roles (id) on delete cascade,
      created_at timestamptz not null default now(),
      primary key (role_id, included_id),
      constraint role_includes_itself check (role_id <> included_id)
    )`.execute(db)
  await sql`create index role_includes_included on role_includes (included_id)`.execute(db)
  await sql`
    create table role_closure (
      role_id uuid not null references roles (id) on delete cascade,
      included_id uuid not null references roles (id) on delete cascade,
      primary key (role_id, included_id)
    )`.execute(db)
  await sql`create index role_closure_included on role_closure (included_id)`.execute(db)
  await sql`insert into role_closure (role_id, included_id) select id, id from roles`.execute(db)

  await sql`
    create table account_permissions (
      account_id uuid not null references accounts (id) on delete cascade,
      permission_id uuid not null references permissions (id) on delete cascade,
      created_at timestamptz not null default now(),
      primary key (account_id, permission_id)
    )`.execute(db)
  await sql`create index account_permissions_permission on account_permissions (permission_id)`.execute(db)

  await sql`
    create table teams (
      id uuid primary key,
      key text not null constraint teams_key_unique unique,
      description text not null default '',
      parent_id uuid references teams (id) on delete restrict,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  await sql`create index teams_parent on teams (parent_id)`.execute(db)
  await sql`
    create table team_closure (
      team_id uuid not null references teams (id) on delete cascade,
      ancestor_id uuid not null references teams (id) on delete cascade,
      primary key (team_id, ancestor_id)
    )`.execute(db)
  await sql`create index team_closure_ancestor on team_closure (ancestor_id)`.execute(db)
  await sql`
    create table team_members (
      team_id uuid not null references teams (id) on delete cascade,
      account_id uuid not null references accounts (id) on delete cascade,
      is_manager boolean not null default false,
      created_at timestamptz not null default now(),
      primary key (team_id, account_id)
    )`.execute(db)
  await sql`create index team_members_account on team_members (account_id)`.execute(db)
  await sql`
    create table team_roles (
      team_id uuid not null references teams (id) on delete cascade,
      role_id uuid not null references roles (id) on delete cascade,
      created_at timestamptz not null default now(),
      primary key (team_id, role_id)
    )`.execute(db)
  await sql`create index team_roles_role on team_roles (role_id)`.execute(db)

  await sql`
    create table visibility_groups (
      id uuid primary key,
      key text not null constraint visibility_groups_key_unique unique,
      description text not null default '',
      parent_id uuid references visibility_groups (id) on delete restrict,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  // One tree: of all groups exactly one has no parent.
  await sql`create unique index visibility_groups_one_root on visibility_groups ((1)) where parent_id is null`.execute(
    db,
  )
  await sql`create index visibility_groups_parent on visibility_groups (parent_id)`.execute(db)
  await sql`
    create table visibility_closure (
      group_id uuid not null references visibility_groups (id) on delete cascade,
      ancestor_id uuid not null references visibility_groups (id) on delete cascade,
      primary key (group_id, ancestor_id)
    )`.execute(db)
  await sql`create index visibility_closure_ancestor on visibility_closure (ancestor_id)`.execute(db)
  await sql`
    create table visibility_members (
      account_id uuid primary key references accounts (id) on delete cascade,
      group_id uuid not null references visibility_groups (id) on delete restrict,
      created_at timestamptz not null default now()
    )`.execute(db)
  await sql`create index visibility_members_group on visibility_members (group_id, account_id)`.execute(db)

  // Every write locks this row first, so versions are committed in their order and a reader who has seen one has seen
  // all before it.
  await sql`
    create table access_version (
      id smallint primary key default 1 constraint access_version_one_row check (id = 1),
      version bigint not null
    )`.execute(db)
  await sql`insert into access_version (id, version) values (1, 0)`.execute(db)
  await sql`
    create table access_changes (
      version bigint not null,
      place integer not null,
      kind text not null,
      subject text not null,
      created_at timestamptz not null default now(),
      primary key (version, place)
    )`.execute(db)
  await sql`create index access_changes_created on access_changes (created_at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table access_changes, access_version, visibility_members, visibility_closure, visibility_groups`.execute(
    db,
  )
  await sql`drop table team_roles, team_members, team_closure, teams`.execute(db)
  await sql`drop table account_permissions, role_closure, role_includes`.execute(db)
  await sql`alter table permissions drop column resource_id, drop column updated_at`.execute(db)
  await sql`drop table resources`.execute(db)
}
