/** The resources that permissions belong to, and for which resource servers. */
import { AppError } from '../errors.ts'
import { onePageByKey } from '../http/pagination.ts'
import { isUuid } from '../ids.ts'
import type { PrefixPage } from '../storage/prefix-page.ts'
import type { Database, Executor } from '../storage/tables.ts'
import type { By, ChangeBy } from './change-by.ts'
import { presentResource } from './presentation.ts'
import { keyTaken, MAX_NAMED, notFound } from './refusals.ts'
import { checkResource, type Resource, type ResourceInput } from './resource.ts'
import type { ResourceStore } from './resource-store.ts'

export interface ResourcesDeps {
  db: Database
  changeBy: ChangeBy
  resources: ResourceStore
}

/** Members left out stay as they are. */
export type ResourcePatch = Omit<ResourceInput, 'key'>

export type Resources = ReturnType<typeof createResources>

export function createResources({ db, changeBy, resources }: ResourcesDeps) {
  const create = async (by: By, input: ResourceInput): Promise<Resource> => {
    checkResource(input)
    return changeBy(by, async (change) => {
      const { key, description = '', audience = null, permissionsClaim = false } = input
      const inserted = await resources.insert(change.executor, { key, description, audience, permissionsClaim })
      if (!inserted) throw keyTaken('resource', key)
      const created = await existing(change.executor, inserted.id)
      change.touch('resource', created.id)
      await change.record({ action: 'resource.created', target: target(created), after: presentResource(created) })
      return created
    })
  }

  const patch = (
    by: By,
    id: string,
    wanted: ResourcePatch,
    mayChange: (before: Resource) => void = () => undefined,
  ): Promise<Resource> =>
    changeBy(by, async (change) => {
      const before = await existing(change.executor, id)
      mayChange(before)
      const next = { ...before, ...wanted }
      if (isSame(before, next)) return before
      checkResource(next)
      await resources.update(change.executor, id, next)
      const after = await existing(change.executor, id)
      change.touch('resource', id)
      await change.record({
        action: 'resource.changed',
        target: target(after),
        before: presentResource(before),
        after: presentResource(after),
      })
      return after
    })

  const remove = (by: By, id: string): Promise<void> =>
    changeBy(by, async (change) => {
      const resource = await existing(change.executor, id)
      const belonging = await resources.permissions(change.executor, id, MAX_NAMED)
      if (belonging.count > 0) throw holdsPermissions(belonging)
      await resources.remove(change.executor, id)
      change.touch('resource', id)
      await change.record({ action: 'resource.deleted', target: target(resource), before: presentResource(resource) })
    })

  async function existing(executor: Executor, id: string): Promise<Resource> {
    const resource = isUuid(id) ? await resources.findById(executor, id) : undefined
    if (!resource) throw notFound('resource')
    return resource
  }

  return {
    /** Throws not_found (404). */
    find: (id: string): Promise<Resource> => existing(db, id),

    /** In the order of keys. */
    list: async (page: PrefixPage) =>
      onePageByKey(await resources.page(db, { ...page, limit: page.limit + 1 }), page.limit),

    /** Throws bad_request (400), conflict (409) when the key is taken. */
    create,

    /**
     * Changes the description, the audience or whether tokens carry permissions. `mayChange` sees the resource as it is
     * when it is changed, and throws to leave it so. Throws not_found (404), bad_request (400).
     */
    change: patch,

    /** Throws not_found (404), in_use (409) while permissions belong to it. */
    remove,
  }
}

const isSame = (before: Resource, next: Resource): boolean =>
  before.description === next.description &&
  before.audience === next.audience &&
  before.permissionsClaim === next.permissionsClaim

function holdsPermissions({ count, keys }: { count: number; keys: readonly string[] }): AppError {
  const faults = keys.map((key) => ({ pointer: '', message: `has the permission ${key}` }))
  const more = count > keys.length ? [{ pointer: '', message: `has ${count - keys.length} more permissions` }] : []
  return new AppError('in_use', 409, 'Permissions belong to the resource. Move or delete them first.', {
    faults: [...faults, ...more],
  })
}

const target = ({ id }: Resource) => ({ kind: 'resource', id }) as const
