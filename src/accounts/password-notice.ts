/** The mail that tells somebody that their password is no longer what it was. */
import type { Intent } from '../mail/intent.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Outbox } from '../mail/outbox.ts'
import type { Executor } from '../storage/tables.ts'
import type { Account } from './account.ts'
import type { Accounts } from './accounts.ts'

export const PASSWORD_NOTICE = 'password-changed'

export interface PasswordNoticeDeps {
  accounts: Pick<Accounts, 'findById'>
  enqueue: Outbox['add']
  send: Mailer['send']
}

export type PasswordNotice = ReturnType<typeof createPasswordNotice>

export function createPasswordNotice({ accounts, enqueue, send }: PasswordNoticeDeps) {
  return {
    /** For the transaction that changes the password: the notice is sent exactly when it commits. */
    note: (executor: Executor, { id }: Account): Promise<void> =>
      enqueue(executor, { kind: PASSWORD_NOTICE, accountId: id }),

    /** Run by the outbox worker. */
    async deliver({ accountId = '', createdAt }: Pick<Intent, 'accountId' | 'createdAt'>): Promise<void> {
      const account = await accounts.findById(accountId)
      if (!account) return
      const { email: address, locale } = account
      await send({ to: { address }, template: 'password-changed', locale, data: { at: createdAt } })
    },
  }
}
