/**
 * The tree of teams. Members are in team-members.ts, the roles of a team in team-roles.ts. What a team gives to an account
 * is combined with everything else it holds by the access room, which learns here what to forget.
 */
import type { AccessChanges, Change } from '../access/access-change.ts'
import { checkKeyAndDescription } from '../access/permission.ts'
import { touchAll } from '../access/touching.ts'
import { type Actor, OPERATOR } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { onePageByKey } from '../http/pagination.ts'
import type { PrefixPage } from '../storage/prefix-page.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { presentTeam } from './presentation.ts'
import { MAX_TEAM_DEPTH, type NewTeam, type Team, type TeamChanges, type TeamDescription } from './team.ts'
import { existingTeam } from './team-lookup.ts'
import { createTeamMembers } from './team-members.ts'
import { createTeamRoles, type TeamRolesDeps } from './team-roles.ts'
import type { TeamStore } from './team-store.ts'

export interface TeamsDeps {
  db: Database
  changes: AccessChanges
  store: TeamStore
  roles: TeamRolesDeps['roles']
}

export type Outcome = 'created' | 'changed' | 'unchanged'
export type Teams = ReturnType<typeof createTeams>

export function createTeams({ db, changes, store, roles }: TeamsDeps) {
  const members = createTeamMembers({ db, changes, store })
  const teamRoles = createTeamRoles({ db, changes, store, roles })

  async function insert(change: Change, { key, description = '', parent = null }: NewTeam): Promise<Team> {
    const above = await parentFor(change.executor, parent)
    if (above) await refuseDeeper(change.executor, above, 1)
    const id = await store.insert(change.executor, { key, description, parentId: above?.id ?? null })
    if (id === undefined) throw new AppError('conflict', 409, `There is a team ${key} already.`)
    await store.tree.plant(change.executor, id, above?.id ?? null)
    const team = await existingTeam(store, change.executor, id)
    await change.record({ action: 'team.created', target: { kind: 'team', id }, after: presentTeam(team) })
    return team
  }

  /** Answers the team as it was when nothing differs. */
  async function alter(change: Change, before: Team, wanted: TeamChanges): Promise<Team> {
    const { description = before.description, parent = before.parent } = wanted
    if (description === before.description && parent === before.parent) return before
    const above = await parentFor(change.executor, parent)
    if (parent !== before.parent) await move(change, before, above)
    await store.update(change.executor, before.id, { description, parentId: above?.id ?? null })
    const after = await existingTeam(store, change.executor, before.id)
    await change.record({
      action: 'team.changed',
      target: { kind: 'team', id: before.id },
      before: presentTeam(before),
      after: presentTeam(after),
    })
    return after
  }

  /** The members of everything that moves lose what reached them from above and gain what does so there. */
  async function move(change: Change, team: Team, above: Team | undefined): Promise<void> {
    const { executor } = change
    const branch = await store.tree.branchOf(executor, team.id)
    if (above && branch.includes(above.id)) {
      throw new AppError('cycle', 409, `The team ${above.key} is ${team.key} itself or lies below it.`)
    }
    if (above) await refuseDeeper(executor, above, await store.tree.heightOf(executor, team.id))
    const left = team.parent === null ? undefined : await store.findByKey(executor, team.parent)
    for (const { id } of [left, above].filter((one) => one !== undefined)) {
      await change.requireHolds(await store.permissionKeysReaching(executor, id))
    }
    await store.tree.move(executor, team.id, above?.id ?? null)
    for (const id of branch) change.touch('team', id)
  }

  async function refuseDeeper(executor: Executor, above: Team, height: number): Promise<void> {
    if ((await store.tree.depthOf(executor, above.id)) + height <= MAX_TEAM_DEPTH) return
    throw new AppError('conflict', 409, `Teams lie at most ${MAX_TEAM_DEPTH} deep.`)
  }

  async function parentFor(executor: Executor, key: string | null): Promise<Team | undefined> {
    if (key === null) return undefined
    const team = await store.findByKey(executor, key)
    if (team) return team
    throw new AppError('bad_request', 400, `There is no team ${key}.`, {
      faults: [{ pointer: '/parent', message: `names the unknown team ${key}` }],
    })
  }

  async function drop(change: Change, team: Team, { force }: { force: boolean }): Promise<void> {
    const contents = await store.contentsOf(change.executor, team.id)
    if (contents.teams > 0) throw inUse('There are teams below this one. Move or delete them first.')
    if (contents.members + contents.roles > 0 && !force) throw inUse('The team has members or roles. Use force.')
    if (contents.members > 0) {
      await change.requireHolds(await store.permissionKeysReaching(change.executor, team.id))
    }
    await touchAll(change, 'account', (batch) => store.memberIds(change.executor, team.id, batch))
    change.touch('team', team.id)
    await store.remove(change.executor, team.id)
    await change.record({
      action: 'team.deleted',
      target: { kind: 'team', id: team.id },
      before: { ...presentTeam(team), members: contents.members, roles: contents.roles },
    })
  }

  async function bring(change: Change, input: TeamDescription): Promise<Outcome> {
    const before = await store.findByKey(change.executor, input.key)
    const team = before ? await alter(change, before, input) : await insert(change, input)
    const isRegrouped = [
      input.roles !== undefined && (await teamRoles.replaceRoles(change, team, input.roles)),
      input.members !== undefined && (await members.replaceMembers(change, team, input.members)),
    ].includes(true)
    if (!before) return 'created'
    return team !== before || isRegrouped ? 'changed' : 'unchanged'
  }

  return {
    ...members,
    ...teamRoles,

    /** Throws not_found (404). */
    find: (id: string): Promise<Team> => existingTeam(store, db, id),

    findByKey: (key: string): Promise<Team | undefined> => store.findByKey(db, key),

    /** In the order of their keys. */
    list: async (page: PrefixPage) =>
      onePageByKey(await store.page(db, { ...page, limit: page.limit + 1 }), page.limit),

    /**
     * Throws bad_request (400), also for an unknown parent; conflict (409) for a key that is taken or a tree too deep.
     */
    async create(actor: Actor, input: NewTeam): Promise<Team> {
      checkKeyAndDescription(described(input))
      return changes.change(actor, (change) => insert(change, input))
    },

    /**
     * Describes a team anew or moves it below another, null for the top. `check` sees it before and may throw.
     * Throws not_found (404), bad_request (400), cycle (409), conflict (409) for a tree too deep, forbidden (403) for a
     * move that would give or take what the actor does not hold.
     */
    update: (actor: Actor, id: string, input: TeamChanges, check?: (before: Team) => void): Promise<Team> =>
      changes.change(actor, async (change) => {
        const before = await existingTeam(store, change.executor, id)
        check?.(before)
        checkKeyAndDescription(described({ ...input, key: before.key }))
        return alter(change, before, input)
      }),

    /**
     * Throws not_found (404), in_use (409) while there are teams below, or members or roles without `force`; forbidden
     * (403) for whoever does not hold what the members would lose.
     */
    remove: (actor: Actor, id: string, { force = false }: { force?: boolean } = {}): Promise<void> =>
      changes.change(actor, async (change) => drop(change, await existingTeam(store, change.executor, id), { force })),

    /**
     * For a declarative file: the team exactly as described. Without an executor in a transaction of its own.
     * Throws bad_request (400), cycle and conflict (409).
     */
    async ensure(input: TeamDescription, executor?: Executor): Promise<Outcome> {
      checkKeyAndDescription(described(input))
      const work = (change: Change) => bring(change, input)
      return executor ? changes.within(executor, OPERATOR, work) : changes.change(OPERATOR, work)
    },

    /** Every team with the keys of its roles, those above before those below: what a file would describe. */
    all: (): Promise<(Team & { roles: string[] })[]> => store.all(db),
  }
}

const described = ({ key, description }: NewTeam) => ({ key, ...(description === undefined ? {} : { description }) })

const inUse = (message: string) => new AppError('in_use', 409, message)
