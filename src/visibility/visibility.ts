/**
 * Who sees whose things. Services keep how widely a thing is shown and ask here; the tree of groups is in
 * visibility-groups.ts, who is where in visibility-members.ts, and the rule itself in visibility-decision.ts.
 */
import type { AccessChanges, Change } from '../access/access-change.ts'
import type { Freshness } from '../access/freshness.ts'
import { checkKeyAndDescription } from '../access/permission.ts'
import { OPERATOR } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { isUuid } from '../ids.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { isVisible, type Level } from './visibility-decision.ts'
import type { GroupDescription } from './visibility-group.ts'
import { createVisibilityGroups, described } from './visibility-groups.ts'
import { createVisibilityMembers } from './visibility-members.ts'
import { createVisibilityPlaces } from './visibility-places.ts'
import type { VisibilityStore } from './visibility-store.ts'

export interface VisibilityDeps {
  db: Database
  changes: AccessChanges
  store: VisibilityStore
  freshness: Pick<Freshness, 'ensureFresh' | 'generation' | 'listen'>
}

export interface VisibilityQuestion {
  /** An account. */
  viewer: string
  /** The account whose thing it is. */
  owner: string
  level: Level
}

export type Outcome = 'created' | 'changed' | 'unchanged'
export type Visibility = ReturnType<typeof createVisibility>

export function createVisibility({ db, changes, store, freshness }: VisibilityDeps) {
  const { inChange, ...groups } = createVisibilityGroups({ db, changes, store })
  const { putAll, ...members } = createVisibilityMembers({ db, changes, store, groups: { inChange, ...groups } })
  const places = createVisibilityPlaces({ db, store, freshness })

  async function bring(change: Change, input: GroupDescription): Promise<Outcome> {
    await inChange.rootIn(change)
    const before = await store.findByKey(change.executor, input.key)
    const group = before ? await inChange.alter(change, before, input) : await inChange.insert(change, input)
    const isRegrouped = input.members !== undefined && (await putAll(change, group, input.members))
    if (!before) return 'created'
    return group !== before || isRegrouped ? 'changed' : 'unchanged'
  }

  return {
    ...groups,
    ...members,

    /** Throws not_found (404) for an unknown account, Unavailable (503). */
    async decide({ viewer: viewerId, owner: ownerId, level }: VisibilityQuestion): Promise<boolean> {
      const ids = [viewerId.toLowerCase(), ownerId.toLowerCase()] as const
      if (!ids.every(isUuid)) throw noAccount()
      const { viewer, owner } = await places.of(...ids)
      if (!viewer || !owner) throw noAccount()
      return isVisible(level, viewer, owner)
    },

    /**
     * For a declarative file: the group as described. Without an executor in a transaction of its own. Throws bad_request
     * (400), cycle and conflict (409).
     */
    async ensure(input: GroupDescription, executor?: Executor): Promise<Outcome> {
      checkKeyAndDescription(described(input))
      const work = (change: Change) => bring(change, input)
      return executor ? changes.within(executor, OPERATOR, work) : changes.change(OPERATOR, work)
    },
  }
}

const noAccount = () => new AppError('not_found', 404, 'There is no such account.')
