/** The tree of visibility groups. It has one root, which is there from the first use on and stays where it is. */
import type { AccessChanges, Change } from '../access/access-change.ts'
import { checkKeyAndDescription } from '../access/permission.ts'
import { touchAll } from '../access/touching.ts'
import { type Actor, SYSTEM } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { onePageByKey } from '../http/pagination.ts'
import { isUuid } from '../ids.ts'
import type { PrefixPage } from '../storage/prefix-page.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { presentGroup } from './presentation.ts'
import {
  type GroupChanges,
  MAX_GROUP_DEPTH,
  type NewGroup,
  noGroup,
  ROOT,
  type VisibilityGroup,
} from './visibility-group.ts'
import type { VisibilityStore } from './visibility-store.ts'

export interface VisibilityGroupsDeps {
  db: Database
  changes: AccessChanges
  store: VisibilityStore
}

export type VisibilityGroups = ReturnType<typeof createVisibilityGroups>

export function createVisibilityGroups({ db, changes, store }: VisibilityGroupsDeps) {
  let isRooted = false

  /** An installation that nobody has initialized gets its root when somebody looks for groups. */
  async function rooted(): Promise<void> {
    isRooted ||= (await store.findRoot(db)) !== undefined
    if (isRooted) return
    await changes.change(SYSTEM, rootIn)
    isRooted = true
  }

  async function rootIn(change: Change): Promise<VisibilityGroup> {
    const there = await store.findRoot(change.executor)
    return there ?? plant(change, { key: ROOT, description: 'Everybody' }, null)
  }

  async function plant(
    change: Change,
    { key, description = '' }: NewGroup,
    above: VisibilityGroup | null,
  ): Promise<VisibilityGroup> {
    const id = await store.insert(change.executor, { key, description, parentId: above?.id ?? null })
    if (id === undefined) throw keyTaken(key)
    await store.tree.plant(change.executor, id, above?.id ?? null)
    change.touch('visibility_group', id)
    const group = await existing(change.executor, id)
    await change.record({ action: 'visibility_group.created', target: target(group), after: presentGroup(group) })
    return group
  }

  async function insert(change: Change, input: NewGroup): Promise<VisibilityGroup> {
    const root = await rootIn(change)
    const above = input.parent === undefined ? root : await parentFor(change.executor, input.parent)
    await refuseDeeper(change.executor, above, 1)
    return plant(change, input, above)
  }

  /** Answers the group as it was when nothing differs. */
  async function alter(change: Change, before: VisibilityGroup, wanted: GroupChanges): Promise<VisibilityGroup> {
    const { description = before.description, parent = before.parent } = wanted
    if (description === before.description && parent === before.parent) return before
    if (before.parent === null && parent !== null) throw isRoot('cannot be moved')
    const above = parent === null ? null : await parentFor(change.executor, parent)
    if (above && parent !== before.parent) await move(change, before, above)
    await store.update(change.executor, before.id, { description, parentId: above?.id ?? null })
    const after = await existing(change.executor, before.id)
    await change.record({
      action: 'visibility_group.changed',
      target: target(before),
      before: presentGroup(before),
      after: presentGroup(after),
    })
    return after
  }

  async function move(change: Change, group: VisibilityGroup, above: VisibilityGroup): Promise<void> {
    const { executor } = change
    const branch = await store.tree.branchOf(executor, group.id)
    if (branch.includes(above.id)) {
      throw new AppError('cycle', 409, `The group ${above.key} is ${group.key} itself or lies below it.`)
    }
    await refuseDeeper(executor, above, await store.tree.heightOf(executor, group.id))
    await store.tree.move(executor, group.id, above.id)
    for (const id of branch) change.touch('visibility_group', id)
  }

  async function refuseDeeper(executor: Executor, above: VisibilityGroup, height: number): Promise<void> {
    if ((await store.tree.depthOf(executor, above.id)) + height <= MAX_GROUP_DEPTH) return
    throw new AppError('conflict', 409, `Visibility groups lie at most ${MAX_GROUP_DEPTH} deep.`)
  }

  async function drop(change: Change, group: VisibilityGroup, { force }: { force: boolean }): Promise<void> {
    if (group.parent === null) throw isRoot('cannot be deleted')
    const { groups, members } = await store.contentsOf(change.executor, group.id)
    if (groups > 0) throw inUse('There are groups below this one. Move or delete them first.')
    if (members > 0 && !force) throw inUse('There are accounts in the group. With force=true they go to the one above.')
    await touchAll(change, 'visibility_member', (batch) => store.memberIds(change.executor, group.id, batch))
    const above = await parentFor(change.executor, group.parent)
    await store.moveAll(change.executor, group.id, above.parent === null ? null : above.id)
    change.touch('visibility_group', group.id)
    await store.remove(change.executor, group.id)
    await change.record({
      action: 'visibility_group.deleted',
      target: target(group),
      before: { ...presentGroup(group), members },
    })
  }

  async function parentFor(executor: Executor, key: string): Promise<VisibilityGroup> {
    const group = await store.findByKey(executor, key)
    if (group) return group
    throw new AppError('bad_request', 400, `There is no visibility group ${key}.`, {
      faults: [{ pointer: '/parent', message: `names the unknown visibility group ${key}` }],
    })
  }

  async function existing(executor: Executor, id: string): Promise<VisibilityGroup> {
    const group = isUuid(id) ? await store.findById(executor, id) : undefined
    if (!group) throw noGroup()
    return group
  }

  return {
    /** Makes the root unless it is there. Repeatable, also by two servers at once; answers what was missing. */
    async initialize(): Promise<{ created: string[] }> {
      if (await store.findRoot(db)) return { created: [] }
      return changes.change(SYSTEM, async (change) => {
        const before = await store.findRoot(change.executor)
        return { created: before ? [] : [(await rootIn(change)).key] }
      })
    },

    /** Throws not_found (404). */
    async find(id: string): Promise<VisibilityGroup> {
      await rooted()
      return existing(db, id)
    },

    async findByKey(key: string): Promise<VisibilityGroup | undefined> {
      await rooted()
      return store.findByKey(db, key)
    },

    /** In the order of their keys. */
    async list(page: PrefixPage) {
      await rooted()
      return onePageByKey(await store.page(db, { ...page, limit: page.limit + 1 }), page.limit)
    },

    /** Every group, those above before those below: what a file would describe. */
    async all(): Promise<VisibilityGroup[]> {
      await rooted()
      return store.all(db)
    },

    /**
     * Below its parent, the root without one. Throws bad_request (400), also for an unknown parent; conflict (409) for a
     * key that is taken or a tree too deep.
     */
    async create(actor: Actor, input: NewGroup): Promise<VisibilityGroup> {
      checkKeyAndDescription(described(input))
      return changes.change(actor, (change) => insert(change, input))
    },

    /**
     * Describes a group anew or moves it with everything below it. `check` sees it before and may throw. Throws not_found
     * (404), bad_request (400), cycle (409), conflict (409) for the root or a tree too deep.
     */
    update: (actor: Actor, id: string, input: GroupChanges, check?: (before: VisibilityGroup) => void) =>
      changes.change(actor, async (change) => {
        const before = await existing(change.executor, id)
        check?.(before)
        checkKeyAndDescription(described({ ...input, key: before.key }))
        return alter(change, before, input)
      }),

    /** Throws not_found (404), conflict (409) for the root; in_use (409) as long as others need it. */
    remove: (actor: Actor, id: string, { force = false }: { force?: boolean } = {}): Promise<void> =>
      changes.change(actor, async (change) => drop(change, await existing(change.executor, id), { force })),

    /** For a change that somebody else has begun: the parts of the verbs above. */
    inChange: { existing, rootIn, insert, alter },
  }
}

export const described = ({ key, description }: NewGroup) => ({
  key,
  ...(description === undefined ? {} : { description }),
})

const target = ({ id }: VisibilityGroup) => ({ kind: 'visibility_group', id }) as const

const keyTaken = (key: string) =>
  new AppError('conflict', 409, `There is a visibility group with the key ${key} already.`, {
    faults: [{ pointer: '/key', message: 'is taken' }],
  })

const isRoot = (what: string) => new AppError('conflict', 409, `This is the root of the visibility groups. It ${what}.`)

const inUse = (message: string) => new AppError('in_use', 409, message)
