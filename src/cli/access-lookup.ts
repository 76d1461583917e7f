/** What people name on the command line, found. */
import type { Permission } from '../access/permission.ts'
import type { Role } from '../access/role.ts'
import type { Account } from '../accounts/account.ts'
import type { Core } from '../compose/core.ts'
import type { Team } from '../teams/team.ts'

export const WHO = 'the e-mail address, username or id of an account'

export async function accountCalled({ accounts }: Core, login: string): Promise<Account> {
  return (await accounts.findById(login)) ?? found('account', login, await accounts.findByLogin(login))
}

export const roleCalled = async ({ access }: Core, key: string): Promise<Role> =>
  found('role', key, await access.roles.findByKey(key))

export const permissionCalled = async ({ access }: Core, key: string): Promise<Permission> =>
  found('permission', key, await access.permissions.findByKey(key))

export const teamCalled = async ({ teams }: Core, key: string): Promise<Team> =>
  found('team', key, await teams.findByKey(key))

function found<T>(noun: string, name: string, item: T | undefined): T {
  if (item === undefined) throw new Error(`There is no ${noun} ${name}.`)
  return item
}
