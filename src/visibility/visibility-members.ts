/** Which account is in which visibility group. Each is in exactly one. */
import type { AccessChanges, Change } from '../access/access-change.ts'
import type { Actor } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { onePage } from '../http/pagination.ts'
import type { Database, Executor } from '../storage/tables.ts'
import type { GroupMember, VisibilityGroup } from './visibility-group.ts'
import type { VisibilityGroups } from './visibility-groups.ts'
import type { MemberPage, VisibilityStore } from './visibility-store.ts'

export interface VisibilityMembersDeps {
  db: Database
  changes: AccessChanges
  store: VisibilityStore
  groups: VisibilityGroups
}

export function createVisibilityMembers({ db, changes, store, groups }: VisibilityMembersDeps) {
  const { existing, rootIn } = groups.inChange

  /** Answers whether the account has been elsewhere. */
  async function put(change: Change, group: VisibilityGroup, accountId: string): Promise<boolean> {
    const before = await groupOf(change, accountId)
    if (before === undefined) throw unknownAccount()
    if (before.id === group.id) return false
    await place(change, group, accountId)
    await change.record({
      action: 'visibility_group.member_added',
      target: { kind: 'visibility_group', id: group.id },
      before: { account_id: accountId, group: before.key },
      after: { account_id: accountId, group: group.key },
    })
    return true
  }

  async function place(change: Change, group: VisibilityGroup, accountId: string): Promise<void> {
    if (group.parent === null) await store.takeOut(change.executor, accountId)
    else await store.put(change.executor, accountId, group.id)
    change.touch('visibility_member', accountId)
  }

  async function takeOut(change: Change, group: VisibilityGroup, accountId: string): Promise<void> {
    const before = await groupOf(change, accountId)
    if (before?.id !== group.id) throw new AppError('not_found', 404, 'This account is not in the group.')
    const root = await rootIn(change)
    if (group.id === root.id) {
      throw new AppError('conflict', 409, 'Every account is in a group. Put it into another one.')
    }
    await place(change, root, accountId)
    await change.record({
      action: 'visibility_group.member_removed',
      target: { kind: 'visibility_group', id: group.id },
      before: { account_id: accountId, group: group.key },
      after: { account_id: accountId, group: root.key },
    })
  }

  /** Undefined when there is no such account. */
  async function groupOf(change: Change, accountId: string): Promise<VisibilityGroup | undefined> {
    const id = (await store.groupsOf(change.executor, [accountId])).get(accountId)
    if (id === undefined) return undefined
    return id === null ? rootIn(change) : existing(change.executor, id)
  }

  async function member(executor: Executor, group: VisibilityGroup, accountId: string): Promise<GroupMember> {
    return (await store.findMember(executor, group.id, accountId)) ?? { accountId, createdAt: null }
  }

  return {
    /**
     * Puts an account into a group, out of the one it is in. Repeatable. Throws not_found (404), bad_request (400) for an
     * unknown account.
     */
    putMember: (actor: Actor, groupId: string, account: string): Promise<{ isNew: boolean; member: GroupMember }> =>
      changes.change(actor, async (change) => {
        const accountId = account.toLowerCase()
        const group = await existing(change.executor, groupId)
        const isNew = await put(change, group, accountId)
        return { isNew, member: await member(change.executor, group, accountId) }
      }),

    /** Puts an account back into the root. Throws not_found (404) for who is not in the group, conflict (409) for the root. */
    takeOutMember: (actor: Actor, groupId: string, account: string): Promise<void> =>
      changes.change(actor, async (change) =>
        takeOut(change, await existing(change.executor, groupId), account.toLowerCase()),
      ),

    /** In the order of their accounts. Throws not_found (404). */
    async members(groupId: string, { limit, after }: MemberPage) {
      const group = await groups.find(groupId)
      const page = { limit: limit + 1, after }
      const rows = group.parent === null ? store.membersOfRoot(db, page) : store.members(db, group.id, page)
      return onePage(await rows, limit, (last) => [last.accountId])
    },

    /** For a change that somebody else has begun; answers whether anybody has been elsewhere. */
    async putAll(change: Change, group: VisibilityGroup, accountIds: readonly string[]): Promise<boolean> {
      let isChanged = false
      for (const accountId of accountIds) {
        if (await put(change, group, accountId)) isChanged = true
      }
      return isChanged
    },
  }
}

const unknownAccount = () =>
  new AppError('bad_request', 400, 'There is no such account.', {
    faults: [{ pointer: '/account_id', message: 'is no account' }],
  })
