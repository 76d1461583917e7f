import type { Command } from 'commander'
import type { Core, Stores } from '../compose.ts'
import { examples } from './examples.ts'
import type { Manifest } from './manifest.ts'
import { recorded } from './recorded.ts'
import { withCore } from './with-core.ts'

type Outcome = 'created' | 'changed' | 'unchanged'
type Report = (kind: string, name: string, outcome: Outcome) => void

export function addApply(program: Command): void {
  program
    .command('apply <file>')
    .description('Make permissions, roles, clients and accounts be as a YAML or JSON file describes them; repeatable')
    .option('--dry-run', 'print the plan and write nothing')
    .addHelpText('after', examples('usher apply config/apply.example.yaml --dry-run'))
    .action(async (file: string, { dryRun }: { dryRun?: boolean }) => {
      const { environment } = await import('../config.ts')
      const { readManifest } = await import('./manifest.ts')
      const manifest = readManifest(file, environment)
      await withCore((core, stores) => (dryRun ? plan(manifest, core, stores) : apply(manifest, core, stores)))
    })
}

/** What would be refused half-way is refused before anything is written. */
async function apply(manifest: Manifest, core: Core, stores: Stores): Promise<void> {
  await foresee(manifest, core, stores, () => undefined)
  const { report, summary } = reporter()
  await core.access.initialize()
  await core.visibility.initialize()
  await eachOf('permissions', manifest.permissions, async (permission) => {
    report('permission', permission.key, await core.access.ensurePermission(permission))
  })
  await eachOf('roles', manifest.roles, async (role) => {
    report('role', role.key, await core.access.ensureRole(role))
  })
  await eachOf('clients', manifest.clients, async (client) => {
    const { outcome, secret } = await core.clients.ensure(client)
    report('client', client.id, outcome)
    if (secret !== undefined) console.log(`           client_secret of ${client.id}, shown this once: ${secret}`)
  })
  await eachOf('accounts', manifest.accounts, async ({ account: described, roles }) => {
    const { outcome, account } = await core.accounts.ensure(described, recorded(core))
    const isRegrouped = await changeRoles(core, account.id, roles)
    report('account', described.email, outcome === 'unchanged' && isRegrouped ? 'changed' : outcome)
  })
  console.log(summary())
}

/** The roles that the file names become those of the account; answers whether any differed. */
async function changeRoles(
  { access }: Core,
  accountId: string,
  wanted: readonly string[] | undefined,
): Promise<boolean> {
  const { added, dropped } = roleChanges(await access.rolesOf(accountId), wanted)
  for (const role of added) await access.assignRole(accountId, role)
  for (const role of dropped) await access.removeRole(accountId, role)
  return added.length + dropped.length > 0
}

function roleChanges(held: readonly string[], wanted: readonly string[] | undefined) {
  const added = (wanted ?? []).filter((role) => !held.includes(role))
  // Every account is a user without being told so.
  const dropped = wanted === undefined ? [] : held.filter((role) => role !== 'user' && !wanted.includes(role))
  return { added, dropped }
}

async function plan(manifest: Manifest, core: Core, stores: Stores): Promise<void> {
  const { report, summary } = reporter()
  await foresee(manifest, core, stores, report)
  console.log(`${summary()} Nothing was written.`)
}

async function foresee(manifest: Manifest, core: Core, stores: Stores, report: Report): Promise<void> {
  await foreseeAccess(manifest, core, stores, report)
  await eachOf('clients', manifest.clients, async (client) => {
    report('client', client.id, await core.clients.foresee(client))
  })
  await eachOf('accounts', manifest.accounts, async ({ account, roles }) => {
    const existing = await core.accounts.findByLogin(account.email)
    const { added, dropped } = roleChanges(existing ? await core.access.rolesOf(existing.id) : [], roles)
    const outcome = await core.accounts.foresee(account)
    report('account', account.email, outcome === 'unchanged' && added.length + dropped.length > 0 ? 'changed' : outcome)
  })
}

/** Roles may rest on permissions of the same file, so both are really written, and taken back. */
async function foreseeAccess(
  manifest: Manifest,
  { access }: Core,
  { database }: Stores,
  report: Report,
): Promise<void> {
  const { BASE_PERMISSIONS } = await import('../access/permission.ts')
  const { inTransaction } = await import('../storage/transaction.ts')
  const takenBack = new Error('dry run')
  const rehearsal = inTransaction(database.db, async (executor) => {
    for (const permission of BASE_PERMISSIONS) await access.ensurePermission(permission, executor)
    await eachOf('permissions', manifest.permissions, async (permission) => {
      report('permission', permission.key, await access.ensurePermission(permission, executor))
    })
    await eachOf('roles', manifest.roles, async (role) => {
      report('role', role.key, await access.ensureRole(role, executor))
    })
    await eachOf('accounts', manifest.accounts, async ({ roles = [] }) => access.requireRoles(roles, executor))
    throw takenBack
  })
  await rehearsal.catch((error: unknown) => {
    if (error !== takenBack) throw error
  })
}

/** One after the other, and a refusal names the place in the file. */
async function eachOf<T>(list: string, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (const [index, item] of items.entries()) {
    try {
      await work(item)
    } catch (error) {
      throw await located(`${list}[${index}]`, error)
    }
  }
}

async function located(place: string, error: unknown): Promise<unknown> {
  const { AppError } = await import('../errors.ts')
  if (!(error instanceof AppError) || error.status >= 500) return error
  const { ManifestError, placeOf } = await import('./manifest.ts')
  const faults = error.faults.map(({ pointer, message }) => `${place}${dotted(placeOf(pointer))}: ${message}`)
  return new ManifestError(faults.length > 0 ? faults : [`${place}: ${error.message}`])
}

const dotted = (place: string): string => (place === '' ? '' : `.${place}`)

function reporter() {
  const counts = { created: 0, changed: 0, unchanged: 0 }
  const report: Report = (kind, name, outcome) => {
    counts[outcome] += 1
    console.log(`${outcome.padEnd(9)}  ${kind.padEnd(10)}  ${name}`)
  }
  const summary = () => `${counts.created} created, ${counts.changed} changed, ${counts.unchanged} unchanged.`
  return { report, summary }
}
