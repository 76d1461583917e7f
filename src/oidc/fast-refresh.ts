/**
 * Refreshing of the ordinary kind, with the same rotation as the engine's (refresh-rotation.ts): the latest generation of
 * a family that is bound to no key and asks for what it had. Retries, reuse, races and everything rare are passed on with
 * nothing changed.
 */
import type { AdapterPayload } from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { Client } from '../clients/client.ts'
import { type Clock, epochSeconds } from '../clock.ts'
import type { Exchange } from '../http/dispatcher.ts'
import { opaqueId } from '../ids.ts'
import { browserSessionId, grantSessionId, type NewSession } from '../sessions/session.ts'
import { claimsFor } from './claims.ts'
import { ENGINE_JSON_HEADERS, type FastGrant } from './fast-endpoints.ts'
import { refreshTokenLife, SECONDS } from './lives.ts'
import type { PlainFamily, RefreshRotation } from './refresh-rotation.ts'
import { CLAIMS_OF_SCOPES, isOidcScope } from './scopes.ts'
import type { HasSession } from './session-binding.ts'
import type { TokenFormats } from './token-formats.ts'
import type { TokenSigner } from './token-signer.ts'

export interface FastRefreshDeps {
  issuer: string
  ownAudience: string
  accessTokenTtlSeconds: number
  clock: Clock
  hasSession: HasSession
  tokens: Pick<TokenFormats, 'verifyRefreshToken' | 'signRefreshToken'>
  rotation: Pick<RefreshRotation, 'findPlain' | 'rotatePlain'>
  signer: TokenSigner
  refreshTokenTtlSeconds: number
  findActiveAccount(id: string): Account | undefined | Promise<Account | undefined>
  /** What access tokens for an audience say of an account's roles and permissions. */
  authorizationClaims(accountId: string, audience: string): Promise<object>
  rememberSession(session: NewSession): Promise<void>
}

const ID_TOKEN_SECONDS = 3_600
/** Whatever of these a stored token has makes it one for the engine. */
const UNUSUAL = ['jkt', 'x5t#S256', 'attestationJkt', 'rar', 'claims', 'consumed'] as const
/** Registered metadata that changes how tokens are made. */
const UNUSUAL_METADATA = /^(id_token_|dpop_|tls_|userinfo_|subject_type)/

interface StoredGrant extends AdapterPayload {
  openid?: { scope?: string; claims?: unknown }
  resources?: Record<string, string>
}

