import type { Command } from 'commander'
import { OPERATOR } from '../audit-event.ts'
import type { Core } from '../compose/core.ts'
import type { Team } from '../teams/team.ts'
import { accountCalled, roleCalled, teamCalled, WHO } from './access-lookup.ts'
import { everyAfter, everyByKey } from './every-page.ts'
import { examples } from './examples.ts'
import { printJson, printMembers, printTable } from './output.ts'
import { agreed, type RemovalOptions, sayingWhoNeedsIt, withRemovalOptions } from './removal.ts'
import { withCore } from './with-core.ts'

interface CreateOptions {
  description?: string
  parent?: string
  json?: boolean
}

export function addTeam(program: Command): void {
  const team = program.command('team').description('Create, list, show or delete teams; their members and roles')
  team
    .command('create <key>')
    .description('Create a team')
    .option('--description <text>', 'what it is')
    .option('--parent <team>', 'the team it lies below, whose roles its members have too')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher team create studio', 'usher team create cutters --parent studio'))
    .action(create)
  team
    .command('list')
    .description('List the teams')
    .option('--search <text>', 'those whose key begins with this')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher team list'))
    .action(list)
  team
    .command('show <key>')
    .description('Show a team with its roles and members')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher team show cutters'))
    .action(show)
  withRemovalOptions(
    team.command('delete <key>').description('Delete a team without members and roles'),
    'delete it although it has members or roles',
  )
    .addHelpText('after', examples('usher team delete cutters --yes'))
    .action(remove)
  withTeam(team, 'add', 'Add an account to a team, or say anew whether it manages it')
    .argument('<account>', WHO)
    .option('--manager', 'it may add and remove members')
    .addHelpText('after', examples('usher team add cutters ada@example.org --manager'))
    .action(add)
  withTeam(team, 'remove', 'Remove an account from a team')
    .argument('<account>', WHO)
    .addHelpText('after', examples('usher team remove cutters ada@example.org'))
    .action(removeMember)
  withTeam(team, 'grant', 'Give a role to a team: to its members and those of the teams below')
    .argument('<role>', 'the key of the role')
    .addHelpText('after', examples('usher team grant cutters editor'))
    .action(grant)
  withTeam(team, 'revoke', 'Take a role from a team')
    .argument('<role>', 'the key of the role')
    .addHelpText('after', examples('usher team revoke cutters editor'))
    .action(revoke)
  team.addHelpText('after', examples('usher team create --help', 'usher team list'))
}

const withTeam = (parent: Command, name: string, description: string): Command =>
  parent.command(name).description(description).argument('<team>', 'the key of the team')

async function create(key: string, { description, parent, json }: CreateOptions): Promise<void> {
  const team = await withCore(async (core) => {
    if (parent !== undefined) await teamCalled(core, parent)
    return core.teams.create(OPERATOR, { key, description, parent })
  })
  if (json) return printJson(presentTeam(team))
  console.log(`Created the team ${key}.`)
}

async function list({ search, json }: { search?: string; json?: boolean }): Promise<void> {
  const teams = await withCore((core) => everyByKey(core.teams.list, search))
  if (json) return printJson(teams.map(presentTeam))
  const rows = teams.map(({ key, parent, description }) => ({ key, parent: parent ?? '-', description }))
  printTable(rows, search === undefined ? 'There are no teams yet.' : `No team begins with ${search}.`)
}

async function show(key: string, { json }: { json?: boolean }): Promise<void> {
  const { team, roles, members } = await withCore(async (core) => contentsOf(core, await teamCalled(core, key)))
  if (json) return printJson({ ...presentTeam(team), roles, members })
  printMembers({ ...presentTeam(team), roles })
  for (const { email, manager } of members) console.log(`member: ${email}${manager ? ' (manager)' : ''}`)
}

async function contentsOf({ teams, accounts }: Core, team: Team) {
  const roles = await everyByKey((page) => teams.roles(team.id, page))
  const memberships = await everyAfter(
    async (page) => (await teams.members(team.id, page)).items,
    ({ accountId }) => accountId,
  )
  const found = await Promise.all(memberships.map(({ accountId }) => accounts.findById(accountId))) // one statement
  const members = memberships.flatMap(({ accountId, isManager }, place) => {
    const account = found[place]
    return account ? [{ account_id: accountId, email: account.email, manager: isManager }] : []
  })
  return { team, roles: roles.map(({ key }) => key), members }
}

async function remove(key: string, { force, yes }: RemovalOptions): Promise<void> {
  await agreed(`Delete the team ${key}? Its members lose what it gives them.`, yes)
  await withCore(async (core) => {
    const { id } = await teamCalled(core, key)
    await sayingWhoNeedsIt(core.teams.remove(OPERATOR, id, { force: force === true }))
  })
  console.log(`Deleted the team ${key}.`)
}

async function add(key: string, login: string, { manager = false }: { manager?: boolean }): Promise<void> {
  await withCore(async (core) => {
    const { id } = await teamCalled(core, key)
    const account = await accountCalled(core, login)
    const { isNew } = await core.teams.addMember(OPERATOR, id, { accountId: account.id, isManager: manager })
    const as = manager ? 'a manager' : 'a member'
    console.log(isNew ? `Added ${account.email} to ${key} as ${as}.` : `${account.email} is in ${key} as ${as}.`)
  })
}

async function removeMember(key: string, login: string): Promise<void> {
  await withCore(async (core) => {
    const { id } = await teamCalled(core, key)
    const account = await accountCalled(core, login)
    await core.teams.removeMember(OPERATOR, id, account.id)
    console.log(`Removed ${account.email} from ${key}.`)
  })
}

async function grant(key: string, roleKey: string): Promise<void> {
  await withCore(async (core) => {
    const { id } = await teamCalled(core, key)
    const role = await roleCalled(core, roleKey)
    const { isNew } = await core.teams.addRole(OPERATOR, id, role.key)
    console.log(isNew ? `The team ${key} has the role ${roleKey}.` : `The team ${key} had the role ${roleKey} already.`)
  })
}

async function revoke(key: string, roleKey: string): Promise<void> {
  await withCore(async (core) => {
    const { id } = await teamCalled(core, key)
    const role = await roleCalled(core, roleKey)
    await core.teams.removeRole(OPERATOR, id, role.id)
    console.log(`The team ${key} no longer has the role ${roleKey}.`)
  })
}

const presentTeam = ({ id, key, description, parent }: Team) => ({ id, key, description, parent })
