import type { Command } from 'commander'
import type { Role } from '../access/role.ts'
import { OPERATOR } from '../audit-event.ts'
import type { Core } from '../compose/core.ts'
import { accountCalled, permissionCalled, roleCalled, WHO } from './access-lookup.ts'
import { everyByKey } from './every-page.ts'
import { examples } from './examples.ts'
import { printJson, printMembers, printTable } from './output.ts'
import { agreed, type RemovalOptions, sayingWhoNeedsIt, withRemovalOptions } from './removal.ts'
import { several } from './several.ts'
import { withCore } from './with-core.ts'

interface CreateOptions {
  description?: string
  permission?: string[]
  include?: string[]
  json?: boolean
}

export function addRole(program: Command): void {
  const role = program.command('role').description('Create, list, show or delete roles; give them to accounts')
  role
    .command('create <key>')
    .description('Create a role: a named set of permissions')
    .option('--description <text>', 'what it is for')
    .option('--permission <key>', 'a permission it holds (repeatable)', several)
    .option('--include <role>', 'a role whose permissions it holds too (repeatable)', several)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'usher role create viewer --permission movies:view',
        'usher role create editor --include viewer --permission movies:edit --description "Edits films"',
      ),
    )
    .action(create)
  role
    .command('list')
    .description('List the roles')
    .option('--search <text>', 'those whose key begins with this')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher role list', 'usher role list --search edit'))
    .action(list)
  role
    .command('show <key>')
    .description('Show a role with what it holds itself, what it includes, and all it comes to')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher role show editor'))
    .action(show)
  withRemovalOptions(
    role.command('delete <key>').description('Delete a role that nobody has'),
    'delete it although accounts, teams or roles have it',
  )
    .addHelpText('after', examples('usher role delete editor --yes'))
    .action(remove)
  role
    .command('grant')
    .description('Give a role to an account')
    .argument('<account>', WHO)
    .argument('<role>', 'the key of the role')
    .addHelpText('after', examples('usher role grant ada@example.org editor'))
    .action(grant)
  role
    .command('revoke')
    .description('Take a role from an account')
    .argument('<account>', WHO)
    .argument('<role>', 'the key of the role')
    .addHelpText('after', examples('usher role revoke ada@example.org editor'))
    .action(revoke)
  role.addHelpText('after', examples('usher role create --help', 'usher role list'))
}

/** All of it or nothing. */
async function create(key: string, { description, permission = [], include = [], json }: CreateOptions): Promise<void> {
  const described = { key, ...(description === undefined ? {} : { description }) }
  const role = await withCore(async (core) => {
    const { roles } = core.access
    for (const held of permission) await permissionCalled(core, held)
    for (const included of include) await roleCalled(core, included)
    const { id } = await core.changes.change(OPERATOR, async (change) => {
      const created = await roles.create(change, described)
      for (const held of permission) await roles.addPermission(change, created.id, held)
      for (const included of include) await roles.include(change, created.id, included)
      return created
    })
    return describe(core, await roles.find(id))
  })
  if (json) return printJson(role)
  console.log(`Created the role ${key}.`)
}

async function list({ search, json }: { search?: string; json?: boolean }): Promise<void> {
  const roles = await withCore((core) => everyByKey(core.access.roles.list, search))
  if (json) return printJson(roles.map(presentRole))
  const rows = roles.map(({ key, description, isSystem }) => ({ key, system: isSystem ? 'yes' : 'no', description }))
  printTable(rows, search === undefined ? 'There are no roles yet.' : `No role begins with ${search}.`)
}

async function show(key: string, { json }: { json?: boolean }): Promise<void> {
  const described = await withCore(async (core) => describe(core, await roleCalled(core, key)))
  if (json) return printJson(described)
  printMembers(described)
}

async function remove(key: string, { force, yes }: RemovalOptions): Promise<void> {
  await agreed(`Delete the role ${key}?`, yes)
  await withCore(async (core) => {
    const { id } = await roleCalled(core, key)
    await sayingWhoNeedsIt(core.access.roles.remove(OPERATOR, id, { force: force === true }))
  })
  console.log(`Deleted the role ${key}.`)
}

async function grant(login: string, key: string): Promise<void> {
  await withCore(async (core) => {
    const account = await accountCalled(core, login)
    const { key: role } = await roleCalled(core, key)
    const { isNew } = await core.access.assignments.assign(OPERATOR, account.id, role)
    console.log(isNew ? `${account.email} has the role ${key}.` : `${account.email} had the role ${key} already.`)
  })
}

async function revoke(login: string, key: string): Promise<void> {
  await withCore(async (core) => {
    const account = await accountCalled(core, login)
    const { id } = await roleCalled(core, key)
    const held = await everyByKey((page) => core.access.assignments.listRoles(account.id, page))
    if (!held.some((role) => role.id === id)) throw new Error(`${account.email} does not have the role ${key}.`)
    await core.access.assignments.unassign(OPERATOR, account.id, id)
    console.log(`${account.email} no longer has the role ${key}.`)
  })
}

const presentRole = ({ id, key, description, isSystem }: Role) => ({ id, key, description, is_system: isSystem })

async function describe({ access: { roles } }: Core, role: Role): Promise<Record<string, unknown>> {
  const held = await everyByKey((page) => roles.listPermissions(role.id, page))
  const included = await everyByKey((page) => roles.listIncludes(role.id, page))
  return {
    ...presentRole(role),
    permissions: held.map(({ key }) => key),
    includes: included.map(({ key }) => key),
    combined_permissions: await roles.combinedPermissions(role.id),
  }
}
