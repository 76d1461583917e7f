import { type Kysely, sql } from 'kysely'

/** The history of sign-ins of each account, kept for its owner; and accounts that wait for their deletion. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table sign_ins (
      id uuid primary key,
      account_id uuid not null references accounts (id) on delete cascade,
      outcome text not null check (outcome in ('succeeded', 'wrong_password', 'disabled')),
      client_id text not null,
      address text not null,
      user_agent text not null,
      created_at timestamptz not null,
      expires_at timestamptz not null
    )`.execute(db)
  await sql`create index sign_ins_account on sign_ins (account_id, id)`.execute(db)
  await sql`create index sign_ins_expiry on sign_ins (expires_at)`.execute(db)
  await sql`alter table accounts add column deletion_due_at timestamptz`.execute(db)
  await sql`
    create index accounts_deletion on accounts (deletion_due_at) where deletion_due_at is not null`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table accounts drop column deletion_due_at`.execute(db)
  await sql`drop table sign_ins`.execute(db)
}
