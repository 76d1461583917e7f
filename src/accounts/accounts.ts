/**
 * The stored person and the rules about a single account. Credentials are checked in authentication.ts; roles belong
 * to the access room, sessions and tokens to the protocol, which is told through `revokeSubject`.
 */
import { type Clock, systemClock } from '../clock.ts'
import { AppError } from '../errors.ts'
import { isUuid, uuidv7 } from '../ids.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { afterCommit, inTransaction, sqlState } from '../storage/transaction.ts'
import { createTurnBatch } from '../storage/turn-batch.ts'
import type { Account } from './account.ts'
import { type AccountInput, checkAccount, columnsOf, isAsDescribed } from './account-input.ts'
import type { AccountChanges, AccountSearch, AccountStore, FoundAccount } from './account-store.ts'
import type { HashPool } from './hash-pool.ts'
import { normaliseLogin } from './login.ts'
import { needsRehash } from './password-hash.ts'
import type { PasswordPolicy } from './password-policy.ts'

export interface AccountsDeps {
  db: Database
  store: AccountStore
  hashes: Pick<HashPool, 'hash' | 'verify'>
  policy: PasswordPolicy
  /** Ends every session and grant of the account. Called after the transaction, and safe to repeat. */
  revokeSubject(accountId: string): Promise<void>
  /** Runs inside the transaction that removes or disables an account; throws to keep it, as for the last superuser. */
  guardRemoval?(executor: Executor, accountId: string): Promise<void>
  /**
   * Runs inside the transaction that disables, enables or removes an account, before anything else of it: what was
   * decided about the account no longer holds.
   */
  statusChanged?(executor: Executor, accountId: string): Promise<void>
  /** Told of every account that was changed or removed here, once that is committed. */
  forget?(accountId: string): void
  /**
   * Runs last in a transaction after which nothing may live on that was given out before: also when this process dies
   * before it comes to revokeSubject, services hear of it.
   */
  raiseFloor?(executor: Executor, accountId: string): Promise<unknown>
  clock?: Clock
}

export type NewAccount = AccountInput & { email: string }
type Alongside = (executor: Executor, account: Account) => Promise<void>
type AlongsideChange = (executor: Executor, after: Account, before: Account) => Promise<void>

/**
 * Makes a write part of a larger one: called first of all in its transaction, it runs the write between what must come
 * before and what must come after, answers what that has answered, and throws to undo everything.
 */
export type Around<Written> = (executor: Executor, write: () => Promise<Written>) => Promise<Written>

/** What a write has made of an account. */
export interface Rewritten {
  before: Account
  after: Account
}

export interface Revision {
  /** Sees the account as it is when it is changed; throws to leave it so, and answers what is to change besides. */
  settle(before: Account): Omit<AccountInput, MemberThatRevokes>
  around: Around<Rewritten>
}

export type Outcome = 'created' | 'changed' | 'unchanged'

interface Comparison {
  outcome: Outcome
  before: Account | undefined
  changes: AccountInput
}

export type Accounts = ReturnType<typeof createAccounts>

const MAX_PAGE = 100

