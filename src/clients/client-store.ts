/** The clients table. */
import type { Insertable, Selectable } from 'kysely'
import { CompiledQuery, sql } from 'kysely'
import {
  beginsWith,
  type Found,
  inTurn,
  type PrefixPage,
  prefixPage,
  searchText,
  type TurnPage,
} from '../storage/prefix-page.ts'
import type { ClientsTable, Executor } from '../storage/tables.ts'
import type { Client } from './client.ts'

export type ClientSearch = TurnPage
export type FoundClient = Found<Client>
export type ClientStore = ReturnType<typeof createClientStore>

// The only query of this table on the way to a token, so it is written once instead of built per call.
const FIND_BY_ID = 'select * from clients where id = $1'

/** Houses are not that large; what lies beyond is not let in. */
const MAX_OWN_URIS = 5_000

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createClientStore() {
  return {
    async findById(executor: Executor, id: string): Promise<Client | undefined> {
      const query: CompiledQuery<Selectable<ClientsTable>> = CompiledQuery.raw(FIND_BY_ID, [id])
      const { rows } = await executor.executeQuery(query)
      return rows[0] && fromRow(rows[0])
    },

    /** As findById; nobody else can change it before the transaction ends. */
    async lock(executor: Executor, id: string): Promise<Client | undefined> {
      const query = executor.selectFrom('clients').selectAll().where('id', '=', id).forUpdate()
      const row = await query.executeTakeFirst()
      return row && fromRow(row)
    },

    /** False when the id is taken. */
    async insert(executor: Executor, client: Client): Promise<boolean> {
      const { numInsertedOrUpdatedRows: written } = await executor
        .insertInto('clients')
        .values(toRow(client))
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirst()
      return written === 1n
    },

    /** False when there is no such client. */
    async update(executor: Executor, client: Client, updatedAt: Date): Promise<boolean> {
      const { id, ...columns } = toRow(client)
      const { numUpdatedRows } = await executor
        .updateTable('clients')
        .set({ ...columns, updated_at: updatedAt })
        .where('id', '=', id)
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },

    async remove(executor: Executor, id: string): Promise<boolean> {
      const { numDeletedRows } = await executor.deleteFrom('clients').where('id', '=', id).executeTakeFirst()
      return numDeletedRows > 0n
    },

    /** The redirect URIs of public clients of the house: what its pages have their origins from. */
    async ownRedirectUris(executor: Executor): Promise<string[]> {
      const { rows } = await sql<{ uri: string }>`
        select distinct uri from clients, jsonb_array_elements_text(redirect_uris) as uri
        where first_party and token_endpoint_auth_method = 'none' limit ${MAX_OWN_URIS}`.execute(executor)
      return rows.map(({ uri }) => uri)
    },

    /** A page of those whose name begins with the text, and then of those of whom only the id does. */
    search(executor: Executor, page: ClientSearch): Promise<FoundClient[]> {
      const { search } = page
      const byName = (part: PrefixPage) => pageBy(executor, 'name', part)
      const byId = (part: PrefixPage) => pageBy(executor, 'id', part, search)
      return inTurn(search === undefined ? [byName] : [byName, byId], page)
    },

    /** A page in the order of ids, behind the client `after`. */
    async list(executor: Executor, page: { after?: string | undefined; limit: number }): Promise<Client[]> {
      let query = executor.selectFrom('clients').selectAll().orderBy('id').limit(page.limit)
      if (page.after !== undefined) query = query.where('id', '>', page.after)
      return (await query.execute()).map(fromRow)
    },
  }
}

/** Without those who are found by the beginning of their name. */
async function pageBy(executor: Executor, column: 'name' | 'id', page: PrefixPage, notByName?: string) {
  let query = executor.selectFrom('clients').selectAll().select(searchText(column).as('text'))
  if (notByName !== undefined) query = query.where(({ not }) => not(beginsWith('name', notByName)))
  const rows = await prefixPage(query, { column, idType: 'text' }, page).execute()
  return rows.map(({ text, ...row }) => ({ text, item: fromRow(row) }))
}

const toRow = (client: Client) =>
  ({
    id: client.id,
    name: client.name,
    type: client.type,
    secret_digest: client.secretDigest ?? null,
    first_party: client.firstParty,
    require_pkce: client.requirePkce,
    grant_types: JSON.stringify(client.grantTypes),
    redirect_uris: JSON.stringify(client.redirectUris),
    post_logout_redirect_uris: JSON.stringify(client.postLogoutRedirectUris),
    scopes: JSON.stringify(client.scopes),
    audience: client.audience ?? null,
    access_token_ttl_seconds: client.accessTokenTtlSeconds ?? null,
    refresh_token_ttl_seconds: client.refreshTokenTtlSeconds ?? null,
    token_endpoint_auth_method: client.tokenEndpointAuthMethod,
    metadata: JSON.stringify(client.metadata),
  }) satisfies Insertable<ClientsTable>

const fromRow = (row: Selectable<ClientsTable>): Client => ({
  id: row.id,
  name: row.name,
  type: row.type,
  secretDigest: row.secret_digest ?? undefined,
  firstParty: row.first_party,
  requirePkce: row.require_pkce,
  grantTypes: row.grant_types,
  redirectUris: row.redirect_uris,
  postLogoutRedirectUris: row.post_logout_redirect_uris,
  scopes: row.scopes,
  audience: row.audience ?? undefined,
  accessTokenTtlSeconds: row.access_token_ttl_seconds ?? undefined,
  refreshTokenTtlSeconds: row.refresh_token_ttl_seconds ?? undefined,
  tokenEndpointAuthMethod: row.token_endpoint_auth_method,
  metadata: row.metadata,
})
