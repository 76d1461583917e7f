/** Somebody who is signed in proves to be the owner by the password, before anything that could lock the owner out. */
import { AppError } from '../errors.ts'
import type { Limits } from '../limits/limits.ts'
import type { Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { HashPool } from './hash-pool.ts'
import { unmatchableHash } from './password-hash.ts'
import { isOverlong } from './password-policy.ts'

export interface OwnPasswordDeps {
  accounts: Pick<Accounts, 'findById'>
  hashes: Pick<HashPool, 'verify'>
  limits: Pick<Limits, 'spend' | 'clear'>
}

/** The account, once the password has proved right. */
export type ProveOwner = (accountId: string, password: string) => Promise<Account & { passwordHash: string }>

export function createProveOwner({ accounts, hashes, limits }: OwnPasswordDeps): ProveOwner {
  const nobodysHash = unmatchableHash()

  /** Throws invalid_credentials (403), rate_limited (429) after a run of wrong ones, Unavailable (503). */
  return async function proveOwner(accountId, password) {
    await limits.spend('own-password', { identifier: accountId })
    if (isOverlong(password)) throw wrongPassword()
    const account = await accounts.findById(accountId)
    const { passwordHash = nobodysHash } = account ?? {}
    const { matches } = await hashes.verify(passwordHash, password)
    if (!account || !matches || account.status !== 'active') throw wrongPassword()
    await limits.clear('own-password', accountId)
    return { ...account, passwordHash }
  }
}

/** 403 and not 401: the request is authenticated, and signing in anew would not help it. */
export const wrongPassword = () => new AppError('invalid_credentials', 403, 'The password is wrong.')
