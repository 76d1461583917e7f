/** Who is in a team, and who manages it. */
import type { AccessChanges, Change } from '../access/access-change.ts'
import type { Actor } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { onePage } from '../http/pagination.ts'
import { isUuid } from '../ids.ts'
import type { Database } from '../storage/tables.ts'
import { sqlState } from '../storage/transaction.ts'
import { presentMember } from './presentation.ts'
import type { Member, Team } from './team.ts'
import { existingTeam } from './team-lookup.ts'
import type { MemberPage, TeamStore } from './team-store.ts'

export interface TeamMembersDeps {
  db: Database
  changes: AccessChanges
  store: TeamStore
}

export interface Membership {
  accountId: string
  /** Left out: a new member does not manage, and a present one stays as it is. */
  isManager?: boolean | undefined
}

const FOREIGN_KEY_VIOLATION = '23503'

export function createTeamMembers({ db, changes, store }: TeamMembersDeps) {
  async function put(change: Change, team: Team, { accountId: given, isManager: wanted }: Membership) {
    const accountId = given.toLowerCase() // what is touched is known to others by the id as it is stored
    const before = await store.findMember(change.executor, team.id, accountId)
    const isManager = wanted ?? before?.isManager ?? false
    if (before?.isManager === isManager) return { isNew: false, isWritten: false, member: before }
    await requireReach(change, team)
    await store.putMember(change.executor, team.id, accountId, isManager)
    const member = await existing(store.findMember(change.executor, team.id, accountId))
    change.touch('account', accountId)
    await change.record({
      action: before ? 'team.member_changed' : 'team.member_added',
      target: { kind: 'team', id: team.id },
      before: before && presentMember(before),
      after: presentMember(member),
    })
    return { isNew: before === undefined, isWritten: true, member }
  }

  async function take(change: Change, team: Team, accountId: string): Promise<void> {
    const before = await existing(store.findMember(change.executor, team.id, accountId))
    await requireReach(change, team)
    await store.removeMember(change.executor, team.id, accountId)
    change.touch('account', accountId)
    await change.record({
      action: 'team.member_removed',
      target: { kind: 'team', id: team.id },
      before: presentMember(before),
    })
  }

  /** Whoever joins or leaves gains or loses all that reaches the team. */
  const requireReach = async (change: Change, team: Team): Promise<void> =>
    change.requireHolds(await store.permissionKeysReaching(change.executor, team.id))

  /** Makes the members exactly these; answers whether any differed. */
  async function replace(change: Change, team: Team, wanted: readonly Membership[]): Promise<boolean> {
    const [held, kept] = [await store.memberIds(change.executor, team.id), new Set(wanted.map((one) => one.accountId))]
    const dropped = held.filter((accountId) => !kept.has(accountId))
    for (const accountId of dropped) await take(change, team, accountId)
    let isChanged = dropped.length > 0
    for (const membership of wanted) {
      if ((await put(change, team, membership)).isWritten) isChanged = true
    }
    return isChanged
  }

  return {
    /** For a change that somebody else has begun. */
    replaceMembers: replace,

    /**
     * Adds an account, or says anew whether it manages. Repeatable.
     * Throws not_found (404), bad_request (400) for an unknown account, forbidden (403) for whoever does not hold all
     * that reaches the team.
     */
    addMember: (actor: Actor, teamId: string, membership: Membership): Promise<{ isNew: boolean; member: Member }> =>
      knowingAccounts(() =>
        changes.change(actor, async (change) =>
          put(change, await existingTeam(store, change.executor, teamId), membership),
        ),
      ),

    /** Throws not_found (404), also for who is no member; forbidden (403) as addMember does. */
    removeMember: (actor: Actor, teamId: string, accountId: string): Promise<void> =>
      changes.change(actor, async (change) => {
        const team = await existingTeam(store, change.executor, teamId)
        if (!isUuid(accountId)) throw noMember()
        await take(change, team, accountId)
      }),

    /** In the order of their accounts. Throws not_found (404). */
    async members(teamId: string, { limit, after }: MemberPage) {
      await existingTeam(store, db, teamId)
      return onePage(await store.members(db, teamId, { limit: limit + 1, after }), limit, (last) => [last.accountId])
    },

    /** Whether the account, being active, manages this very team; teams below have managers of their own. */
    manages: async (accountId: string, teamId: string): Promise<boolean> =>
      isUuid(accountId) && isUuid(teamId) && store.isManager(db, teamId, accountId),
  }
}

async function knowingAccounts<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (sqlState(error) !== FOREIGN_KEY_VIOLATION) throw error
    throw new AppError('bad_request', 400, 'There is no such account.', {
      cause: error,
      faults: [{ pointer: '/account_id', message: 'is no account' }],
    })
  }
}

async function existing(found: Promise<Member | undefined>): Promise<Member> {
  const member = await found
  if (!member) throw noMember()
  return member
}

const noMember = () => new AppError('not_found', 404, 'This account is no member of the team.')
