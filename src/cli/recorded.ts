/** The audit events of what the operator does to accounts by the command line. */
import type { Account } from '../accounts/account.ts'
import { difference } from '../accounts/account-difference.ts'
import { presentAccount } from '../accounts/presentation.ts'
import { OPERATOR } from '../audit-event.ts'
import type { Core } from '../compose/core.ts'
import type { Executor } from '../storage/tables.ts'

/** For the transaction that makes or changes an account. */
export const recorded =
  ({ audit }: Pick<Core, 'audit'>) =>
  async (executor: Executor, after: Account, before?: Account): Promise<void> => {
    const target = { kind: 'account', id: after.id } as const
    if (before)
      await audit.record(executor, OPERATOR, { action: 'account.changed', target, ...difference(before, after) })
    else await audit.record(executor, OPERATOR, { action: 'account.created', target, after: presentAccount(after) })
  }
