/**
 * Back in without the password: a code mailed to the stored address, and a new password for it. The answers, the work
 * and the time are the same for every address, whether or not somebody has an account with it.
 */

import type { Account } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { HashPool } from '../accounts/hash-pool.ts'
import { isMailAddress } from '../accounts/mail-address.ts'
import type { PasswordNotice } from '../accounts/password-notice.ts'
import type { PasswordPolicy } from '../accounts/password-policy.ts'
import { type AuditSink, owner, type Traces } from '../audit-event.ts'
import { type CodeHolder, invalidCode, type OneTimeCodes, provedAddress } from '../codes/one-time-code.ts'
import { AppError } from '../errors.ts'
import type { Limits } from '../limits/limits.ts'
import type { Intent } from '../mail/intent.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Outbox } from '../mail/outbox.ts'
import type { Database, Executor } from '../storage/tables.ts'

export const PASSWORD_RESET = 'password-reset'

export interface PasswordResetDeps {
  db: Database
  accounts: Pick<Accounts, 'findByLogin' | 'revise'>
  codes: Pick<OneTimeCodes, 'issue' | 'redeem' | 'subjectOf' | 'ttlSeconds'>
  limits: Pick<Limits, 'spend' | 'spendFor' | 'clear'>
  policy: PasswordPolicy
  hashes: Pick<HashPool, 'hash'>
  notice: Pick<PasswordNotice, 'note'>
  audit: AuditSink<Executor>
  enqueue: Outbox['add']
  send: Mailer['send']
  /** Ends every session, grant and token of the account. Safe to repeat. */
  revokeSubject(accountId: string): Promise<void>
}

export interface ResetConfirmation {
  email: string
  /** As typed; what can be no code is refused like a wrong one. */
  code: unknown
  newPassword: string
  /** The caller's address behind the configured proxies. */
  from: string
  traces?: Traces
}

export type PasswordReset = ReturnType<typeof createPasswordReset>

export function createPasswordReset(deps: PasswordResetDeps) {
  const { db, accounts, codes, limits, policy, hashes, notice, audit, enqueue, send, revokeSubject } = deps

  async function findActive(email: string): Promise<Account | undefined> {
    const account = isMailAddress(email) ? await accounts.findByLogin(email) : undefined
    return account?.status === 'active' ? account : undefined
  }

  return {
    /**
     * Wishes for a code: the same work for every address, because the outbox worker is the first who asks whether an
     * account exists.
     * Throws bad_request (400), rate_limited (429) by the caller's address, Unavailable (503).
     */
    async request({ email, from }: { email: string; from: string }): Promise<void> {
      if (!isMailAddress(email)) throw malformedAddress()
      await limits.spend('code-request', { address: from })
      await enqueue(db, { kind: PASSWORD_RESET, email })
    },

    /** Has a code mailed to the owner of an account, as part of a write of somebody who may ask for it. */
    requestFor: (executor: Executor, { email }: Pick<Account, 'email'>): Promise<void> =>
      enqueue(executor, { kind: PASSWORD_RESET, email }),

    /**
     * Run by the outbox worker. The code is made when it is sent, so it never lies in a table and is never stale. Beyond
     * three mails in an hour nothing is sent; the newest code still lives.
     */
    async deliver({ email = '' }: Pick<Intent, 'email'>): Promise<void> {
      const account = await findActive(email)
      if (!account) return
      const { id, email: address, locale } = account
      const data = { lifeMinutes: codes.ttlSeconds / 60 }
      await limits.spendFor('code-mail', { identifier: `${PASSWORD_RESET} ${id}` }, () =>
        codes.issue(holderOf(account), (code) =>
          send({ to: { address }, template: 'reset-code', locale, data: { ...data, code } }),
        ),
      )
    },

    /**
     * Sets the password by a code. Signs nobody in. Whatever can fail for another reason comes before the code is
     * spent. Throws rate_limited (429), invalid_password (400), invalid_code (400) whatever was wrong, Unavailable.
     */
    async confirm({ email, code, newPassword, from, traces = { address: from } }: ResetConfirmation): Promise<void> {
      await limits.spend('code-attempt', { address: from })
      policy.check(newPassword, [email], '/new_password')
      const passwordHash = await hashes.hash(newPassword)
      const account = await findActive(email)
      // Strangers cost the same look-up, hash and try.
      const isRight = await codes.redeem(holderOf(account ?? { id: codes.subjectOf(email), email }), code)
      if (!account || !isRight) throw invalidCode()

      await forgetFailures(account)
      // The update revokes again; when this fails nothing is half done.
      await revokeSubject(account.id)
      const { id } = account
      await accounts.revise(
        id,
        { passwordHash, emailVerified: true },
        {
          settle: provedAddress(account.email),
          async around(executor, write) {
            const rewritten = await write()
            await notice.note(executor, rewritten.after)
            const target = { kind: 'account', id } as const
            await audit(executor, owner(id, traces), { action: 'account.password_reset', target })
            return rewritten
          },
        },
      )
    },
  }

  /** Whoever guessed at the old password has slowed its owner down; that is over. */
  async function forgetFailures({ email, username }: Account): Promise<void> {
    for (const login of [email, username]) if (login !== undefined) await limits.clear('sign-in', login)
  }
}

const holderOf = ({ id, email }: Pick<Account, 'id' | 'email'>): CodeHolder => ({
  purpose: PASSWORD_RESET,
  subject: id,
  address: email,
})

const malformedAddress = () =>
  new AppError('bad_request', 400, 'This is not a mail address that this server accepts.', {
    faults: [{ pointer: '/email', message: 'is not a mail address this server accepts' }],
  })
