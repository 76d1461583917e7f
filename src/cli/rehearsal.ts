/** What a declarative file would do: whatever is to be refused is refused here, before anything is written. */
import type { Core } from '../compose/core.ts'
import type { Stores } from '../compose/stores.ts'
import type { Executor } from '../storage/tables.ts'
import { bringRoles, bringTeams } from './apply-access.ts'
import { eachOf, type Report, together } from './apply-report.ts'
import { foreseeRights } from './apply-rights.ts'
import type { Manifest } from './manifest.ts'
import { remainingSuperusers } from './remaining-superusers.ts'

export async function rehearse(manifest: Manifest, core: Core, stores: Stores, report: Report): Promise<void> {
  const accountIds = await memberIds(manifest, core)
  const later: (() => void)[] = []
  // Roles rest on permissions of the same file and teams on roles, so all are really written, and taken back.
  await takingBack(stores, async (executor) => {
    await bringRoles({ manifest, core, report, executor })
    await eachOf('accounts', manifest.accounts, async ({ roles = [], permissions = [] }) => {
      await core.access.requireRoles(roles, executor)
      await core.access.requirePermissions(permissions, executor)
    })
    const reportLater: Report = (...line) => later.push(() => report(...line))
    const accountIdOf = (email: string) => accountIds.get(email.toLowerCase())
    await bringTeams({ manifest, core, report: reportLater, executor, accountIdOf })
  })
  await eachOf('clients', manifest.clients, async (client) => {
    report('client', client.id, await core.clients.foresee(client))
  })
  const foreseeSuperuser = await remainingSuperusers(core)
  await eachOf('accounts', manifest.accounts, async ({ account, ...wanted }) => {
    const outcome = await core.accounts.foresee(account)
    const existing = await core.accounts.findByLogin(account.email)
    await foreseeSuperuser(existing, account, wanted.roles)
    report('account', account.email, together(outcome, await foreseeRights(core, existing?.id, wanted)))
  })
  for (const tell of later) tell()
}

async function takingBack({ database }: Stores, work: (executor: Executor) => Promise<void>): Promise<void> {
  const { inTransaction } = await import('../storage/transaction.ts')
  const takenBack = new Error('rehearsal')
  const rehearsal = inTransaction(database.db, async (executor) => {
    await work(executor)
    throw takenBack
  })
  await rehearsal.catch((error: unknown) => {
    if (error !== takenBack) throw error
  })
}

/** The members of teams and groups that there are already. Throws ManifestError for one that the file does not make. */
async function memberIds({ accounts: made, teams, visibilityGroups }: Manifest, { accounts }: Core) {
  const described = new Set(made.map(({ account }) => account.email.toLowerCase()))
  const ids = new Map<string, string>()
  const faults: string[] = []
  const named = [
    ...teams.flatMap(({ members = [] }, index) =>
      members.map(({ email }, at) => [email, `teams[${index}].members[${at}]`] as const),
    ),
    ...visibilityGroups.flatMap(({ members = [] }, index) =>
      members.map((email, at) => [email, `visibility_groups[${index}].members[${at}]`] as const),
    ),
  ]
  for (const [email, place] of named) {
    const account = await accounts.findByLogin(email)
    if (account) ids.set(email.toLowerCase(), account.id)
    else if (!described.has(email.toLowerCase()))
      faults.push(`${place}: there is no account ${email}, here or in the file`)
  }
  const { ManifestError } = await import('./manifest.ts')
  if (faults.length > 0) throw new ManifestError(faults)
  return ids
}