export function createFastRefresh(deps: FastRefreshDeps): FastGrant {
  const { issuer, clock, rotation, signer } = deps
  const lifeOf = refreshTokenLife({ clock, ttlSeconds: deps.refreshTokenTtlSeconds })

  async function refresh(exchange: Exchange, client: Client, fields: ReadonlyMap<string, string>): Promise<boolean> {
    const presented = fields.get('refresh_token') ?? ''
    const claims = isOrdinaryClient(client) ? deps.tokens.verifyRefreshToken(presented) : undefined
    if (!claims || claims.client_id !== client.id) return false
    const family = await rotation.findPlain(claims)
    if (!family || !isOrdinary(family, epochSeconds(clock)) || !belongsTogether(family, client)) return false
    const [account, hasSession] = await Promise.all([
      deps.findActiveAccount(family.payload.accountId ?? ''),
      deps.hasSession(family.payload),
    ])
    if (!account || !hasSession) return false
    const issued = await issue(account, client, family)
    if (!issued) return false

    const [isRotated] = await Promise.all([
      rotation.rotatePlain(family, { ...issued, presented }),
      deps.rememberSession(sessionOf(exchange, client, family.payload, issued.ttlSeconds)),
    ])
    if (!isRotated) return false
    exchange.answer(200, ENGINE_JSON_HEADERS, issued.body)
    return true
  }

  async function issue(account: Account, client: Client, { payload, grant, keys }: PlainFamily) {
    const audience = String(payload.resource)
    const scopes = (payload.scope ?? '').split(' ')
    const granted = accessScopes(grant, client, audience, scopes)
    if (granted.length === 0) return undefined
    const now = epochSeconds(clock)
    const ttlSeconds = lifeOf(payload.iiat, client.refreshTokenTtlSeconds)
    const jti = `${keys.grantId}.${keys.familyId}.${opaqueId(128)}`
    const next = {
      ...payload,
      jti,
      iat: now,
      exp: now + ttlSeconds,
      rotations: rotationsOf(payload) + 1,
      gty: gtyOf(payload),
    }
    const accessSeconds = client.accessTokenTtlSeconds ?? deps.accessTokenTtlSeconds
    const scope = granted.join(' ')
    const body = JSON.stringify({
      access_token: signer.accessToken({
        ...(await deps.authorizationClaims(account.id, audience)),
        jti: opaqueId(),
        sub: account.id,
        iat: now,
        exp: now + accessSeconds,
        scope,
        client_id: client.id,
        iss: issuer,
        aud: audience,
        ims: payload.signedInAtMs,
        gid: keys.grantId,
        auth_time: payload.authTime,
        ...(payload.expiresWithSession === true ? { suid: payload.sessionUid } : {}),
      }),
      expires_in: accessSeconds,
      ...(scopes.includes('openid') ? { id_token: idToken(account, client, { payload, grant, scopes, now }) } : {}),
      refresh_token: deps.tokens.signRefreshToken({
        jti,
        sub: account.id,
        client_id: client.id,
        iat: now,
        exp: next.exp,
        ims: payload.signedInAtMs ?? clock.now(),
      }),
      scope,
      token_type: 'Bearer',
    })
    return { jti, payload: next, ttlSeconds, body }
  }

  /** Those of the resource server (resource-servers.ts) that were granted, in the order of the grant. */
  function accessScopes(grant: StoredGrant, client: Client, audience: string, scopes: readonly string[]): string[] {
    const isDefault = audience === (client.audience ?? deps.ownAudience)
    // A resource server that the client has no more.
    if (!isDefault && audience !== deps.ownAudience) return []
    const offered = isDefault ? client.scopes : client.scopes.filter((scope) => !isOidcScope(scope))
    const wanted = new Set(scopes.filter((scope) => offered.includes(scope)))
    return (grant.resources?.[audience] ?? '').split(' ').filter((scope) => wanted.has(scope))
  }

  function idToken(
    account: Account,
    client: Client,
    {
      payload,
      grant,
      scopes,
      now,
    }: { payload: AdapterPayload; grant: StoredGrant; scopes: readonly string[]; now: number },
  ): string {
    const granted = (grant.openid?.scope ?? '').split(' ').filter((scope) => scopes.includes(scope))
    const reader = { scopes: client.scopes.filter(isOidcScope), isLean: client.metadata.lean_id_token === true }
    const available: Record<string, unknown> = claimsFor(account, 'id_token', {}, reader)
    const names = new Set(granted.flatMap((scope) => CLAIMS_OF_SCOPES[scope] ?? []))
    const shown = [...names].filter((name) => name in available).map((name) => [name, available[name]])
    return signer.idToken({
      ...Object.fromEntries(shown),
      ...(payload.nonce === undefined ? {} : { nonce: payload.nonce }),
      ...(payload.sid === undefined ? {} : { sid: payload.sid }),
      sub: account.id,
      aud: client.id,
      exp: now + ID_TOKEN_SECONDS,
      iat: now,
      iss: issuer,
    })
  }

  function sessionOf(
    exchange: Exchange,
    client: Client,
    payload: PlainFamily['payload'],
    ttlSeconds: number,
  ): NewSession {
    const { expiresWithSession, sessionUid, grantId = '', accountId = '', signedInAtMs = clock.now() } = payload
    const isWithin = expiresWithSession === true && sessionUid !== undefined
    return {
      id: isWithin ? browserSessionId(sessionUid) : grantSessionId(grantId),
      accountId,
      clientId: client.id,
      address: exchange.address(),
      userAgent: exchange.request.headers['user-agent'] ?? '',
      signedInAtMs,
      ttlSeconds: isWithin ? SECONDS.session : ttlSeconds,
    }
  }

  return refresh
}

const isOrdinaryClient = ({ grantTypes, metadata }: Client): boolean =>
  grantTypes.includes('refresh_token') && !Object.keys(metadata).some((name) => UNUSUAL_METADATA.test(name))

/** Alive, and without anything that somebody else would have to look at. */
function isOrdinary({ payload, grant }: PlainFamily & { grant: StoredGrant }, now: number): boolean {
  const isPlain = UNUSUAL.every((name) => payload[name] === undefined) && typeof payload.resource === 'string'
  const isLive = Number(payload.exp) > now && Number(grant.exp) > now
  return isPlain && isLive && grant.rejected === undefined && grant.openid?.claims === undefined
}

const belongsTogether = ({ payload, grant }: PlainFamily, { id }: Client): boolean =>
  payload.clientId === id && grant.clientId === id && payload.accountId === grant.accountId

const rotationsOf = ({ rotations }: AdapterPayload): number => (typeof rotations === 'number' ? rotations : 0)

const GTY = 'refresh_token'
const gtyOf = ({ gty }: AdapterPayload): string | undefined => (gty && !gty.endsWith(GTY) ? `${gty} ${GTY}` : gty)
