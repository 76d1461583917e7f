/**
 * What an account holds: its own permissions and those of every role that reaches it, assigned, included, of its teams and
 * the teams above those, and `user`. Answered from memory, which forgets what freshness.ts hears was touched.
 */
import { LRUCache } from 'lru-cache'
import { isUuid } from '../ids.ts'
import type { Database } from '../storage/tables.ts'
import type { Touch } from './access-change-store.ts'
import type { CombinedPermissionsStore } from './combined-permissions-store.ts'
import type { Freshness } from './freshness.ts'
import type { AccountPart, Holding, ResourceServerPart, RolePart, TeamPart } from './holding.ts'
import { NON_REGISTERED } from './role.ts'

export interface CombinedPermissionsDeps {
  db: Database
  store: CombinedPermissionsStore
  freshness: Freshness
}

export type CombinedPermissions = ReturnType<typeof createCombinedPermissions>

/** How many keys and ids each kind of memory holds at most: a million in all, some hundred bytes each. */
const WEIGHTS = { holdings: 500_000, accounts: 250_000, roles: 190_000, teams: 50_000, audiences: 10_000 }
/** What no touch has reported is forgotten all the same. */
const LONGEST_MS = 60_000

const NOTHING: Holding = { permissions: new Map(), roles: [] }

export function createCombinedPermissions({ db, store, freshness }: CombinedPermissionsDeps) {
  const holdings = memory<Holding>(WEIGHTS.holdings, ({ permissions, roles }) => permissions.size + roles.length)
  const accounts = memory<AccountPart>(
    WEIGHTS.accounts,
    ({ permissions, roleIds, teamIds }) => permissions.size + roleIds.length + teamIds.length,
  )
  const teams = memory<TeamPart>(WEIGHTS.teams, ({ ancestorIds, roleIds }) => ancestorIds.size + roleIds.length)
  const roles = memory<RolePart>(
    WEIGHTS.roles,
    ({ includedIds, roleKeys, permissions }) => includedIds.size + roleKeys.length + permissions.size,
  )
  const audiences = memory<ResourceServerPart>(WEIGHTS.audiences, ({ resourceIds }) => resourceIds.size)
  const underWay = new Map<string, { generation: number; work: Promise<unknown> }>()
  freshness.listen({ touched: forget, everything: forgetEverything })

  function forget({ kind, subject }: Touch): void {
    if (kind === 'account') {
      accounts.delete(subject)
      holdings.delete(subject)
    } else if (kind === 'role') {
      forgetWhere(roles, subject, ({ includedIds }) => includedIds.has(subject))
      holdings.clear() // put together again without the database, from what is still remembered
    } else if (kind === 'team') {
      forgetWhere(teams, subject, ({ ancestorIds }) => ancestorIds.has(subject))
      holdings.clear()
    } else if (kind === 'resource') {
      forgetEverything() // the resource of a permission is remembered with whoever holds it
    }
  }

  function forgetEverything(): void {
    for (const each of [holdings, accounts, teams, roles, audiences]) each.clear()
  }

  /** Does the work once for all who ask while nothing is touched; what was touched meanwhile is not remembered. */
  function shared<T>(key: string, work: (isCurrent: () => boolean) => Promise<T>): Promise<T> {
    const generation = freshness.generation()
    const other = underWay.get(key)
    if (other?.generation === generation) return other.work as Promise<T> // of one key there is one kind of work
    const mine = work(() => freshness.generation() === generation).finally(() => {
      if (underWay.get(key)?.work === mine) underWay.delete(key)
    })
    underWay.set(key, { generation, work: mine })
    return mine
  }

  async function accountPart(id: string, isCurrent: () => boolean): Promise<AccountPart | undefined> {
    const known = accounts.get(id)
    if (known) return known
    const part = id === NON_REGISTERED ? await store.stranger(db) : await store.account(db, id)
    if (part && isCurrent()) accounts.set(id, part)
    return part
  }

  async function partsOf<Part extends object>(
    remembered: Memory<Part>,
    ids: ReadonlySet<string>,
    isCurrent: () => boolean,
    load: (missing: readonly string[]) => Promise<Map<string, Part>>,
  ): Promise<Part[]> {
    const parts: Part[] = []
    const missing: string[] = []
    for (const id of ids) {
      const part = remembered.get(id)
      if (part) parts.push(part)
      else missing.push(id)
    }
    if (missing.length === 0) return parts
    for (const [id, part] of await load(missing)) {
      if (isCurrent()) remembered.set(id, part)
      parts.push(part)
    }
    return parts
  }

  async function combine(id: string, isCurrent: () => boolean): Promise<Holding | undefined> {
    const account = await accountPart(id, isCurrent)
    if (!account) return undefined
    if (!account.isActive) return NOTHING
    const ofTeams = await partsOf(teams, new Set(account.teamIds), isCurrent, (missing) => store.teams(db, missing))
    const roleIds = new Set([...account.roleIds, ...ofTeams.flatMap((team) => team.roleIds)])
    const ofRoles = await partsOf(roles, roleIds, isCurrent, (missing) => store.roles(db, missing))
    const holding: Holding = {
      permissions: new Map([account, ...ofRoles].flatMap(({ permissions }) => [...permissions])),
      roles: [...new Set(ofRoles.flatMap(({ roleKeys }) => roleKeys))].sort(),
    }
    if (isCurrent()) holdings.set(id, holding)
    return holding
  }

  return {
    /**
     * What an account holds, or `non_registered` for those who have not signed in. A disabled account holds nothing;
     * undefined when there is no such account. Throws Unavailable (503).
     */
    async of(accountId: string): Promise<Holding | undefined> {
      const id = accountId.toLowerCase()
      if (id !== NON_REGISTERED && !isUuid(id)) return undefined
      await freshness.ensureFresh()
      return holdings.get(id) ?? shared(`account ${id}`, (isCurrent) => combine(id, isCurrent))
    },

    /** The same as `of`, where it is remembered and may be believed; undefined where it would have to be asked for. */
    remembered: (accountId: string): Holding | undefined => (freshness.isFresh() ? holdings.get(accountId) : undefined),

    /** What tokens for an audience say about permissions. Throws Unavailable (503). */
    async resourceServer(audience: string): Promise<ResourceServerPart> {
      await freshness.ensureFresh()
      const known = audiences.get(audience)
      if (known) return known
      return shared(`audience ${audience}`, async (isCurrent) => {
        const part = await store.resourceServer(db, audience)
        if (isCurrent()) audiences.set(audience, part)
        return part
      })
    },
  }
}

type Memory<Part extends object> = LRUCache<string, Part>

const memory = <Part extends object>(maxSize: number, weightOf: (part: Part) => number): Memory<Part> =>
  // With a resolution of 0 it asks the clock each time, instead of a timer of its own.
  new LRUCache({ maxSize, ttl: LONGEST_MS, ttlResolution: 0, sizeCalculation: (part) => 1 + weightOf(part) })

function forgetWhere<Part extends object>(remembered: Memory<Part>, id: string, is: (part: Part) => boolean): void {
  remembered.delete(id)
  for (const [other, part] of remembered.entries()) if (is(part)) remembered.delete(other)
}
