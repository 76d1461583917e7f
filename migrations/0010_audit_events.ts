import { type Kysely, sql } from 'kysely'

/** Who changed what, written in the transaction of the change. Ids are in the order of time. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table audit_events (
      id uuid primary key,
      actor_kind text not null,
      actor_id text,
      client_id text,
      action text not null,
      target_kind text not null,
      target_id text not null,
      before jsonb,
      after jsonb,
      request_id text,
      address text,
      created_at timestamptz not null default now()
    )`.execute(db)
  await sql`create index audit_events_target on audit_events (target_kind, target_id, id)`.execute(db)
  await sql`create index audit_events_actor on audit_events (actor_id, id)`.execute(db)
  await sql`create index audit_events_action on audit_events (action, id)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table audit_events`.execute(db)
}
