/** The sign_ins table. */
import { type Selectable, sql } from 'kysely'
import type { Executor, SignInsTable } from '../storage/tables.ts'
import type { SignIn } from './sign-in.ts'

/** The sweeper deletes what is older. */
const KEPT = sql`interval '90 days'`

export type SignInStore = ReturnType<typeof createSignInStore>

export function createSignInStore() {
  return {
    /** Entries of accounts that are gone meanwhile are left out. */
    async insert(executor: Executor, entries: readonly SignIn[]): Promise<void> {
      if (entries.length === 0) return
      const rows = entries.map(
        ({ id, accountId, outcome, clientId, address, userAgent, at }) =>
          sql`(${id}::uuid, ${accountId}::uuid, ${outcome}, ${clientId}, ${address}, ${userAgent}, ${at}::timestamptz)`,
      )
      await sql`
        insert into sign_ins (id, account_id, outcome, client_id, address, user_agent, created_at, expires_at)
        select entry.*, entry.created_at + ${KEPT} from (values ${sql.join(rows)})
          as entry (id, account_id, outcome, client_id, address, user_agent, created_at)
        where exists (select from accounts where accounts.id = entry.account_id)
        on conflict (id) do nothing
      `.execute(executor)
    },

    /** Newest first, behind the entry `before`. */
    async page(
      executor: Executor,
      accountId: string,
      page: { before: string | undefined; limit: number },
    ): Promise<SignIn[]> {
      let query = executor
        .selectFrom('sign_ins')
        .selectAll()
        .where('account_id', '=', accountId)
        .orderBy('id', 'desc')
        .limit(page.limit)
      if (page.before !== undefined) query = query.where('id', '<', page.before)
      return (await query.execute()).map(fromRow)
    },
  }
}

const fromRow = (row: Selectable<SignInsTable>): SignIn => ({
  id: row.id,
  accountId: row.account_id,
  outcome: row.outcome,
  clientId: row.client_id,
  address: row.address,
  userAgent: row.user_agent,
  at: row.created_at,
})
