/** Who would still be a superuser while a declarative file is carried out, account by account in its order. */
import { lastSuperuser } from '../access/refusals.ts'
import { SUPERUSER } from '../access/role.ts'
import type { Account } from '../accounts/account.ts'
import type { NewAccount } from '../accounts/accounts.ts'
import type { Core } from '../compose/core.ts'

/** Of so many nobody is the last. */
const MANY = 1_000

/**
 * Makes what foresees one account after the other. That throws conflict (409) where carrying the file out would, which
 * must not happen half-way: the last superuser stays.
 */
export async function remainingSuperusers({ access }: Core) {
  const remaining = new Set(await access.holdersOf(SUPERUSER, MANY))

  const isOne = async (existing: Account | undefined, roles: readonly string[] | undefined): Promise<boolean> => {
    if (roles) return roles.includes(SUPERUSER)
    return existing !== undefined && (await access.rolesOf(existing.id)).includes(SUPERUSER)
  }

  return async function foresee(
    existing: Account | undefined,
    { email, status = existing?.status ?? 'active' }: NewAccount,
    roles: readonly string[] | undefined,
  ): Promise<void> {
    const name = existing?.id ?? email
    const isThere = status === 'active' && existing?.deletionDueAt === undefined
    if (isThere && (await isOne(existing, roles))) remaining.add(name)
    else if (remaining.delete(name) && remaining.size === 0) throw lastSuperuser()
  }
}
