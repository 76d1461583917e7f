/** The tree of visibility groups, and who is in which. Members of the root have no row. */
import { sql } from 'kysely'
import { uuidv7 } from '../ids.ts'
import { type PrefixPage, prefixPage } from '../storage/prefix-page.ts'
import type { Executor } from '../storage/tables.ts'
import { createTree } from '../storage/tree.ts'
import type { GroupMember, VisibilityGroup } from './visibility-group.ts'

export type VisibilityStore = ReturnType<typeof createVisibilityStore>

export interface MemberPage {
  limit: number
  /** The account of the last member of the page before. */
  after?: string | undefined
}

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createVisibilityStore() {
  return {
    /** Groups with themselves and all above them. */
    tree: createTree({ closure: 'visibility_closure', node: 'group_id' }),

    async findById(executor: Executor, id: string): Promise<VisibilityGroup | undefined> {
      return selectGroup(executor).where('visibility_groups.id', '=', id).executeTakeFirst()
    },

    async findByKey(executor: Executor, key: string): Promise<VisibilityGroup | undefined> {
      return selectGroup(executor).where('visibility_groups.key', '=', key).executeTakeFirst()
    },

    async findRoot(executor: Executor): Promise<VisibilityGroup | undefined> {
      return selectGroup(executor).where('visibility_groups.parent_id', 'is', null).executeTakeFirst()
    },

    /** In the order of their keys. */
    async page(executor: Executor, page: PrefixPage): Promise<VisibilityGroup[]> {
      const order = { column: 'visibility_groups.key', id: 'visibility_groups.id' }
      return prefixPage(selectGroup(executor), order, page).execute()
    },

    /** Those above come before those below. */
    async all(executor: Executor): Promise<VisibilityGroup[]> {
      const rows = await selectGroup(executor)
        .select(({ selectFrom, fn }) =>
          selectFrom('visibility_closure')
            .select(fn.countAll<string>().as('depth'))
            .whereRef('visibility_closure.group_id', '=', 'visibility_groups.id')
            .as('depth'),
        )
        .orderBy('depth')
        .orderBy('visibility_groups.key')
        .execute()
      return rows.map(({ depth: _, ...group }) => group)
    },

    /** Undefined when there is one with this key. */
    async insert(
      executor: Executor,
      group: { key: string; description: string; parentId: string | null },
    ): Promise<string | undefined> {
      const row = await executor
        .insertInto('visibility_groups')
        .values({ id: uuidv7(), key: group.key, description: group.description, parent_id: group.parentId })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .returning('id')
        .executeTakeFirst()
      return row?.id
    },

    async update(
      executor: Executor,
      id: string,
      { description, parentId }: { description: string; parentId: string | null },
    ): Promise<void> {
      await executor
        .updateTable('visibility_groups')
        .set({ description, parent_id: parentId, updated_at: new Date() })
        .where('id', '=', id)
        .execute()
    },

    /** Throws SQLSTATE 23503 while there are groups below it or members in it. */
    async remove(executor: Executor, id: string): Promise<void> {
      await executor.deleteFrom('visibility_groups').where('id', '=', id).execute()
    },

    async contentsOf(executor: Executor, id: string): Promise<{ groups: number; members: number }> {
      const row = await executor
        .selectNoFrom(({ selectFrom, fn }) => [
          selectFrom('visibility_groups')
            .select(fn.countAll<string>().as('count'))
            .where('parent_id', '=', id)
            .as('groups'),
          selectFrom('visibility_members')
            .select(fn.countAll<string>().as('count'))
            .where('group_id', '=', id)
            .as('members'),
        ])
        .executeTakeFirstOrThrow()
      return { groups: Number(row.groups), members: Number(row.members) }
    },

    /** The ids of the groups above this one, and its own. */
    async chainOf(executor: Executor, id: string): Promise<string[]> {
      const rows = await executor
        .selectFrom('visibility_closure')
        .select('ancestor_id')
        .where('group_id', '=', id)
        .execute()
      return rows.map((row) => row.ancestor_id)
    },

    /** The group of each of these accounts that there are; null for the root. */
    async groupsOf(executor: Executor, accountIds: readonly string[]): Promise<Map<string, string | null>> {
      const rows = await executor
        .selectFrom('accounts')
        .leftJoin('visibility_members', 'visibility_members.account_id', 'accounts.id')
        .select(['accounts.id', 'visibility_members.group_id as groupId'])
        .where('accounts.id', 'in', accountIds)
        .execute()
      return new Map(rows.map(({ id, groupId }) => [id, groupId]))
    },

    async findMember(executor: Executor, groupId: string, accountId: string): Promise<GroupMember | undefined> {
      return selectMember(executor)
        .where('group_id', '=', groupId)
        .where('account_id', '=', accountId)
        .executeTakeFirst()
    },

    /** Of a group below the root, in the order of their accounts. */
    async members(executor: Executor, groupId: string, { limit, after }: MemberPage): Promise<GroupMember[]> {
      const query = selectMember(executor).where('group_id', '=', groupId).orderBy('account_id').limit(limit)
      return (after === undefined ? query : query.where('account_id', '>', after)).execute()
    },

    /** Of a group below the root, in order. */
    async memberIds(executor: Executor, groupId: string, { limit, after }: MemberPage): Promise<string[]> {
      const query = executor.selectFrom('visibility_members').select('account_id').where('group_id', '=', groupId)
      const batch = after === undefined ? query : query.where('account_id', '>', after)
      return (await batch.orderBy('account_id').limit(limit).execute()).map((row) => row.account_id)
    },

    /** Of the root: whoever has been put nowhere. */
    async membersOfRoot(executor: Executor, { limit, after }: MemberPage): Promise<GroupMember[]> {
      const query = executor
        .selectFrom('accounts')
        .leftJoin('visibility_members', 'visibility_members.account_id', 'accounts.id')
        .select(['accounts.id as accountId', sql<null>`null::timestamptz`.as('createdAt')])
        .where('visibility_members.account_id', 'is', null)
        .orderBy('accounts.id')
        .limit(limit)
      return (after === undefined ? query : query.where('accounts.id', '>', after)).execute()
    },

    /** Whoever is elsewhere leaves there. Throws SQLSTATE 23503 when there is no such account. */
    async put(executor: Executor, accountId: string, groupId: string): Promise<void> {
      await executor
        .insertInto('visibility_members')
        .values({ account_id: accountId, group_id: groupId })
        .onConflict((conflict) =>
          conflict.column('account_id').doUpdateSet({ group_id: groupId, created_at: new Date() }),
        )
        .execute()
    },

    /** Back to the root. */
    async takeOut(executor: Executor, accountId: string): Promise<void> {
      await executor.deleteFrom('visibility_members').where('account_id', '=', accountId).execute()
    },

    /** Puts everybody of a group into another one; null for the root. */
    async moveAll(executor: Executor, groupId: string, toId: string | null): Promise<void> {
      if (toId === null) await executor.deleteFrom('visibility_members').where('group_id', '=', groupId).execute()
      else {
        await executor
          .updateTable('visibility_members')
          .set({ group_id: toId, created_at: new Date() })
          .where('group_id', '=', groupId)
          .execute()
      }
    },
  }
}

const selectGroup = (executor: Executor) =>
  executor
    .selectFrom('visibility_groups')
    .leftJoin('visibility_groups as above', 'above.id', 'visibility_groups.parent_id')
    .select([
      'visibility_groups.id',
      'visibility_groups.key',
      'visibility_groups.description',
      'above.key as parent',
      'visibility_groups.created_at as createdAt',
      'visibility_groups.updated_at as updatedAt',
    ])

const selectMember = (executor: Executor) =>
  executor.selectFrom('visibility_members').select(['account_id as accountId', 'created_at as createdAt'])
