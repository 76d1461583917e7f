/** Accounts as the API shows them to administrators: what their owner sees, and what decides about signing in. */
import type { Account } from '../accounts/account.ts'
import { presentAccount } from '../accounts/presentation.ts'

/** Of the password only whether there is one. */
export const presentAdministered = (account: Account) => ({
  ...presentAccount(account),
  status: account.status,
  has_password: account.passwordHash !== undefined,
  deletion_due_at: account.deletionDueAt?.toISOString() ?? null,
})
