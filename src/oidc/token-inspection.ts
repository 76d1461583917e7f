/** What introspection answers and revocation does, by whichever way the client was authenticated. */

import { familyKeys } from './ephemeral-keys.ts'
import type { RefreshRotation } from './refresh-rotation.ts'
import type { Revocation } from './revocation.ts'
import type { HasSession } from './session-binding.ts'
import type { AccessTokenClaims, RefreshTokenClaims, TokenFormats } from './token-formats.ts'

/** Who asks. */
export interface Inspector {
  clientId: string
  /** Of the resource server that the client is. */
  audience: string | undefined
}

export interface TokenInspectionDeps {
  issuer: string
  tokens: TokenFormats
  rotation: Pick<RefreshRotation, 'find'>
  revocation: Revocation
  hasSession: HasSession
}

export type TokenInspection = ReturnType<typeof createTokenInspection>

const INACTIVE = { active: false } as const

export function createTokenInspection(deps: TokenInspectionDeps) {
  const { issuer, tokens, rotation, revocation } = deps

  const describeRefresh = (claims: RefreshTokenClaims, scope: string | undefined) => ({
    active: true,
    ...pick(claims, ['sub', 'client_id', 'exp', 'iat']),
    iss: issuer,
    ...(scope === undefined ? {} : { scope }),
  })

  return {
    /**
     * What a token is, to its owner or the resource server it is for; to everybody else `{"active":false}`, which RFC 7662
     * section 2.2 asks for whatever is wrong. Throws Unavailable (503).
     */
    async introspect(inspector: Inspector, value: string): Promise<object> {
      const access = tokens.verifyAccessToken(value)
      if (access) {
        const isKnown = mayIntrospect(inspector, access) && !(await revocation.denies(access))
        return isKnown ? describeAccess(access) : INACTIVE
      }
      const refresh = tokens.verifyRefreshToken(value)
      if (!refresh || refresh.client_id !== inspector.clientId) return INACTIVE
      const live = await rotation.find(refresh, { refreshing: false })
      const isAlive = live !== undefined && live.consumed === undefined && (await deps.hasSession(live))
      return isAlive ? describeRefresh(refresh, live.scope) : INACTIVE
    },

    /**
     * RFC 7009 section 2.1: a token of another client is left alone and the answer tells nothing. An access token dies
     * alone; a refresh token takes its grant with it ("the authorization server SHOULD also invalidate all access tokens
     * based on the same authorization grant"). Throws Unavailable (503).
     */
    async revoke({ clientId }: Pick<Inspector, 'clientId'>, value: string): Promise<void> {
      const access = tokens.verifyAccessToken(value)
      if (access?.client_id === clientId) return revocation.revokeToken(access)
      const refresh = access ? undefined : tokens.verifyRefreshToken(value)
      const keys = refresh?.client_id === clientId ? familyKeys(refresh.jti) : undefined
      if (keys) await revocation.revokeGrant(keys.grantId)
    },
  }
}

/** The owner of a token, or the resource server it is for. */
const mayIntrospect = ({ clientId, audience }: Inspector, claims: AccessTokenClaims): boolean =>
  claims.client_id === clientId || claims.aud === audience

const describeAccess = (claims: AccessTokenClaims) => ({
  active: true,
  ...pick(claims, ['sub', 'client_id', 'exp', 'iat', 'iss', 'jti', 'aud', 'scope', 'cnf', 'roles']),
  token_type: claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP',
})

function pick<T extends object, K extends keyof T>(source: T, keys: readonly K[]): Partial<T> {
  const entries = keys.filter((key) => source[key] !== undefined).map((key) => [key, source[key]])
  return Object.fromEntries(entries) as Partial<T> // only keys of T went in
}
