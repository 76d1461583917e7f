/** Which roles a team has. They reach its members and those of every team below it. */
import type { AccessChanges, Change } from '../access/access-change.ts'
import { NON_REGISTERED, USER } from '../access/role.ts'
import type { Actor } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { onePageByKey } from '../http/pagination.ts'
import type { PrefixPage } from '../storage/prefix-page.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { presentTeamRole } from './presentation.ts'
import type { Team, TeamRole } from './team.ts'
import { existingTeam } from './team-lookup.ts'
import type { TeamStore } from './team-store.ts'

export interface TeamRolesDeps {
  db: Database
  changes: AccessChanges
  store: TeamStore
  roles: {
    findRoleByKey(executor: Executor, key: string): Promise<TeamRole | undefined>
    /** What the role and the roles it includes hold. */
    permissionKeysOfRole(executor: Executor, roleId: string): Promise<Iterable<string>>
  }
}

export function createTeamRoles({ db, changes, store, roles }: TeamRolesDeps) {
  async function give(change: Change, team: Team, role: TeamRole): Promise<boolean> {
    await requireContents(change, role)
    if (!(await store.addRole(change.executor, team.id, role.id))) return false
    await changed(change, team)
    await change.record({
      action: 'team.role_added',
      target: { kind: 'team', id: team.id },
      after: presentTeamRole(role),
    })
    return true
  }

  async function take(change: Change, team: Team, role: TeamRole): Promise<void> {
    await requireContents(change, role)
    await store.removeRole(change.executor, team.id, role.id)
    await changed(change, team)
    await change.record({
      action: 'team.role_removed',
      target: { kind: 'team', id: team.id },
      before: presentTeamRole(role),
    })
  }

  /** What members gain or lose, the actor must hold: before they gain it, because the actor may be one of them. */
  const requireContents = async (change: Change, role: TeamRole): Promise<void> =>
    change.requireHolds(await roles.permissionKeysOfRole(change.executor, role.id))

  /** The members of the team and of those below it hold more or less. */
  async function changed(change: Change, team: Team): Promise<void> {
    for (const id of await store.tree.branchOf(change.executor, team.id)) change.touch('team', id)
  }

  /** Makes the roles exactly these; answers whether any differed. */
  async function replace(change: Change, team: Team, keys: readonly string[]): Promise<boolean> {
    const dropped = (await store.roles(change.executor, team.id)).filter((role) => !keys.includes(role.key))
    for (const role of dropped) await take(change, team, role)
    let isChanged = dropped.length > 0
    for (const key of keys) {
      if (await give(change, team, await roleFor(change.executor, key, '/roles'))) isChanged = true
    }
    return isChanged
  }

  async function roleFor(executor: Executor, key: string, pointer: string): Promise<TeamRole> {
    if (key === USER || key === NON_REGISTERED) {
      throw new AppError('conflict', 409, `No team can be given the role ${key}.`)
    }
    const role = await roles.findRoleByKey(executor, key)
    if (role) return role
    throw new AppError('bad_request', 400, `There is no role ${key}.`, {
      faults: [{ pointer, message: `names the unknown role ${key}` }],
    })
  }

  return {
    /** For a change that somebody else has begun. */
    replaceRoles: replace,

    /**
     * Gives a role to the team. Repeatable. Throws not_found (404), bad_request (400) for an unknown role, conflict (409)
     * for a role that is not for teams, forbidden (403) for whoever does not hold what is in the role.
     */
    addRole: (actor: Actor, teamId: string, key: string): Promise<{ isNew: boolean; role: TeamRole }> =>
      changes.change(actor, async (change) => {
        const team = await existingTeam(store, change.executor, teamId)
        const role = await roleFor(change.executor, key, '/role')
        return { isNew: await give(change, team, role), role }
      }),

    /** Throws not_found (404), also for a role that the team does not have; forbidden (403) as addRole does. */
    removeRole: (actor: Actor, teamId: string, roleId: string): Promise<void> =>
      changes.change(actor, async (change) => {
        const team = await existingTeam(store, change.executor, teamId)
        const role = (await store.roles(change.executor, team.id)).find(({ id }) => id === roleId)
        if (!role) throw new AppError('not_found', 404, 'The team does not have this role.')
        await take(change, team, role)
      }),

    /** In the order of their keys. Throws not_found (404). */
    async roles(teamId: string, page: PrefixPage) {
      await existingTeam(store, db, teamId)
      return onePageByKey(await store.pageOfRoles(db, teamId, { ...page, limit: page.limit + 1 }), page.limit)
    },
  }
}
