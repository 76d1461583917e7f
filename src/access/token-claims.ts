/** What access tokens say about an account's roles and permissions. */
import type { PolicyDecision } from './policy-decision.ts'

/** Members of an access token. */
export interface AuthorizationClaims {
  roles: readonly string[]
  permissions?: string[]
  /** They would have been too many: the service has to ask. */
  permissions_omitted?: true
}

export interface TokenClaimsDeps {
  decisions: Pick<PolicyDecision, 'authorizedRoles' | 'permissionsFor'>
  /** Most bytes of `permissions` as JSON; tokens travel in headers, which have limits of their own. */
  maxPermissionsBytes: number
}

/** Makes what an access token for an audience says about an account. Throws Unavailable (503). */
export const createTokenClaims = ({ decisions, maxPermissionsBytes }: TokenClaimsDeps) =>
  async function tokenClaims(accountId: string, audience: string): Promise<AuthorizationClaims> {
    const roles = await decisions.authorizedRoles(accountId)
    const permissions = await decisions.permissionsFor(accountId, audience)
    if (permissions === undefined) return { roles }
    // Keys are ASCII, so characters are bytes.
    if (JSON.stringify(permissions).length > maxPermissionsBytes) return { roles, permissions_omitted: true }
    return { roles, permissions }
  }
