/** The roles and permissions that a declarative file gives to an account: what it names, and nothing else. */
import { OPERATOR } from '../audit-event.ts'
import type { Core } from '../compose/core.ts'
import type { Outcome } from './apply-report.ts'
import { everyByKey } from './every-page.ts'

/** Keys; what is left out stays as it is. */
export interface Rights {
  roles: readonly string[] | undefined
  permissions: readonly string[] | undefined
}

/** What bringRights would do; undefined for an account that is still to be made. */
export async function foreseeRights(core: Core, accountId: string | undefined, wanted: Rights): Promise<Outcome> {
  return isAny(await difference(core, accountId, wanted)) ? 'changed' : 'unchanged'
}

export async function bringRights(core: Core, accountId: string, wanted: Rights): Promise<Outcome> {
  const { access } = core
  const { roles, permissions } = await difference(core, accountId, wanted)
  for (const key of roles.added) await access.assignRole(accountId, key)
  for (const { key } of roles.dropped) await access.removeRole(accountId, key)
  for (const key of permissions.added) await access.assignments.give(OPERATOR, accountId, key)
  for (const { id } of permissions.dropped) await access.assignments.take(OPERATOR, accountId, id)
  return isAny({ roles, permissions }) ? 'changed' : 'unchanged'
}

interface Held {
  id: string
  key: string
}

type Difference = Awaited<ReturnType<typeof difference>>

async function difference({ access: { assignments } }: Core, accountId: string | undefined, wanted: Rights) {
  const list = async (items: typeof assignments.listRoles | typeof assignments.listPermissions): Promise<Held[]> =>
    accountId === undefined ? [] : everyByKey<Held>((page) => items(accountId, page))
  return {
    // Every account is a user without being told so.
    roles: between(
      await list(assignments.listRoles),
      wanted.roles?.filter((key) => key !== 'user'),
    ),
    permissions: between(await list(assignments.listPermissions), wanted.permissions),
  }
}

function between(held: readonly Held[], wanted: readonly string[] | undefined) {
  if (wanted === undefined) return { added: [], dropped: [] }
  return {
    added: [...new Set(wanted)].filter((key) => !held.some((item) => item.key === key)),
    dropped: held.filter(({ key }) => !wanted.includes(key)),
  }
}

const isAny = ({ roles, permissions }: Difference): boolean =>
  [roles.added, roles.dropped, permissions.added, permissions.dropped].some((list) => list.length > 0)
