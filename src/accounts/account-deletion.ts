/**
 * An account deleted by its owner: everything of it ends at once, the account itself goes after a time of grace in which
 * signing in brings it back. Whoever finds an open session must not be able to do this, so the sign-in must be fresh.
 */
import { type AuditEvent, type AuditSink, owner, SYSTEM, type Traces } from '../audit-event.ts'
import { type Clock, systemClock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { inTransaction } from '../storage/transaction.ts'
import type { AccountStore } from './account-store.ts'

/** How long ago the password may have been given. */
const FRESH_SECONDS = 600
const GRACE_DAYS = 14
const BATCH = 50

export interface AccountDeletionDeps {
  db: Database
  store: AccountStore
  /** Throws to keep the account, as for the last superuser. */
  guardRemoval(executor: Executor, accountId: string): Promise<void>
  /** Runs first in the transaction that marks, restores or removes an account: what was decided about it is over. */
  statusChanged?(executor: Executor, accountId: string): Promise<void>
  /**
   * Runs last in a transaction after which nothing may live on that was given out before: also when this process dies
   * before it comes to revokeSubject, services hear of it.
   */
  raiseFloor?(executor: Executor, accountId: string): Promise<unknown>
  audit: AuditSink<Executor>
  /** Ends every session and grant of the account. Safe to repeat. */
  revokeSubject(accountId: string): Promise<void>
  clock?: Clock
}

export type AccountDeletion = ReturnType<typeof createAccountDeletion>

export function createAccountDeletion({
  db,
  store,
  guardRemoval,
  statusChanged,
  raiseFloor,
  audit,
  revokeSubject,
  clock = systemClock,
}: AccountDeletionDeps) {
  const setDue = (executor: Executor, id: string, deletion_due_at: Date | null) =>
    store.update(executor, id, { deletion_due_at })

  const of = (id: string, action: AuditEvent['action'], after?: object): AuditEvent => ({
    action,
    target: { kind: 'account', id },
    after,
  })

  /** True when it is gone; false when its owner came back meanwhile, or it may not go. */
  async function removeOne(id: string): Promise<boolean> {
    try {
      const isGone = await inTransaction(db, async (executor) => {
        await statusChanged?.(executor, id)
        await guardRemoval(executor, id)
        const isRemoved = await store.removeDue(executor, id, new Date(clock.now()))
        if (!isRemoved) return false
        await audit(executor, SYSTEM, of(id, 'account.deleted'))
        await raiseFloor?.(executor, id)
        return true
      })
      if (isGone) await revokeSubject(id)
      return isGone
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'conflict') throw error
      await inTransaction(db, async (executor) => {
        await setDue(executor, id, null)
        await audit(executor, SYSTEM, of(id, 'account.restored'))
      })
      return false
    }
  }

  return {
    /** How long signing in brings the account back. */
    graceDays: GRACE_DAYS,

    /**
     * Marks the account for deletion and ends its sessions, grants and tokens.
     *
     * @param authTime when the person signed in, in seconds since the epoch
     * @returns when the account will be gone
     * @throws AppError fresh_sign_in_required (403), conflict (409) for the last superuser, not_found (404)
     */
    async request(id: string, authTime: number, traces?: Traces): Promise<Date> {
      if (clock.now() / 1000 - authTime > FRESH_SECONDS) {
        throw new AppError('fresh_sign_in_required', 403, 'Sign in again before you delete your account.')
      }
      const dueAt = new Date(clock.now() + GRACE_DAYS * 86_400_000)
      await inTransaction(db, async (executor) => {
        await statusChanged?.(executor, id)
        await guardRemoval(executor, id)
        if (!(await setDue(executor, id, dueAt))) throw new AppError('not_found', 404, 'There is no such account.')
        const after = { deletion_due_at: dueAt.toISOString() }
        await audit(executor, owner(id, traces), of(id, 'account.deletion_requested', after))
        await raiseFloor?.(executor, id)
      })
      await revokeSubject(id)
      return dueAt
    },

    /** Whether an account whose owner gives the right password is still there; a marked one comes back by this. */
    async restore({ id, deletionDueAt }: { id: string; deletionDueAt: Date | undefined }): Promise<boolean> {
      if (deletionDueAt === undefined) return true
      return inTransaction(db, async (executor) => {
        await statusChanged?.(executor, id)
        const isRestored = await store.restore(executor, id, new Date(clock.now()))
        if (isRestored) await audit(executor, owner(id), of(id, 'account.restored'))
        return isRestored
      })
    },

    /** Removes accounts whose grace is over; answers how many. For a timer: every server may run it. */
    async removeDue(): Promise<number> {
      const ids = await store.findDue(db, new Date(clock.now()), BATCH)
      let removed = 0
      for (const id of ids) if (await removeOne(id)) removed += 1
      return removed
    },
  }
}
