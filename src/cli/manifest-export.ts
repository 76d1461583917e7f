/** All there is, as the declarative file that makes it: everything named, lists sorted, so that two can be compared. */
import { Document } from 'yaml'
import type { Account } from '../accounts/account.ts'
import type { Client } from '../clients/client.ts'
import type { Core } from '../compose/core.ts'
import { clientMembers } from './client-members.ts'
import { everyAfter, everyByKey } from './every-page.ts'
import type { ManifestFile } from './manifest.ts'
import { inOrder } from './manifest-order.ts'
import { withoutUndefined } from './output.ts'

interface Keyed {
  id: string
  key: string
}

const COMMENT = ` Written by "usher export" for "usher apply". Secrets and passwords are not in it: a client that is new where it is
 applied gets a secret of its own unless secret_env or secret_file says which; an account gets its password by a reset.`

export function asYaml(manifest: ManifestFile): string {
  const document = new Document(manifest, { aliasDuplicateObjects: false })
  document.commentBefore = COMMENT
  return document.toString({ lineWidth: 0 })
}

/** Without accounts also without who is in a team or a group. */
export async function describeEverything(
  core: Core,
  { withAccounts }: { withAccounts: boolean },
): Promise<ManifestFile> {
  const accounts = withAccounts ? await everyAfter(core.accounts.list, ({ id }) => id) : []
  const emails = withAccounts ? new Map(accounts.map(({ id, email }) => [id, email])) : undefined
  const clients = await everyAfter(core.clients.list, ({ id }) => id)
  return {
    resources: sorted(await everyByKey(core.access.resources.list)).map(
      ({ key, description, audience, permissionsClaim }) => ({
        key,
        description,
        audience,
        permissions_claim: permissionsClaim,
      }),
    ),
    permissions: sorted(await everyByKey(core.access.permissions.list)).map(({ key, description, resource }) => ({
      key,
      description,
      resource,
    })),
    roles: await describeRoles(core),
    clients: clients.map(describeClient),
    ...(withAccounts ? { accounts: await describeAccounts(core, accounts) } : {}),
    teams: await describeTeams(core, emails),
    visibility_groups: await describeGroups(core, emails),
  }
}

async function describeRoles({ access: { roles } }: Core) {
  const described = []
  for (const { id, key, description } of sorted(await everyByKey(roles.list))) {
    const permissions = await keysOf((page) => roles.listPermissions(id, page))
    described.push({ key, description, permissions, includes: await keysOf((page) => roles.listIncludes(id, page)) })
  }
  return described
}

/** Without its secret, of which there is only a digest. */
const describeClient = (client: Client) => ({
  id: client.id,
  type: client.type,
  ...withoutUndefined({
    name: client.name,
    ...clientMembers(client),
    metadata: client.metadata,
  }),
})

async function describeAccounts({ access: { assignments } }: Core, accounts: readonly Account[]) {
  const described = []
  for (const account of accounts.toSorted((one, other) => compare(one.email, other.email))) {
    described.push({
      email: account.email,
      email_verified: account.emailVerified,
      username: account.username ?? null,
      first_name: account.firstName ?? null,
      last_name: account.lastName ?? null,
      locale: account.locale ?? null,
      status: account.status,
      profile: account.profile,
      attributes: account.attributes,
      roles: await keysOf((page) => assignments.listRoles(account.id, page)),
      permissions: await keysOf((page) => assignments.listPermissions(account.id, page)),
    })
  }
  return described
}

/** The e-mail addresses of accounts by their ids. */
type Emails = ReadonlyMap<string, string>

async function describeTeams({ teams }: Core, emails: Emails | undefined) {
  const described = []
  for (const { id, key, description, parent, roles } of parentsFirst(await teams.all())) {
    const members = emails && (await everyMember((page) => teams.members(id, page)))
    described.push({
      key,
      description,
      parent,
      roles: roles.toSorted(compare),
      ...(members && { members: named(members, emails).map(([email, { isManager }]) => memberOf(email, isManager)) }),
    })
  }
  return described
}

const memberOf = (email: string, isManager: boolean) => (isManager ? { email, manager: true } : email)

async function describeGroups({ visibility }: Core, emails: Emails | undefined) {
  const described = []
  for (const { id, key, description, parent } of parentsFirst(await visibility.all())) {
    // Whoever is named nowhere is in the root.
    const members = parent !== null && emails && (await everyMember((page) => visibility.members(id, page)))
    described.push({
      key,
      description,
      ...(parent === null ? {} : { parent }),
      ...(members && { members: named(members, emails).map(([email]) => email) }),
    })
  }
  return described
}

type MembersPage<T> = (page: { limit: number; after?: string }) => Promise<{ items: readonly T[] }>

const everyMember = <T extends { accountId: string }>(members: MembersPage<T>): Promise<T[]> =>
  everyAfter(
    async (page) => (await members(page)).items,
    ({ accountId }) => accountId,
  )

/** In the order of the addresses. Whoever has come since the accounts were read is in the next export. */
const named = <T extends { accountId: string }>(members: readonly T[], emails: Emails): [string, T][] =>
  members
    .flatMap((member): [string, T][] => {
      const email = emails.get(member.accountId)
      return email === undefined ? [] : [[email, member]]
    })
    .sort(([one], [other]) => compare(one, other))

const keysOf = async (list: Parameters<typeof everyByKey<Keyed>>[0]): Promise<string[]> =>
  sorted(await everyByKey(list)).map(({ key }) => key)

// By code points and not as a database collates: the same content is the same file everywhere.
const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

const sorted = <T extends { key: string }>(items: readonly T[]): T[] =>
  items.toSorted((one, other) => compare(one.key, other.key))

function parentsFirst<T extends { key: string; parent: string | null }>(items: readonly T[]): T[] {
  const list = sorted(items)
  const { order } = inOrder(list.map(({ key, parent }) => ({ key, names: parent === null ? [] : [parent] })))
  return order.flatMap((index) => list[index] ?? [])
}
