/** The resources table. */
import { sql } from 'kysely'
import { uuidv7 } from '../ids.ts'
import { type PrefixPage, prefixPage } from '../storage/prefix-page.ts'
import type { Executor } from '../storage/tables.ts'
import type { Resource } from './resource.ts'

export type ResourceStore = ReturnType<typeof createResourceStore>

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createResourceStore() {
  return {
    async findById(executor: Executor, id: string): Promise<Resource | undefined> {
      return selectResource(executor).where('id', '=', id).executeTakeFirst()
    },

    async findByKey(executor: Executor, key: string): Promise<Resource | undefined> {
      return selectResource(executor).where('key', '=', key).executeTakeFirst()
    },

    /** In the order of keys. */
    async page(executor: Executor, page: PrefixPage): Promise<Resource[]> {
      return prefixPage(selectResource(executor), { column: 'key' }, page).execute()
    },

    /** Undefined when there is one with this key. */
    async insert(
      executor: Executor,
      resource: Pick<Resource, 'key' | 'description' | 'audience' | 'permissionsClaim'>,
    ): Promise<{ id: string } | undefined> {
      const { key, description, audience, permissionsClaim } = resource
      return executor
        .insertInto('resources')
        .values({ id: uuidv7(), key, description, audience, permissions_claim: permissionsClaim })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('id')
        .executeTakeFirst()
    },

    async update(
      executor: Executor,
      id: string,
      { description, audience, permissionsClaim }: Pick<Resource, 'description' | 'audience' | 'permissionsClaim'>,
    ): Promise<void> {
      await executor
        .updateTable('resources')
        .set({ description, audience, permissions_claim: permissionsClaim, updated_at: new Date() })
        .where('id', '=', id)
        .execute()
    },

    /** Throws SQLSTATE 23503 while permissions belong to it. */
    async remove(executor: Executor, id: string): Promise<void> {
      await executor.deleteFrom('resources').where('id', '=', id).execute()
    },

    /** How many permissions belong to it, and the keys of the first of them. */
    async permissions(executor: Executor, id: string, limit: number): Promise<{ count: number; keys: string[] }> {
      const rows = await executor
        .selectFrom('permissions')
        .select(['key', sql<string>`count(*) over ()`.as('count')])
        .where('resource_id', '=', id)
        .orderBy('key')
        .limit(limit)
        .execute()
      return { count: Number(rows[0]?.count ?? 0), keys: rows.map(({ key }) => key) }
    },
  }
}

const selectResource = (executor: Executor) =>
  executor
    .selectFrom('resources')
    .select([
      'id',
      'key',
      'description',
      'audience',
      'permissions_claim as permissionsClaim',
      'created_at as createdAt',
      'updated_at as updatedAt',
    ])
