/** The accounts table. Duplicates surface as the database's own error; account.ts gives it a name. */
import { CompiledQuery, type Insertable, type Selectable, type Updateable } from 'kysely'
import {
  beginsWith,
  type Found,
  inTurn,
  type PrefixPage,
  prefixPage,
  searchText,
  type TurnPage,
} from '../storage/prefix-page.ts'
import type { AccountsTable, Executor } from '../storage/tables.ts'
import type { Account } from './account.ts'

type Row = Insertable<AccountsTable>
/** Columns that are undefined get their default. */
export type NewAccountRow = Pick<Row, 'id' | 'email' | 'profile' | 'attributes'> & {
  [Column in keyof Row]: Row[Column] | undefined
}
type Columns = Updateable<AccountsTable>
/** Columns that are undefined stay as they are. */
export type AccountChanges = { [Column in keyof Columns]: Columns[Column] | undefined }
export type AccountSearch = TurnPage
export type FoundAccount = Found<Account>
export type AccountStore = ReturnType<typeof createAccountStore>

// Sign-in and every claims look-up run these, so they are written once instead of built per call.
const FIND_BY_ID = 'select * from accounts where id = $1'
const FIND_ALL = 'select * from accounts where id = any($1::uuid[])'
const FIND_BY_EMAIL = 'select * from accounts where lower(email) = lower($1)'
const FIND_BY_USERNAME = 'select * from accounts where lower(username) = lower($1)'

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createAccountStore() {
  const findOne = async (executor: Executor, sql: string, parameter: string): Promise<Account | undefined> => {
    const query: CompiledQuery<Selectable<AccountsTable>> = CompiledQuery.raw(sql, [parameter])
    const { rows } = await executor.executeQuery(query)
    return rows[0] && fromRow(rows[0])
  }

  return {
    async findAll(executor: Executor, ids: readonly string[]): Promise<Map<string, Account>> {
      const query: CompiledQuery<Selectable<AccountsTable>> = CompiledQuery.raw(FIND_ALL, [ids])
      const { rows } = await executor.executeQuery(query)
      return new Map(rows.map((row) => [row.id, fromRow(row)]))
    },

    findByEmail: (executor: Executor, email: string) => findOne(executor, FIND_BY_EMAIL, email),
    findByUsername: (executor: Executor, username: string) => findOne(executor, FIND_BY_USERNAME, username),

    /** By its id; nobody else can change it before the transaction ends. */
    lock: (executor: Executor, id: string) => findOne(executor, `${FIND_BY_ID} for update`, id),

    /** Throws SQLSTATE 23505 when the e-mail address or the username is taken. */
    async insert(executor: Executor, row: NewAccountRow): Promise<Account> {
      return fromRow(await executor.insertInto('accounts').values(row).returningAll().executeTakeFirstOrThrow())
    },

    /** Undefined when there is no such account; throws SQLSTATE 23505 like insert. */
    async update(executor: Executor, id: string, changes: AccountChanges): Promise<Account | undefined> {
      const row = await executor
        .updateTable('accounts')
        .set(changes)
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      return row && fromRow(row)
    },

    /**
     * Replaces a hash only where it is still the one that was verified: a password changed meanwhile stays changed.
     * Undefined when nothing was replaced.
     */
    async replaceHash(
      executor: Executor,
      id: string,
      change: { from: string; to: string },
    ): Promise<Account | undefined> {
      const row = await executor
        .updateTable('accounts')
        .set({ password_hash: change.to })
        .where('id', '=', id)
        .where('password_hash', '=', change.from)
        .returningAll()
        .executeTakeFirst()
      return row && fromRow(row)
    },

    /** Takes the mark of deletion away while its time has not come; false afterwards. */
    async restore(executor: Executor, id: string, now: Date): Promise<boolean> {
      const { numUpdatedRows } = await executor
        .updateTable('accounts')
        .set({ deletion_due_at: null })
        .where('id', '=', id)
        .where((where) => where.or([where('deletion_due_at', 'is', null), where('deletion_due_at', '>', now)]))
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },

    async findDue(executor: Executor, now: Date, limit: number): Promise<string[]> {
      const due = executor.selectFrom('accounts').select('id').where('deletion_due_at', '<=', now).limit(limit)
      return (await due.execute()).map(({ id }) => id)
    },

    /** Removes an account whose time has come; false when it has not, or nobody is there. */
    async removeDue(executor: Executor, id: string, now: Date): Promise<boolean> {
      const { numDeletedRows } = await executor
        .deleteFrom('accounts')
        .where('id', '=', id)
        .where('deletion_due_at', '<=', now)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },

    /** The account as it was; undefined when there was none. */
    async remove(executor: Executor, id: string): Promise<Account | undefined> {
      const row = await executor.deleteFrom('accounts').where('id', '=', id).returningAll().executeTakeFirst()
      return row && fromRow(row)
    },

    /** A page in the order of creation, behind the account `after`. */
    async list(executor: Executor, page: { after?: string | undefined; limit: number }): Promise<Account[]> {
      let query = executor.selectFrom('accounts').selectAll().orderBy('id').limit(page.limit)
      if (page.after !== undefined) query = query.where('id', '>', page.after)
      return (await query.execute()).map(fromRow)
    },

    /** A page of those whose address begins with the text, and then of those of whom only the username does. */
    search(executor: Executor, page: AccountSearch): Promise<FoundAccount[]> {
      const { search } = page
      const byEmail = (part: PrefixPage) => pageBy(executor, 'email', part)
      const byUsername = (part: PrefixPage) => pageBy(executor, 'username', part, search)
      return inTurn(search === undefined ? [byEmail] : [byEmail, byUsername], page)
    },
  }
}

/** Without those who are found by the beginning of their address. */
async function pageBy(executor: Executor, column: 'email' | 'username', page: PrefixPage, notByEmail?: string) {
  let query = executor.selectFrom('accounts').selectAll().select(searchText(column).as('text'))
  if (notByEmail !== undefined) query = query.where(({ not }) => not(beginsWith('email', notByEmail)))
  const rows = await prefixPage(query, { column }, page).execute()
  return rows.map(({ text, ...row }) => ({ text, item: fromRow(row) }))
}

function fromRow(row: Selectable<AccountsTable>): Account {
  return {
    id: row.id,
    email: row.email,
    emailVerified: row.email_verified,
    username: row.username ?? undefined,
    passwordHash: row.password_hash ?? undefined,
    firstName: row.first_name ?? undefined,
    lastName: row.last_name ?? undefined,
    locale: row.locale ?? undefined,
    status: row.status,
    profile: row.profile,
    attributes: row.attributes,
    deletionDueAt: row.deletion_due_at ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
