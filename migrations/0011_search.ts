import { type Kysely, sql } from 'kysely'

/** Searches are by prefix: ordered by bytes, an index serves them and the order of the page alike. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index accounts_email_search on accounts ((lower(email) collate "C"), id)`.execute(db)
  await sql`create index accounts_username_search on accounts ((lower(username) collate "C"), id)`.execute(db)
  await sql`create index clients_name_search on clients ((lower(name) collate "C"), id)`.execute(db)
  for (const table of ['permissions', 'roles', 'resources', 'teams', 'visibility_groups']) {
    const [index, name] = [sql.id(`${table}_key_search`), sql.id(table)]
    await sql`create index ${index} on ${name} ((lower(key) collate "C"), id)`.execute(db)
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of ['permissions', 'roles', 'resources', 'teams', 'visibility_groups']) {
    await sql`drop index ${sql.id(`${table}_key_search`)}`.execute(db)
  }
  await sql`drop index clients_name_search, accounts_username_search, accounts_email_search`.execute(db)
}
