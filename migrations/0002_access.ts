import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table permissions (
      id uuid primary key,
      key text not null constraint permissions_key_unique unique,
      description text not null default '',
      created_at timestamptz not null default now()
    )`.execute(db)
  await sql`
    create table roles (
      id uuid primary key,
      key text not null constraint roles_key_unique unique,
      description text not null default '',
      is_system boolean not null default false,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  await sql`
    create table role_permissions (
      role_id uuid not null references roles (id) on delete cascade,
      permission_id uuid not null references permissions (id) on delete cascade,
      primary key (role_id, permission_id)
    )`.execute(db)
  await sql`create index role_permissions_permission on role_permissions (permission_id)`.execute(db)
  await sql`
    create table account_roles (
      account_id uuid not null references accounts (id) on delete cascade,
      role_id uuid not null references roles (id) on delete cascade,
      created_at timestamptz not null default now(),
      primary key (account_id, role_id)
    )`.execute(db)
  await sql`create index account_roles_role on account_roles (role_id)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table account_roles, role_permissions, roles, permissions`.execute(db)
}