export function createAccounts(deps: AccountsDeps) {
  const {
    db,
    store,
    hashes,
    policy,
    revokeSubject,
    guardRemoval,
    statusChanged,
    forget,
    raiseFloor,
    clock = systemClock,
  } = deps

  /** A subject need not be an account: that of a client's own token is the client's id. */
  const findById = async (id: string): Promise<Account | undefined> =>
    isUuid(id) ? findTogether(id.toLowerCase()) : undefined
  const findTogether = createTurnBatch((ids) => store.findAll(db, ids))

  async function findByLogin(login: string): Promise<Account | undefined> {
    const normal = normaliseLogin(login)
    if (normal === undefined) return undefined
    return normal.includes('@') ? store.findByEmail(db, normal) : store.findByUsername(db, normal)
  }

  async function create(input: NewAccount, alongside?: Alongside): Promise<Account> {
    checkAccount(input)
    const now = new Date(clock.now())
    const row = {
      ...columnsOf(input),
      id: uuidv7(now.getTime()),
      email: input.email,
      password_hash: await hashOf(input, wordsOf(input)),
      profile: JSON.stringify(input.profile ?? {}),
      attributes: JSON.stringify(input.attributes ?? {}),
      created_at: now,
      updated_at: now,
    }
    return refusingDuplicates(() =>
      inTransaction(db, async (executor) => {
        const account = await store.insert(executor, row)
        await alongside?.(executor, account)
        return account
      }),
    )
  }

  const update = (id: string, input: AccountInput, alongside?: AlongsideChange): Promise<Account> =>
    revise(id, input, {
      settle: () => ({}),
      around: async (executor, write) => {
        const rewritten = await write()
        await alongside?.(executor, rewritten.after, rewritten.before)
        return rewritten
      },
    })

  async function revise(id: string, input: AccountInput, { settle, around }: Revision): Promise<Account> {
    checkAccount(input)
    const found = await findById(id)
    if (!found) throw notFound()
    const passwordHash = await hashOf(input, wordsOf({ ...found, ...input }))
    const isEnding = passwordHash !== undefined || input.status === 'disabled'
    const account = await refusingDuplicates(() =>
      inTransaction(db, async (executor) => {
        const write = () => rewrite(executor, id, { input, passwordHash, settle })
        const { after } = await around(executor, write)
        if (isEnding) await raiseFloor?.(executor, id)
        return after
      }),
    )
    if (isEnding) await revokeSubject(id)
    return account
  }

  async function rewrite(executor: Executor, id: string, { input, passwordHash, settle }: Rewrite): Promise<Rewritten> {
    afterCommit(() => forget?.(id))
    if (input.status !== undefined) await statusChanged?.(executor, id)
    if (input.status === 'disabled') await guardRemoval?.(executor, id)
    const before = await store.lock(executor, id)
    if (!before) throw notFound()
    const settled = { ...input, ...settle(before) }
    checkAccount(settled)
    const changes: AccountChanges = {
      ...columnsOf(settled),
      password_hash: passwordHash,
      updated_at: new Date(clock.now()),
    }
    if (isOtherAddress(before, settled)) changes.email_verified = settled.emailVerified ?? false
    return { before, after: (await store.update(executor, id, changes)) ?? before }
  }

  const change = (
    id: string,
    decide: (before: Account) => AccountInput,
    alongside?: AlongsideChange,
  ): Promise<Account> =>
    refusingDuplicates(() =>
      inTransaction(db, async (executor) => {
        if (!isUuid(id)) throw notFound()
        afterCommit(() => forget?.(id))
        const before = await store.lock(executor, id)
        if (!before) throw notFound()
        const input = decide(before)
        if (MEMBERS_THAT_REVOKE.some((name) => input[name] !== undefined)) throw new TypeError('use update for this')
        checkAccount(input)
        const columns = { ...columnsOf(input), updated_at: new Date(clock.now()) }
        const after = (await store.update(executor, id, columns)) ?? before
        await alongside?.(executor, after, before)
        return after
      }),
    )

  async function ensure(
    input: NewAccount,
    alongside?: (executor: Executor, after: Account, before?: Account) => Promise<void>,
  ): Promise<{ outcome: Outcome; account: Account }> {
    const { outcome, before, changes } = await compare(input)
    if (!before) return { outcome, account: await create(input, alongside) }
    return { outcome, account: outcome === 'unchanged' ? before : await update(before.id, changes, alongside) }
  }

  async function compare(input: NewAccount): Promise<Comparison> {
    checkAccount(input)
    const before = await findByLogin(input.email)
    if (!before) return { outcome: 'created', before, changes: input }
    const changes = await withoutKnownPassword(before, input)
    const isSame = changes.password === undefined && isAsDescribed(before, changes)
    return { outcome: isSame ? 'unchanged' : 'changed', before, changes }
  }

  /** A salted hash is never the same twice, so a described password is compared by verifying it. */
  async function withoutKnownPassword(account: Account, input: NewAccount): Promise<AccountInput> {
    const { password, passwordHash, ...rest } = input
    if (account.passwordHash === undefined) return input
    if (password !== undefined) {
      return (await hashes.verify(account.passwordHash, password)).matches ? rest : input
    }
    // Such a hash has been replaced by a sign-in since; writing it again would sign its owner out at every repeat.
    return typeof passwordHash === 'string' && needsRehash(passwordHash) ? rest : input
  }

  async function remove(id: string, around: Around<Account> = plainly): Promise<void> {
    if (!isUuid(id)) throw notFound()
    await inTransaction(db, async (executor) => {
      await around(executor, async () => {
        afterCommit(() => forget?.(id))
        await statusChanged?.(executor, id)
        await guardRemoval?.(executor, id)
        const account = await store.remove(executor, id)
        if (!account) throw notFound()
        return account
      })
      await raiseFloor?.(executor, id)
    })
    await revokeSubject(id)
  }

  async function list({ after, limit = 20 }: { after?: string; limit?: number } = {}): Promise<Account[]> {
    if (after !== undefined && !isUuid(after)) throw new AppError('bad_request', 400, 'There is no such page.')
    return store.list(db, { after, limit: Math.min(Math.max(limit, 1), MAX_PAGE) })
  }

  /** Hashed before any transaction begins: none is held open while a password waits for a worker. */
  async function hashOf(input: AccountInput, about: readonly string[]): Promise<string | null | undefined> {
    if (input.password === undefined) return input.passwordHash
    policy.check(input.password, about)
    return hashes.hash(input.password)
  }

  return {
    /** Undefined when there is no such account; throws Unavailable when the database does not answer. */
    findById,

    /** By e-mail address or username, without regard to case. */
    findByLogin,

    /**
     * Creates an account. `alongside` runs in the same transaction, as for its first role.
     * Throws AppError bad_request (400), invalid_password (400), conflict (409).
     */
    create,

    /**
     * Changes the members that are given. A new password ends every session and grant; a new e-mail address counts as
     * unverified unless the change says otherwise. `alongside` runs in the same transaction, as for a notice. Throws
     * like create, and not_found (404).
     */
    update,

    /**
     * Like update, as a part of a larger write, and with what is decided about the present state of the account, which
     * nobody else can change meanwhile. Throws like update, and whatever `settle` and `around` throw.
     */
    revise,

    /**
     * Changes an account by a decision about its present state, which nobody else can change meanwhile. For members
     * that end no session: throws for a password or a status. `alongside` runs in the same transaction. Throws like
     * create, and not_found (404).
     */
    change,

    /**
     * For a declarative file: makes the account with this e-mail address be as described. `alongside` runs in the same
     * transaction when something is written.
     */
    ensure,

    /** What ensure would do, without doing it. Throws like it for malformed members. */
    foresee: async (input: NewAccount): Promise<Outcome> => (await compare(input)).outcome,

    /** Removes an account, as a part of a larger write. Throws not_found (404), and whatever guardRemoval throws. */
    remove,

    /** A page of at most 100 in the order of creation. `after` is the id of the last account of the page before. */
    list,

    /**
     * A page of those whose e-mail address begins with a text, in the order of the addresses, and then of those of whom
     * only the username does; without a text all, in the order of the addresses.
     */
    search: (page: AccountSearch): Promise<FoundAccount[]> => store.search(db, page),

    /** A disabled account cannot sign in, and whatever it held is revoked. */
    disable: (id: string): Promise<Account> => update(id, { status: 'disabled' }),
    enable: (id: string): Promise<Account> => update(id, { status: 'active' }),

    /**
     * Puts one hash in the place of the one that was verified, `alongside` in the same transaction. False, and nothing
     * is done, when the password was changed meanwhile. Revokes nothing.
     */
    replaceHash: (id: string, change: { from: string; to: string }, alongside?: Alongside): Promise<boolean> =>
      inTransaction(db, async (executor) => {
        const account = await store.replaceHash(executor, id, change)
        if (account) await alongside?.(executor, account)
        return account !== undefined
      }),
  }
}

interface Rewrite {
  input: AccountInput
  passwordHash: string | null | undefined
  settle: Revision['settle']
}

const plainly = <Written>(_: Executor, write: () => Promise<Written>): Promise<Written> => write()

const wordsOf = ({ email, username }: { email?: string | undefined; username?: string | null | undefined }): string[] =>
  [email, username].filter((word) => typeof word === 'string')

const isOtherAddress = (before: Account, { email }: AccountInput): boolean =>
  email !== undefined && email.toLowerCase() !== before.email.toLowerCase()

const MEMBERS_THAT_REVOKE = ['email', 'password', 'passwordHash', 'status'] as const
type MemberThatRevokes = (typeof MEMBERS_THAT_REVOKE)[number]

const UNIQUE_VIOLATION = '23505'

/** The unique index decides, not a look-up before it: of two simultaneous creations one is refused. */
async function refusingDuplicates(write: () => Promise<Account>): Promise<Account> {
  try {
    return await write()
  } catch (error) {
    if (sqlState(error) !== UNIQUE_VIOLATION) throw error
    throw new AppError('conflict', 409, 'An account with this e-mail address or username exists already.', {
      cause: error,
    })
  }
}

const notFound = () => new AppError('not_found', 404, 'There is no such account.')
