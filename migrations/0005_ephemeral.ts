import { type Kysely, sql } from 'kysely'

/**
 * The ephemeral store of an installation without Redis. Ordinary logged tables: PostgreSQL empties unlogged ones after
 * a crash, and a forgotten revocation would bring a token back to life.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table ephemeral_records (
      key text primary key,
      value text not null,
      state text check (state in ('fresh', 'taken', 'done')),
      index_key text,
      expires_at timestamptz not null
    )`.execute(db)
  await sql`
    create index ephemeral_records_index on ephemeral_records (index_key) where index_key is not null`.execute(db)
  await sql`create index ephemeral_records_expiry on ephemeral_records (expires_at)`.execute(db)
  await sql`
    create table ephemeral_families (
      key text primary key,
      index_key text not null,
      current_digest text not null,
      previous_digest text,
      lease_id text,
      lease_until timestamptz,
      consumed_at timestamptz,
      data text not null,
      expires_at timestamptz not null
    )`.execute(db)
  await sql`create index ephemeral_families_index on ephemeral_families (index_key)`.execute(db)
  await sql`create index ephemeral_families_expiry on ephemeral_families (expires_at)`.execute(db)
  await sql`
    create table ephemeral_buckets (
      key text primary key,
      tokens double precision not null,
      ok boolean not null,
      touched_at timestamptz not null,
      expires_at timestamptz not null
    )`.execute(db)
  await sql`create index ephemeral_buckets_expiry on ephemeral_buckets (expires_at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table ephemeral_buckets, ephemeral_families, ephemeral_records`.execute(db)
}
