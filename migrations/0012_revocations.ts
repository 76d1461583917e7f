import { type Kysely, sql } from 'kysely'

/**
 * What has been revoked and may still be presented somewhere. A row is never lowered; every write of it gets a new place
 * (`seq`) and names the transaction that wrote it (`txid`): readers go by transactions that have ended, because numbers
 * of a sequence become visible in another order than they are given out.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create sequence revocations_seq as bigint`.execute(db)
  await sql`
    create table revocations (
      kind text not null check (kind in ('token', 'grant', 'session', 'account', 'client')),
      id text not null,
      not_before_ms bigint,
      except_session text,
      seq bigint not null default nextval('revocations_seq'),
      txid xid8 not null default pg_current_xact_id(),
      tokens_expire_at timestamptz not null,
      expires_at timestamptz not null,
      created_at timestamptz not null default clock_timestamp(),
      primary key (kind, id),
      check ((kind in ('account', 'client')) = (not_before_ms is not null))
    )`.execute(db)
  await sql`alter sequence revocations_seq owned by revocations.seq`.execute(db)
  await sql`create index revocations_txid on revocations (txid, seq)`.execute(db)
  await sql`create index revocations_expiry on revocations (expires_at)`.execute(db)
  await sql`
    create index revocations_floor on revocations (not_before_ms) where not_before_ms is not null`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table revocations`.execute(db)
}
