/** Permit or deny: a question of permissions put to what an account holds, and what tokens say about that. */
import { AppError } from '../errors.ts'
import type { CombinedPermissions } from './combined-permissions.ts'
import { createExplain, type ExplainDeps, type Explanation } from './explanation.ts'
import type { Holding } from './holding.ts'
import { ALL_ALL } from './permission.ts'
import { evaluate, type PolicyExpression } from './policy-expression.ts'

export interface PolicyDecisionDeps extends ExplainDeps {
  combined: CombinedPermissions
}

export interface Answer {
  valid: boolean
  explanation?: Explanation
}

export type PolicyDecision = ReturnType<typeof createPolicyDecision>

export function createPolicyDecision({ combined, db, store }: PolicyDecisionDeps) {
  const explain = createExplain({ db, store })

  async function known(accountId: string): Promise<Holding> {
    const holding = await combined.of(accountId)
    if (!holding) throw new AppError('not_found', 404, 'There is no such account.')
    return holding
  }

  return {
    /** Whether the account permits it; nobody unknown is permitted anything. Throws Unavailable (503). */
    async decide(accountId: string, expression: PolicyExpression): Promise<boolean> {
      const holding = await combined.of(accountId)
      return holding !== undefined && permits(holding, expression)
    },

    /** Whether the account holds one of these permissions, or `all_all`. Throws Unavailable (503). */
    async holdsAny(accountId: string, keys: readonly string[]): Promise<boolean> {
      const holding = await combined.of(accountId)
      return holding !== undefined && keys.some((key) => permits(holding, key))
    },

    /** Like decide, and why. Throws not_found (404) for an unknown account. */
    async answer(accountId: string, expression: PolicyExpression, { isExplained = false } = {}): Promise<Answer> {
      const holding = await known(accountId)
      const valid = permits(holding, expression)
      if (!isExplained) return { valid }
      const explanation = await explain(accountId, expression, (key) => permits(holding, key))
      return { valid, explanation }
    },

    /** The answer to a question that memory can answer at once; undefined for any other. */
    answerNow(accountId: string, expression: PolicyExpression): Answer | undefined {
      const holding = combined.remembered(accountId)
      return holding && { valid: permits(holding, expression) }
    },

    /** The keys of everything the account holds, sorted. Throws not_found (404), Unavailable (503). */
    combinedPermissions: async (accountId: string): Promise<string[]> => sortedKeys(await known(accountId)),

    /**
     * The keys of the roles the account has, sorted: assigned, of its teams, included in those, and `user`. None for an
     * unknown or disabled account. Throws Unavailable (503).
     */
    authorizedRoles: async (accountId: string): Promise<readonly string[]> =>
      (await combined.of(accountId))?.roles ?? [],

    /**
     * What a token for this audience says of the account's permissions, sorted: those of the audience's own resources and
     * those of none. Undefined when its tokens carry no permissions. Throws Unavailable (503).
     */
    async permissionsFor(accountId: string, audience: string): Promise<string[] | undefined> {
      const { hasClaim, resourceIds } = await combined.resourceServer(audience)
      if (!hasClaim) return undefined
      const holding = await combined.of(accountId)
      return holding ? sortedKeys(holding, (resource) => resource === null || resourceIds.has(resource)) : []
    },
  }
}

const permits = ({ permissions }: Holding, expression: PolicyExpression): boolean =>
  permissions.has(ALL_ALL) || evaluate(expression, (key) => permissions.has(key))

const sortedKeys = ({ permissions }: Holding, isWanted: (resource: string | null) => boolean = () => true): string[] =>
  [...permissions].flatMap(([key, resource]) => (isWanted(resource) ? key : [])).sort()
