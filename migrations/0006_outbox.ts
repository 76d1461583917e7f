import { type Kysely, sql } from 'kysely'

/** What is to be mailed: whom and why, never a text or a code. A row lives until it is sent or given up. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table outbox (
      id uuid primary key,
      kind text not null,
      email text,
      -- Not a foreign key: the mail that says an account is gone outlives the account.
      account_id uuid,
      data jsonb not null default '{}',
      attempts integer not null default 0,
      due_at timestamptz not null default clock_timestamp(),
      lease_id uuid,
      leased_until timestamptz,
      created_at timestamptz not null default clock_timestamp()
    )`.execute(db)
  await sql`create index outbox_due on outbox (due_at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table outbox`.execute(db)
}
