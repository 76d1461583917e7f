/** A declarative file carried out, each thing in a transaction of its own, so that a repetition goes on where one ended. */
import { OPERATOR } from '../audit-event.ts'
import type { Core } from '../compose/core.ts'
import { bringRoles, bringTeams } from './apply-access.ts'
import { eachOf, type Report, together } from './apply-report.ts'
import { bringRights } from './apply-rights.ts'
import type { Manifest } from './manifest.ts'
import { recorded } from './recorded.ts'

export async function bring(manifest: Manifest, core: Core, report: Report): Promise<void> {
  await core.visibility.initialize()
  await bringRoles({ manifest, core, report })
  await eachOf('clients', manifest.clients, async (client) => {
    const { outcome, secret } = await core.clientAdministration.ensure(OPERATOR, client)
    report('client', client.id, outcome)
    if (secret !== undefined) console.log(`           client_secret of ${client.id}, shown this once: ${secret}`)
  })
  await eachOf('accounts', manifest.accounts, async ({ account: described, ...wanted }) => {
    const { outcome, account } = await core.accounts.ensure(described, recorded(core))
    report('account', described.email, together(outcome, await bringRights(core, account.id, wanted)))
  })
  const ids = await memberIds(manifest, core)
  await bringTeams({ manifest, core, report, accountIdOf: (email) => ids.get(email) })
}

async function memberIds({ teams, visibilityGroups }: Manifest, { accounts }: Core): Promise<Map<string, string>> {
  const ids = new Map<string, string>()
  const named = [
    ...teams.flatMap(({ members = [] }) => members.map(({ email }) => email)),
    ...visibilityGroups.flatMap(({ members = [] }) => members),
  ]
  for (const email of named) {
    const account = await accounts.findByLogin(email)
    if (account) ids.set(email, account.id)
  }
  return ids
}
