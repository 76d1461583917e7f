/**
 * Another e-mail address: the code goes to the new one, a notice to the old one, and nothing changes before the code
 * comes back. Whether somebody else has the address is decided by the unique index then, for whoever reads its mail.
 */
import { type AuditSink, owner, type Traces } from '../audit-event.ts'
import { type CodeHolder, invalidCode, type OneTimeCodes } from '../codes/one-time-code.ts'
import { AppError } from '../errors.ts'
import type { Limits } from '../limits/limits.ts'
import type { Intent } from '../mail/intent.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Outbox } from '../mail/outbox.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { inTransaction } from '../storage/transaction.ts'
import type { Account } from './account.ts'
import { difference } from './account-difference.ts'
import type { Accounts } from './accounts.ts'
import type { EmailChangeStore } from './email-change-store.ts'
import { isMailAddress } from './mail-address.ts'
import type { ProveOwner } from './own-password.ts'

export const EMAIL_CHANGE = 'email-change'
export const EMAIL_CHANGE_NOTICE = 'email-change-notice'

export interface EmailChangeDeps {
  db: Database
  accounts: Pick<Accounts, 'findById' | 'update'>
  store: EmailChangeStore
  codes: Pick<OneTimeCodes, 'issue' | 'redeem' | 'ttlSeconds'>
  limits: Pick<Limits, 'spend' | 'spendFor'>
  proveOwner: ProveOwner
  audit: AuditSink<Executor>
  enqueue: Outbox['add']
  send: Mailer['send']
}

export interface EmailChangeRequest {
  accountId: string
  password: string
  newEmail: string
  from: string
}

export interface EmailChangeConfirmation {
  accountId: string
  code: unknown
  from: string
  traces?: Traces
}

export type EmailChange = ReturnType<typeof createEmailChange>

export function createEmailChange(deps: EmailChangeDeps) {
  const { db, accounts, store, codes, limits, proveOwner, audit, enqueue, send } = deps

  async function request({ accountId, password, newEmail, from }: EmailChangeRequest): Promise<void> {
    if (!isMailAddress(newEmail)) throw fault('is not a mail address this server accepts')
    await limits.spend('code-request', { address: from })
    const { email } = await proveOwner(accountId, password)
    if (email.toLowerCase() === newEmail.toLowerCase())
      throw fault('is the address of the account already', 'same_email')
    await store.save(accountId, newEmail)
    await wishForMails(accountId, { from: email, to: newEmail })
  }

  /** Neither the owner nor whoever has the other address can be mailed without end; beyond it nothing is sent. */
  const withinBudget = (kind: string, identifier: string, mail: () => Promise<void>): Promise<void> =>
    limits.spendFor('code-mail', { identifier: `${kind} ${identifier}` }, mail)

  const wishForMails = (accountId: string, { from, to }: { from: string; to: string }): Promise<void> =>
    inTransaction(db, async (executor) => {
      await enqueue(executor, { kind: EMAIL_CHANGE, accountId, email: to })
      await enqueue(executor, { kind: EMAIL_CHANGE_NOTICE, accountId, email: from, data: { newAddress: to } })
    })

  async function confirm(given: EmailChangeConfirmation): Promise<Account> {
    const { accountId, code, from, traces = { address: from } } = given
    await limits.spend('code-attempt', { address: from })
    const address = await store.find(accountId)
    if (address === undefined || !(await codes.redeem(holderOf(accountId, address), code))) throw invalidCode()
    const proved = { email: address, emailVerified: true }
    const account = await accounts.update(accountId, proved, (executor, after, before) =>
      audit(executor, owner(accountId, traces), {
        action: 'account.email_changed',
        target: { kind: 'account', id: accountId },
        ...difference(before, after),
      }),
    )
    await store.remove(accountId)
    return account
  }

  return {
    /**
     * Throws bad_request (400), invalid_credentials (403) when the password is wrong, rate_limited (429),
     * Unavailable (503); nothing about the new address.
     */
    request,

    /** Run by the outbox worker: the code to the new address, unless another has been asked for since. */
    async deliverCode({ accountId = '', email: address = '' }: Pick<Intent, 'accountId' | 'email'>): Promise<void> {
      const account = await accounts.findById(accountId)
      if (!account || (await store.find(accountId)) !== address) return
      const { locale } = account
      const data = { lifeMinutes: codes.ttlSeconds / 60 }
      const sendCode = () =>
        codes.issue(holderOf(accountId, address), (code) =>
          send({ to: { address }, template: 'email-change-code', locale, data: { ...data, code } }),
        )
      await withinBudget(EMAIL_CHANGE, accountId, () => withinBudget(EMAIL_CHANGE, address, sendCode))
    },

    /** Run by the outbox worker: the notice to the address that was the account's when the change was asked for. */
    async deliverNotice(intent: Pick<Intent, 'accountId' | 'email' | 'data' | 'createdAt'>): Promise<void> {
      const { accountId = '', email: address = '', data, createdAt: at } = intent
      const account = await accounts.findById(accountId)
      if (!account) return
      const { locale } = account
      const newAddress = String(data.newAddress)
      await withinBudget(EMAIL_CHANGE_NOTICE, accountId, () =>
        send({ to: { address }, template: 'email-change-notice', locale, data: { newAddress, at } }),
      )
    },

    /**
     * Changes the address to the one asked for last. Throws invalid_code (400) whatever was wrong, conflict (409) when
     * somebody else has the address, rate_limited (429), Unavailable (503).
     */
    confirm,
  }
}

const holderOf = (accountId: string, address: string): CodeHolder => ({
  purpose: EMAIL_CHANGE,
  subject: accountId,
  address,
})

function fault(message: string, code = 'email'): AppError {
  return new AppError('bad_request', 400, `The new address ${message}.`, {
    faults: [{ pointer: '/new_email', message, code }],
  })
}
