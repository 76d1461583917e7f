/** The parts of a declarative file that rights rest on. With an executor all of it happens in the caller's transaction. */
import type { Core } from '../compose/core.ts'
import type { Executor } from '../storage/tables.ts'
import { eachOf, type Outcome, type Report, together } from './apply-report.ts'
import type { Manifest } from './manifest.ts'
import { inOrder } from './manifest-order.ts'

export interface Bringing {
  manifest: Manifest
  core: Core
  report: Report
  executor?: Executor
}

/** Resources, permissions and roles. */
export async function bringRoles({ manifest, core: { access }, report, executor }: Bringing): Promise<void> {
  await access.initialize(executor)
  await eachOf('resources', manifest.resources, async (resource) => {
    report('resource', resource.key, await access.ensureResource(resource, executor))
  })
  await eachOf('permissions', manifest.permissions, async (permission) => {
    report('permission', permission.key, await access.ensurePermission(permission, executor))
  })
  const outcomes = new Map<string, Outcome>()
  const note = (key: string, outcome: Outcome) => outcomes.set(key, together(outcomes.get(key) ?? 'unchanged', outcome))
  // A role may include one that stands below it in the file, or that included it until now.
  await eachOf('roles', manifest.roles, async ({ includes: _, ...role }) => {
    note(role.key, await access.ensureRole(role, executor))
  })
  await eachOf('roles', manifest.roles, async (role) => {
    note(role.key, await access.dropIncludes(role, executor))
  })
  await eachOf('roles', manifest.roles, async ({ key, includes }) => {
    if (includes !== undefined) note(key, await access.ensureRole({ key, includes }, executor))
    report('role', key, outcomes.get(key) ?? 'unchanged')
  })
}

/** An account by its e-mail address; undefined while it is still to be made, which only a rehearsal meets. */
export type AccountIdOf = (email: string) => string | undefined

/** Teams and visibility groups, with their members. */
export async function bringTeams({
  manifest,
  core: { teams, visibility },
  report,
  executor,
  accountIdOf,
}: Bringing & { accountIdOf: AccountIdOf }): Promise<void> {
  await eachOf(
    'teams',
    manifest.teams,
    async ({ team, members }) => {
      const { known, isAnyMissing } = present(members, ({ email }) => accountIdOf(email))
      const memberships = known?.map(([accountId, { isManager }]) => ({ accountId, isManager }))
      const outcome = await teams.ensure({ ...team, members: memberships }, executor)
      report('team', team.key, isAnyMissing ? together(outcome, 'changed') : outcome)
    },
    parentsFirst(manifest.teams.map(({ team }) => team)),
  )
  await eachOf(
    'visibility_groups',
    manifest.visibilityGroups,
    async ({ group, members }) => {
      const { known, isAnyMissing } = present(members, accountIdOf)
      const outcome = await visibility.ensure({ ...group, members: known?.map(([accountId]) => accountId) }, executor)
      report('visibility group', group.key, isAnyMissing ? together(outcome, 'changed') : outcome)
    },
    parentsFirst(manifest.visibilityGroups.map(({ group }) => group)),
  )
}

function present<Member>(members: readonly Member[] | undefined, idOf: (member: Member) => string | undefined) {
  const known = members?.flatMap((member): [string, Member][] => {
    const id = idOf(member)
    return id === undefined ? [] : [[id, member]]
  })
  return { known, isAnyMissing: known?.length !== members?.length }
}

/** Also what is moved below another one finds that where it will be. */
const parentsFirst = (items: readonly { key: string; parent?: string | null | undefined }[]): number[] =>
  inOrder(items.map(({ key, parent }) => ({ key, names: parent ? [parent] : [] }))).order
