/** Userinfo of the ordinary kind (OpenID Connect Core section 5.3): a bearer token whose scopes say everything. */
import type { AdapterPayload } from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { Client } from '../clients/client.ts'
import { type Clock, epochSeconds } from '../clock.ts'
import type { Exchange, FastHandler } from '../http/dispatcher.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { claimsFor } from './claims.ts'
import { grantKey } from './ephemeral-keys.ts'
import { ENGINE_JSON_HEADERS } from './fast-endpoints.ts'
import { decodeRecord } from './record-format.ts'
import type { Revocation } from './revocation.ts'
import { CLAIMS_OF_SCOPES, isOidcScope } from './scopes.ts'
import type { HasSession } from './session-binding.ts'
import type { AccessTokenClaims, TokenFormats } from './token-formats.ts'

export interface FastUserinfoDeps {
  clock: Clock
  ownAudience: string
  tokens: Pick<TokenFormats, 'verifyAccessToken'>
  revocation: Pick<Revocation, 'denies'>
  ephemeral: Pick<Ephemeral, 'get'>
  hasSession: HasSession
  findClient(id: string): Promise<Client | undefined>
  findActiveAccount(id: string): Account | undefined | Promise<Account | undefined>
}

/** What is read of a stored grant here. */
interface StoredGrant extends AdapterPayload {
  openid?: { scope?: string; claims?: unknown }
  rejected?: { openid?: unknown }
}

const BEARER = /^Bearer ([\w.~+/-]{1,8192}=*)$/

export function createFastUserinfo(deps: FastUserinfoDeps): FastHandler {
  return async function userinfo(exchange: Exchange): Promise<boolean> {
    const token = BEARER.exec(exchange.request.headers.authorization ?? '')?.[1]
    if (token === undefined || exchange.query !== '' || hasBody(exchange)) return false
    const access = deps.tokens.verifyAccessToken(token)
    if (!access || !isOrdinary(access)) return false
    const client = await deps.findClient(access.client_id)
    if (!client || !isPlain(client) || access.aud !== (client.audience ?? deps.ownAudience)) return false
    const [[stored], account, isRevoked, hasSession] = await Promise.all([
      deps.ephemeral.get([grantKey(access.gid ?? '')]),
      deps.findActiveAccount(access.sub),
      deps.revocation.denies(access),
      deps.hasSession(boundTo(access)),
    ])
    const granted = scopesGranted(decodeRecord<StoredGrant>(stored), access, epochSeconds(deps.clock))
    if (!account || !granted || isRevoked || !hasSession) return false
    const body = claimsOf(
      account,
      client,
      (access.scope ?? '').split(' ').filter((scope) => granted.has(scope)),
    )
    exchange.answer(200, ENGINE_JSON_HEADERS, JSON.stringify(body))
    return true
  }
}

const hasBody = ({ request: { headers } }: Exchange): boolean =>
  headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined

/** In the engine's terms, whose check it is. */
const boundTo = ({ suid, sub, client_id, gid }: AccessTokenClaims): AdapterPayload => ({
  accountId: sub,
  clientId: client_id,
  ...(gid === undefined ? {} : { grantId: gid }),
  ...(suid === undefined ? {} : { sessionUid: suid, expiresWithSession: true }),
})

/** Of an account, not bound to a key, and nobody asked for single claims. */
const isOrdinary = ({ gid, cnf, uic, scope = '' }: AccessTokenClaims): boolean =>
  gid !== undefined && cnf === undefined && uic === undefined && scope.split(' ').includes('openid')

const isPlain = ({ metadata }: Client): boolean => !Object.keys(metadata).some((name) => name.startsWith('userinfo_'))

/** The scopes of OpenID that were consented to; undefined when the grant is gone or says more than scopes. */
function scopesGranted(
  grant: StoredGrant | undefined,
  { sub, client_id }: AccessTokenClaims,
  now: number,
): Set<string> | undefined {
  if (!grant || Number(grant.exp) <= now || grant.accountId !== sub || grant.clientId !== client_id) return undefined
  if (grant.openid?.claims !== undefined || grant.rejected?.openid !== undefined) return undefined
  return new Set(grant.openid?.scope?.split(' ') ?? [])
}

/** In the order in which the engine writes them: by scope, as the token names them. */
function claimsOf(account: Account, client: Client, scopes: readonly string[]): object {
  const reader = { scopes: client.scopes.filter(isOidcScope), isLean: false }
  const available: Record<string, unknown> = claimsFor(account, 'userinfo', {}, reader)
  const names = new Set(scopes.flatMap((scope) => CLAIMS_OF_SCOPES[scope] ?? []))
  return Object.fromEntries([...names].filter((name) => name in available).map((name) => [name, available[name]]))
}
