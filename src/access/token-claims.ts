/** What access tokens say about an account's roles and permissions. */
import type { Freshness } from './freshness.ts'
import type { PolicyDecision } from './policy-decision.ts'

/** Members of an access token. */
export interface AuthorizationClaims {
  /**
   * The version of the access model that the others are at least as new as: services compare it with the versions of
   * changes, because no two clocks agree.
   */
  pv: number
  roles: readonly string[]
  permissions?: string[]
  /** They would have been too many: the service has to ask. */
  permissions_omitted?: true
}

export interface TokenClaimsDeps {
  freshness: Pick<Freshness, 'knownVersion'>
  decisions: Pick<PolicyDecision, 'authorizedRoles' | 'permissionsFor'>
  /** Most bytes of `permissions` as JSON; tokens travel in headers, which have limits of their own. */
  maxPermissionsBytes: number
}

/** Makes what an access token for an audience says about an account. Throws Unavailable (503). */
export const createTokenClaims = ({ freshness, decisions, maxPermissionsBytes }: TokenClaimsDeps) =>
  async function tokenClaims(accountId: string, audience: string): Promise<AuthorizationClaims> {
    // Read first: what is decided from here on is at least as new.
    const pv = await freshness.knownVersion()
    const roles = await decisions.authorizedRoles(accountId)
    const permissions = await decisions.permissionsFor(accountId, audience)
    if (permissions === undefined) return { pv, roles }
    // Keys are ASCII, so characters are bytes.
    if (JSON.stringify(permissions).length > maxPermissionsBytes) return { pv, roles, permissions_omitted: true }
    return { pv, roles, permissions }
  }
