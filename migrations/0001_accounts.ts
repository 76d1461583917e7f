import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table accounts (
      id uuid primary key,
      email text not null,
      email_verified boolean not null default false,
      -- A name with an @ could be taken for somebody else's address at sign-in.
      username text check (position('@' in username) = 0),
      password_hash text,
      first_name text,
      last_name text,
      locale text,
      status text not null default 'active' check (status in ('active', 'disabled')),
      profile jsonb not null default '{}',
      attributes jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  await sql`create unique index accounts_email_unique on accounts (lower(email))`.execute(db)
  await sql`
    create unique index accounts_username_unique on accounts (lower(username)) where username is not null`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table accounts`.execute(db)
}
