import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { sql } from 'kysely'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { migrateDown, migrateUp, migrationStatus, SchemaTooNew } from '../../src/storage/migrator.ts'
import { openPglite } from '../../src/storage/pglite.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { emptyDatabase, freshDatabase, freshPgliteDirectory } from '../support/database.ts'

const ALL = readdirSync(new URL('../../migrations', import.meta.url))
  .map((file) => file.replace(/\.ts$/, ''))
  .sort()
const ACCOUNT = '01939c4e-0000-7000-8000-000000000001'
const ROLE = '01939c4e-0000-7000-8000-000000000002'
const PERMISSION = '01939c4e-0000-7000-8000-000000000003'

/** Columns, constraints and indexes as the server tells them. */
async function schemaOf({ db }: OpenDatabase): Promise<string[]> {
  const { rows } = await sql<{ line: string }>`
    select concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) as line
      from information_schema.columns where table_schema = 'public' and table_name not like 'schema_migrations%'
    union all
    select concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
      where contype <> 'n' and connamespace = 'public'::regnamespace and conrelid::regclass::text not like 'schema_migrations%'
    union all
    select indexdef from pg_indexes where schemaname = 'public' and tablename not like 'schema_migrations%'
    order by 1
  `.execute(db)
  return rows.map(({ line }) => line)
}

/** At least one row for every table, by the migration that creates it. */
const ROWS: Record<string, string[]> = {
  '0001_accounts': [`insert into accounts (id, email, username) values ('${ACCOUNT}', 'Ann@example.com', 'Ann')`],
  '0002_access': [
    `insert into roles (id, key) values ('${ROLE}', 'editor')`,
    `insert into permissions (id, key) values ('${PERMISSION}', 'pages_edit')`,
    `insert into role_permissions values ('${ROLE}', '${PERMISSION}')`,
    `insert into account_roles (account_id, role_id) values ('${ACCOUNT}', '${ROLE}')`,
  ],
  '0003_clients': [
    `insert into clients (id, name, type, grant_types, redirect_uris, post_logout_redirect_uris, scopes,
      token_endpoint_auth_method) values ('shop', 'Shop', 'web', '["authorization_code"]', '[]', '[]', '[]', 'none')`,
  ],
  '0004_installation': [`insert into installation (key, value) values ('first_start', 'done')`],
  '0005_ephemeral': [
    `insert into ephemeral_records (key, value, expires_at) values ('k', 'v', now() + interval '1 h')`,
    `insert into ephemeral_families (key, index_key, current_digest, data, expires_at)
      values ('f', 'g', 'c', 'd', now() + interval '1 h')`,
    `insert into ephemeral_buckets (key, tokens, ok, touched_at, expires_at) values ('b', 1, true, now(), now())`,
  ],
  '0006_outbox': [`insert into outbox (id, kind) values ('${ACCOUNT}', 'welcome')`],
  '0007_ephemeral_members': [
    `insert into ephemeral_members (index_key, member, value, used_ms, expires_at) values ('l', 'm', 'v', 1, now())`,
  ],
  '0008_sign_ins': [
    `insert into sign_ins (id, account_id, outcome, client_id, address, user_agent, created_at, expires_at)
      values ('${ROLE}', '${ACCOUNT}', 'succeeded', 'usher', '127.0.0.1', '', now(), now())`,
  ],
  '0009_access_model': [
    `insert into resources (id, key) values ('${ROLE}', 'pages')`,
    `update permissions set resource_id = '${ROLE}'`,
    `insert into roles (id, key) values ('${ACCOUNT}', 'reader')`,
    `insert into role_includes (role_id, included_id) values ('${ROLE}', '${ACCOUNT}')`,
    `insert into role_closure values ('${ROLE}', '${ACCOUNT}')`,
    `insert into account_permissions (account_id, permission_id) values ('${ACCOUNT}', '${PERMISSION}')`,
    `insert into teams (id, key) values ('${ROLE}', 'staff')`,
    `insert into team_closure values ('${ROLE}', '${ROLE}')`,
    `insert into team_members (team_id, account_id) values ('${ROLE}', '${ACCOUNT}')`,
    `insert into team_roles (team_id, role_id) values ('${ROLE}', '${ROLE}')`,
    `insert into visibility_groups (id, key) values ('${ROLE}', 'root')`,
    `insert into visibility_closure values ('${ROLE}', '${ROLE}')`,
    `insert into visibility_members (account_id, group_id) values ('${ACCOUNT}', '${ROLE}')`,
    `insert into access_changes (version, place, kind, subject) values (1, 0, 'role', '${ROLE}')`,
  ],
  '0010_audit_events': [
    `insert into audit_events (id, actor_kind, action, target_kind, target_id)
      values ('${ROLE}', 'operator', 'role.created', 'role', '${ROLE}')`,
  ],
  '0011_search': [],
  '0012_revocations': [
    `insert into revocations (kind, id, tokens_expire_at, expires_at) values ('token', 'jti', now(), now())`,
  ],
}

