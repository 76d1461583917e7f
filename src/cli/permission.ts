import type { Command } from 'commander'
import type { Permission } from '../access/permission.ts'
import { OPERATOR } from '../audit-event.ts'
import { accountCalled, permissionCalled, WHO } from './access-lookup.ts'
import { everyByKey } from './every-page.ts'
import { examples } from './examples.ts'
import { printJson, printMembers, printTable } from './output.ts'
import { agreed, type RemovalOptions, sayingWhoNeedsIt, withRemovalOptions } from './removal.ts'
import { withCore } from './with-core.ts'

interface CreateOptions {
  description?: string
  resource?: string
  json?: boolean
}

export function addPermission(program: Command): void {
  const permission = program
    .command('permission')
    .description('Create, list, show or delete permissions; give them to accounts')
  permission
    .command('create <key>')
    .description('Create a permission, such as movies:edit')
    .option('--description <text>', 'what it allows')
    .option('--resource <key>', 'the resource it belongs to')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher permission create movies:edit --description "Edit films"'))
    .action(create)
  permission
    .command('list')
    .description('List the permissions')
    .option('--search <text>', 'those whose key begins with this')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher permission list', 'usher permission list --search movies:'))
    .action(list)
  permission
    .command('show <key>')
    .description('Show a permission')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher permission show movies:edit'))
    .action(show)
  withRemovalOptions(
    permission.command('delete <key>').description('Delete a permission that nobody holds'),
    'take it from every role and account that holds it',
  )
    .addHelpText('after', examples('usher permission delete movies:edit --yes'))
    .action(remove)
  permission
    .command('grant')
    .description('Give a permission to an account without a role')
    .argument('<account>', WHO)
    .argument('<permission>', 'the key of the permission')
    .addHelpText('after', examples('usher permission grant ada@example.org movies:edit'))
    .action(grant)
  permission
    .command('revoke')
    .description('Take a permission from an account that was given it without a role')
    .argument('<account>', WHO)
    .argument('<permission>', 'the key of the permission')
    .addHelpText('after', examples('usher permission revoke ada@example.org movies:edit'))
    .action(revoke)
  permission.addHelpText('after', examples('usher permission create --help', 'usher permission list'))
}

async function create(key: string, { description, resource, json }: CreateOptions): Promise<void> {
  const input = {
    key,
    ...(description === undefined ? {} : { description }),
    ...(resource === undefined ? {} : { resource }),
  }
  const created = await withCore(({ access }) => access.permissions.create(OPERATOR, input))
  if (json) return printJson(presentPermission(created))
  console.log(`Created the permission ${key}.`)
}

async function list({ search, json }: { search?: string; json?: boolean }): Promise<void> {
  const permissions = await withCore((core) => everyByKey(core.access.permissions.list, search))
  if (json) return printJson(permissions.map(presentPermission))
  const rows = permissions.map(({ key, resource, description }) => ({ key, resource: resource ?? '-', description }))
  printTable(rows, search === undefined ? 'There are no permissions yet.' : `No permission begins with ${search}.`)
}

async function show(key: string, { json }: { json?: boolean }): Promise<void> {
  const permission = presentPermission(await withCore((core) => permissionCalled(core, key)))
  if (json) return printJson(permission)
  printMembers(permission)
}

async function remove(key: string, { force, yes }: RemovalOptions): Promise<void> {
  await agreed(`Delete the permission ${key}?`, yes)
  await withCore(async (core) => {
    const { id } = await permissionCalled(core, key)
    await sayingWhoNeedsIt(core.access.permissions.remove(OPERATOR, id, { force: force === true }))
  })
  console.log(`Deleted the permission ${key}.`)
}

async function grant(login: string, key: string): Promise<void> {
  await withCore(async (core) => {
    const account = await accountCalled(core, login)
    const permission = await permissionCalled(core, key)
    const { isNew } = await core.access.assignments.give(OPERATOR, account.id, permission.key)
    console.log(isNew ? `${account.email} holds ${key}.` : `${account.email} held ${key} already.`)
  })
}

async function revoke(login: string, key: string): Promise<void> {
  await withCore(async (core) => {
    const account = await accountCalled(core, login)
    const { id } = await permissionCalled(core, key)
    const held = await everyByKey((page) => core.access.assignments.listPermissions(account.id, page))
    if (!held.some((permission) => permission.id === id)) {
      throw new Error(
        `${account.email} was not given ${key} without a role: see "usher can ${login} ${key} --explain".`,
      )
    }
    await core.access.assignments.take(OPERATOR, account.id, id)
    console.log(`${key} is taken from ${account.email}. What roles and teams give is as it was.`)
  })
}

const presentPermission = ({ id, key, description, resource }: Permission) => ({ id, key, description, resource })
