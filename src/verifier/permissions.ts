/**
 * Whether what a token carries is enough. Scopes are what the client was allowed; permissions and roles are what the
 * account holds, by the claims of the token where they can be believed, else by the server's answer.
 */
import {
  type ExpressionFault,
  evaluate,
  type PolicyExpression,
  parseExpression,
  satisfies,
} from '../access/policy-expression.ts'
import type { CombinedPermissions } from './combined-permissions.ts'
import { TokenError } from './errors.ts'
import type { PermissionChanges } from './permission-changes.ts'
import type { VerifiedToken } from './verified-token.ts'

/** What a request must bring to be let in; everything that is named must be met. */
export interface Requirement {
  /** All of them. */
  scopes?: readonly string[]
  /** A permission, `{ any: […] }` or `{ all: […] }`, nested; `all_all` meets every one. */
  permissions?: PolicyExpression
  /** A role, `{ any: […] }` or `{ all: […] }`, nested. */
  roles?: PolicyExpression
}

export interface PermissionsDeps {
  changes: PermissionChanges
  combined: CombinedPermissions
}

export type Permissions = ReturnType<typeof createPermissions>

export function createPermissions({ changes, combined }: PermissionsDeps) {
  /** A list of the token, or undefined when the server has to be asked. */
  const claimed = (token: VerifiedToken, name: 'permissions' | 'roles'): ReadonlySet<string> | undefined => {
    // With client credentials nobody has signed in, and no account holds anything.
    const list = token.claims[name] ?? (token.subject === token.clientId ? [] : undefined)
    if (!list || (name === 'permissions' && token.claims.permissions_omitted)) return undefined
    return changes.isOutdated(token.claims) && token.subject !== token.clientId ? undefined : new Set(list)
  }
  const held = async (token: VerifiedToken, name: 'permissions' | 'roles'): Promise<ReadonlySet<string>> =>
    claimed(token, name) ?? (await combined.of(token.subject))[name]

  const requirePermissions = async (token: VerifiedToken, query: PolicyExpression): Promise<void> => {
    const expression = checkedQuery(query)
    if (!satisfies(expression, await held(token, 'permissions'))) throw insufficient('permissions', query)
  }
  const requireRoles = async (token: VerifiedToken, query: PolicyExpression): Promise<void> => {
    const expression = checkedQuery(query)
    const roles = await held(token, 'roles')
    if (!evaluate(expression, (role) => roles.has(role))) throw insufficient('roles', query)
  }
  return {
    requirePermissions,
    requireRoles,
    async require(token: VerifiedToken, { scopes, permissions, roles }: Requirement): Promise<void> {
      if (scopes) requireScopes(token, scopes)
      if (permissions !== undefined) await requirePermissions(token, permissions)
      if (roles !== undefined) await requireRoles(token, roles)
    },
  }
}

/** Throws TokenError insufficient_scope unless every one was granted. */
export function requireScopes(token: VerifiedToken, scopes: readonly string[]): void {
  const missing = scopes.filter((scope) => !token.scopes.has(scope))
  if (missing.length > 0) {
    throw new TokenError('insufficient_scope', `The token lacks the scope ${missing.join(' ')}.`, { scopes })
  }
}

/** Throws TypeError: a rule that cannot be read is found when the service starts, not when somebody calls. */
export function checkRequirement({ permissions, roles }: Requirement): void {
  if (permissions !== undefined) checkedQuery(permissions)
  if (roles !== undefined) checkedQuery(roles)
}

// A rule is written once and asked for often.
const checkedQueries = new WeakMap<object, PolicyExpression>()

function checkedQuery(query: PolicyExpression): PolicyExpression {
  const known = typeof query === 'object' && query !== null ? checkedQueries.get(query) : undefined
  if (known !== undefined) return known
  const parsed = parseExpression(query)
  if (!parsed.ok) throw new TypeError(`The query is malformed: ${parsed.faults.map(described).join('; ')}`)
  if (typeof query === 'object') checkedQueries.set(query, parsed.expression)
  return parsed.expression
}

const described = ({ pointer, message }: ExpressionFault): string => `${pointer || 'it'} ${message}`

const insufficient = (kind: 'permissions' | 'roles', query: PolicyExpression) =>
  new TokenError('insufficient_permissions', `The account does not hold the ${kind} ${JSON.stringify(query)}.`)