async function fill({ db }: OpenDatabase): Promise<void> {
  for (const migration of ALL) {
    for (const statement of ROWS[migration] ?? []) await sql.raw(statement).execute(db)
  }
}

type Rows = Record<string, unknown>[]

/** Every table with its rows. */
async function contentOf({ db }: OpenDatabase): Promise<Map<string, Rows>> {
  const tables = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' and tablename not like 'schema_migrations%'
    order by 1`.execute(db)
  const content = new Map<string, Rows>()
  for (const { name } of tables.rows) {
    const { rows } = await sql<{ row: Record<string, unknown> }>`
      select to_jsonb(t) as row from ${sql.table(name)} t order by t::text`.execute(db)
    content.set(
      name,
      rows.map(({ row }) => row),
    )
  }
  return content
}

/** The rows without the columns that an older schema does not have. */
const asIn = (older: Rows, rows: Rows = []): Rows =>
  rows.map((row, place) => Object.fromEntries(Object.entries(row).filter(([column]) => column in (older[place] ?? {}))))

async function refusal(database: OpenDatabase, statement: ReturnType<typeof sql>): Promise<unknown> {
  const error = await statement.execute(database.db).catch((reason) => reason)
  return error.code
}

async function openFreshPglite(): Promise<[OpenDatabase, () => Promise<void>]> {
  const { directory, remove } = await freshPgliteDirectory()
  return [await openPglite(directory), remove]
}

async function openFreshPostgres(): Promise<[OpenDatabase, () => Promise<void>]> {
  const { url, drop } = await freshDatabase()
  return [await openPostgres(url), drop]
}

for (const [name, open] of [
  ['PostgreSQL', openFreshPostgres],
  ['PGlite', openFreshPglite],
] as const) {
  describe(`the migrations on ${name}`, function () {
    this.timeout(20_000)
    let database: OpenDatabase
    let remove: () => Promise<void>

    before(async () => {
      ;[database, remove] = await open()
    })
    beforeEach(async () => {
      await migrateDown(database, ALL.length)
      await migrateUp(database)
      await fill(database)
    })
    after(async () => {
      await database.close()
      await remove()
    })

    it('are tried with rows in every table', async () => {
      for (const [table, rows] of await contentOf(database)) expect(rows, table).not.to.deep.equal([])
    })

    it('go down step by step over filled tables and leave the older ones as they were', async () => {
      const before = await contentOf(database)
      for (const [i, migration] of ALL.entries().toArray().reverse()) {
        expect(await migrateDown(database, 1)).to.deep.equal([migration])
        expect(await migrationStatus(database)).to.deep.equal({ applied: ALL.slice(0, i), pending: ALL.slice(i) })
        for (const [table, rows] of await contentOf(database)) {
          expect(rows, table).to.deep.equal(asIn(rows, before.get(table)))
        }
      }
      expect(await schemaOf(database)).to.deep.equal([])
      expect(await migrateDown(database, 1)).to.deep.equal([])
    })

    it('go down several steps in one transaction', async () => {
      expect(await migrateDown(database, 2)).to.deep.equal(ALL.slice(-2).reverse())
      expect(await migrateDown(database, 99)).to.deep.equal(ALL.slice(0, -2).reverse())
    })

    it('go down and up again to the same schema, which takes the same rows', async () => {
      const schema = await schemaOf(database)
      await migrateDown(database, ALL.length)
      expect(await migrateUp(database)).to.deep.equal(ALL)
      expect(await migrateUp(database)).to.deep.equal([])
      expect(await schemaOf(database)).to.deep.equal(schema)
      await fill(database)
    })

    it('are refused by a release that does not know them all', async () => {
      await sql`insert into schema_migrations values ('9999_future', '2030-01-01T00:00:00.000Z')`.execute(database.db)
      for (const run of [migrationStatus, migrateUp, migrateDown]) {
        const error = await run(database).catch((reason) => reason)
        expect(error)
          .to.be.instanceOf(SchemaTooNew)
          .with.property('message')
          .that.matches(/9999_future/)
      }
      await sql`delete from schema_migrations where name = '9999_future'`.execute(database.db)
    })

    it('keep addresses and names unique without regard to case, and names free of @', async () => {
      const other = '01939c4e-0000-7000-8000-00000000000f'
      const insert = (email: string, username: string) =>
        sql`insert into accounts (id, email, username) values (${other}, ${email}, ${username})`
      expect(await refusal(database, insert('ANN@EXAMPLE.COM', 'bob'))).to.equal('23505')
      expect(await refusal(database, insert('bob@example.com', 'ANN'))).to.equal('23505')
      expect(await refusal(database, insert('bob@example.com', 'bob@example.net'))).to.equal('23514')
    })

    it('refuse a client id in the form of an account id', async () => {
      for (const id of [ACCOUNT, ACCOUNT.toUpperCase()]) {
        expect(await refusal(database, sql`update clients set id = ${id}`)).to.equal('23514')
      }
    })

    it('let assignments go with the account and with the role', async () => {
      await sql`delete from accounts`.execute(database.db)
      await sql`delete from roles`.execute(database.db)
      const { rows } = await sql`select from account_roles union all select from role_permissions`.execute(database.db)
      expect(rows).to.have.length(0)
    })

    it('have exactly the columns that tables.ts describes', async () => {
      const { rows } = await sql<{ line: string }>`
        select concat_ws(' ', table_name, column_name, is_nullable) as line from information_schema.columns
        where table_schema = 'public' and table_name not like 'schema_migrations%'`.execute(database.db)
      expect(rows.map(({ line }) => line).sort()).to.deep.equal(columnsOfTypes().sort())
    })
  })
}

/** "accounts username YES" for every member of the row types. */
function columnsOfTypes(): string[] {
  const source = readFileSync(new URL('../../src/storage/tables.ts', import.meta.url), 'utf8')
  return [...source.matchAll(/export interface (\w+)Table \{([\s\S]*?)\n\}/g)].flatMap(([, type = '', body = '']) => {
    const table = type.replaceAll(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase()
    const members = [...body.matchAll(/^ {2}(\w+): (.+)$/gm)]
    return members.map(([, column, types]) => `${table} ${column} ${/\| null/.test(types ?? '') ? 'YES' : 'NO'}`)
  })
}

describe('the migrations of starters that meet on an empty database', function () {
  this.timeout(30_000)

  it('run once, ten times out of ten', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { url, drop } = await emptyDatabase()
      const starters = await Promise.all([openPostgres(url), openPostgres(url)])
      const run = await Promise.all(starters.map((database) => migrateUp(database)))
      expect(run.flat().sort(), `round ${round}`).to.deep.equal(ALL)
      await Promise.all(starters.map((database) => database.close()))
      await drop()
    }
  })

  it('roll back when their process is killed, and the next start succeeds', async () => {
    const storage = fileURLToPath(new URL('../../src/storage/', import.meta.url))
    const script = `
      const { openPostgres } = await import(${JSON.stringify(`${storage}postgres.ts`)})
      const { migrateUp } = await import(${JSON.stringify(`${storage}migrator.ts`)})
      const database = await openPostgres(process.argv[1])
      process.stdout.write('open')
      await migrateUp(database)`
    for (const delay of [0, 10, 20, 35]) {
      const { url, drop } = await emptyDatabase()
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      await sleep(delay)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const database = await openPostgres(url)
      const { applied } = await migrationStatus(database)
      expect(applied.length, 'all or nothing').to.be.oneOf([0, ALL.length])
      await migrateUp(database)
      expect((await migrationStatus(database)).pending).to.deep.equal([])
      await database.close()
      await drop()
    }
  })
})
