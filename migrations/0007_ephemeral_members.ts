import { type Kysely, sql } from 'kysely'

/** Lists ordered by last use, such as the sessions of an account. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table ephemeral_members (
      index_key text not null,
      member text not null,
      value text not null,
      used_ms bigint not null,
      expires_at timestamptz not null,
      primary key (index_key, member)
    )`.execute(db)
  await sql`create index ephemeral_members_use on ephemeral_members (index_key, used_ms, member)`.execute(db)
  await sql`create index ephemeral_members_expiry on ephemeral_members (expires_at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table ephemeral_members`.execute(db)
}
