/** A new password for somebody who knows the old one. */
import { type AuditSink, owner, type Traces } from '../audit-event.ts'
import type { OneTimeCodes } from '../codes/one-time-code.ts'
import type { OwnSession } from '../http/authenticate.ts'
import type { Executor } from '../storage/tables.ts'
import type { Accounts } from './accounts.ts'
import type { HashPool } from './hash-pool.ts'
import { type ProveOwner, wrongPassword } from './own-password.ts'
import type { PasswordNotice } from './password-notice.ts'
import type { PasswordPolicy } from './password-policy.ts'

export interface PasswordChangeDeps {
  accounts: Pick<Accounts, 'replaceHash'>
  codes: Pick<OneTimeCodes, 'drop'>
  proveOwner: ProveOwner
  policy: PasswordPolicy
  hashes: Pick<HashPool, 'hash'>
  notice: Pick<PasswordNotice, 'note'>
  audit: AuditSink<Executor>
  /** Ends every session and token of the account but one session. Safe to repeat. */
  revokeOthers(accountId: string, keepSession: OwnSession | undefined): Promise<void>
}

export interface PasswordChangeRequest {
  accountId: string
  currentPassword: string
  newPassword: string
  /** The session that asks; it goes on. Undefined ends them all. */
  keepSession: OwnSession | undefined
  traces?: Traces
}

export type ChangePassword = (request: PasswordChangeRequest) => Promise<void>

export function createChangePassword(deps: PasswordChangeDeps): ChangePassword {
  const { accounts, codes, proveOwner, policy, hashes, notice, audit, revokeOthers } = deps

  /**
   * Of simultaneous changes one succeeds. Throws invalid_credentials (403), invalid_password (400), rate_limited (429),
   * Unavailable (503).
   */
  return async function changePassword({ accountId, currentPassword, newPassword, keepSession, traces }) {
    const { email, username = '', passwordHash } = await proveOwner(accountId, currentPassword)
    policy.check(newPassword, [email, username], '/new_password')
    const change = { from: passwordHash, to: await hashes.hash(newPassword) }

    // Before as well as after: when it fails now nothing is half done, and afterwards nobody has come in between.
    await revokeOthers(accountId, keepSession)
    await codes.drop('password-reset', accountId)
    const isReplaced = await accounts.replaceHash(accountId, change, async (executor, account) => {
      await notice.note(executor, account)
      const target = { kind: 'account', id: accountId } as const
      await audit(executor, owner(accountId, traces), { action: 'account.password_changed', target })
    })
    if (!isReplaced) throw wrongPassword()
    await revokeOthers(accountId, keepSession)
  }
}
