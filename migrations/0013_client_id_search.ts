import { type Kysely, sql } from 'kysely'

/** Clients are also looked for by the beginning of their id, which the primary key serves in no collation but "C". */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index clients_id_search on clients ((lower(id) collate "C"), id)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index clients_id_search`.execute(db)
}
