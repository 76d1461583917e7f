/** Searches read little more than the page they answer, however many rows there are. */
import { expect } from 'chai'
import { sql } from 'kysely'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { createClientStore } from '../../src/clients/client-store.ts'
import type { Found, TurnPage } from '../../src/storage/prefix-page.ts'
import type { Executor } from '../../src/storage/tables.ts'
import { inTransaction } from '../../src/storage/transaction.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'

const ROWS = 20_000
const LIMIT = 21
/** The planner itself looks at a few. */
const MOST = 2 * LIMIT

describe('a search', function () {
  this.timeout(60_000)
  let stores: OpenStores

  before(async () => {
    stores = await openStores()
    const { db } = stores
    await sql`
      insert into accounts (id, email, username, profile, attributes)
      select gen_random_uuid(), 'user-' || n || '@example.org', 'name-' || n, '{}', '{}'
      from generate_series(1, ${sql.lit(ROWS)}) n`.execute(db)
    await sql`
      insert into clients (id, name, type, grant_types, redirect_uris, post_logout_redirect_uris, scopes,
        token_endpoint_auth_method)
      select 'app-' || n, 'Name ' || n, 'machine', '[]', '[]', '[]', '[]', 'none'
      from generate_series(1, ${sql.lit(ROWS)}) n`.execute(db)
    await sql`analyze accounts, clients`.execute(db)
  })
  after(() => stores?.close())

  type Search = (executor: Executor, page: TurnPage) => Promise<Found<{ id: string }>[]>

  /** Rows of a table that this connection has looked at and not reported yet. */
  async function readOf(table: string, executor: Executor): Promise<number> {
    const { rows } = await sql<{ read: string }>`
      select seq_tup_read + idx_tup_fetch as read
      from pg_stat_xact_user_tables where relname = ${table}`.execute(executor)
    return Number(rows[0]?.read)
  }

  /** A page, and how many rows of the table were looked at for it. */
  const costOf = (table: string, search: Search, page: TurnPage) =>
    inTransaction(stores.db, async (executor) => {
      const before = await readOf(table, executor)
      const found = await search(executor, page)
      return { found, read: (await readOf(table, executor)) - before }
    })

  const SEARCHES: [table: string, search: Search, texts: string[]][] = [
    ['accounts', createAccountStore().search, ['user-', 'name-', 'user-777', 'NAME-19999', 'nobody', 'u']],
    ['clients', createClientStore().search, ['name', 'app-', 'App-777', 'nobody']],
  ]
  for (const [table, search, texts] of SEARCHES) {
    for (const text of [undefined, ...texts]) {
      it(`among ${table} for ${text ?? 'everything'} reads a page`, async () => {
        const first = await costOf(table, search, { search: text, limit: LIMIT })
        expect(first.read).to.be.at.most(MOST)
        const last = first.found.at(-1)
        if (!last) return
        const after = { turn: last.turn, text: last.text, id: last.item.id }
        const second = await costOf(table, search, { search: text, limit: LIMIT, after })
        expect(second.read).to.be.at.most(MOST)
        const ids = [...first.found, ...second.found].map(({ item }) => item.id)
        expect(new Set(ids).size).to.equal(ids.length)
      })
    }
  }
})
