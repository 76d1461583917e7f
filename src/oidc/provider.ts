/**
 * The one place that makes an engine instance with every seam of ours. It can be called again with new keys: a rebuilt
 * engine gets the same overrides and listeners.
 */
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { Credentials } from '../accounts/authentication.ts'
import type { Client } from '../clients/client.ts'
import { type Clock, epochSeconds } from '../clock.ts'
import type { DeviceCookie } from '../http/device-cookie.ts'
import { isOpaqueId, opaqueId } from '../ids.ts'
import type { NewSession } from '../sessions/session.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { createClientAdapter } from './client-adapter.ts'
import { type EngineConfigurationDeps, engineConfiguration } from './configuration.ts'
import { inEngineTerms } from './engine-errors.ts'
import { tokenPrototypeOf } from './engine-internals.ts'
import { createEphemeralAdapter } from './ephemeral-adapter.ts'
import { familyKeys, replayKey, sessionUidKey } from './ephemeral-keys.ts'
import type { Keyring } from './keystore.ts'
import { longestLives } from './lives.ts'
import { registerPasswordGrant } from './password-grant.ts'
import { createRefreshRotation } from './refresh-rotation.ts'
import { createResourceServers } from './resource-servers.ts'
import type { Revocation } from './revocation.ts'
import { createSessionBinding } from './session-binding.ts'
import { createSessionRegister } from './session-register.ts'
import type { SignInClock } from './sign-in-clock.ts'
import { carryLineage } from './sign-in-lineage.ts'
import { createTokenEndpoints } from './token-endpoints.ts'
import { CLOCK_TOLERANCE_SECONDS, createTokenFormats } from './token-formats.ts'
import { createTokenInspection } from './token-inspection.ts'

export interface ProviderDeps
  extends Pick<EngineConfigurationDeps, 'cookieNames' | 'renderError' | 'renderLogout' | 'renderSignedOut'> {
  issuer: string
  accessTokenTtlSeconds: number
  refreshTokenTtlSeconds: number
  keyring: Keyring
  ephemeral: Ephemeral
  revocation: Revocation
  clock: Clock
  signInClock: SignInClock
  findClient(id: string): Promise<Client | undefined>
  matchesSecret(client: Client, presented: string): boolean
  findActiveAccount(id: string): Promise<Account | undefined>
  /** What access tokens for an audience say about what an account may do. */
  authorizationClaims(accountId: string, audience: string): Promise<object>
  authenticate(credentials: Credentials): Promise<Account>
  device: Pick<DeviceCookie, 'read'>
  /** Counts a wrong client secret; throws rate_limited when there were too many. */
  countWrongSecret(guess: { clientId: string; from: string | undefined }): Promise<void>
  /** Puts a sign-in on its account's list of sessions, or renews its last use. */
  rememberSession(session: NewSession): Promise<void>
  onRefreshReuse(event: { grantId: string; clientId: string | undefined; accountId: string | undefined }): void
}

export function buildProvider(deps: ProviderDeps) {
  const { issuer, keyring, ephemeral, revocation, clock, signInClock } = deps
  const tokens = createTokenFormats({ issuer, keyring, clock })
  const resourceServers = createResourceServers(deps)
  const rotation = createRefreshRotation({
    ephemeral,
    revocation,
    settledCodeSeconds: longestLives(deps).accessTokenSeconds + 60,
    onReuse: tellReuse,
  })
  const register = createSessionRegister({ clock: signInClock, remember: deps.rememberSession })
  const clientAdapter = createClientAdapter(deps.findClient)
  const ephemeralAdapter = createEphemeralAdapter({
    ephemeral,
    tokens,
    revocation,
    rotation,
    register,
    isDefaultAudience,
  })

  const provider: Provider = new Provider(
    issuer,
    engineConfiguration({
      ...deps,
      resourceServers,
      adapter: (model) => (model === 'Client' ? clientAdapter : ephemeralAdapter(model)),
      jwks: keyring.engineJwks(),
      cookieKeys: keyring.cookieKeys,
    }),
  )
  provider.on('grant.revoked', (ctx, grantId) => {
    if (ctx.oidc?.entities.RefreshToken?.consumed) tellReuse(ctx, grantId)
  })
  nameIdsAfterTheirGrant(provider)
  signRefreshTokens(provider)
  carryLineage(provider, signInClock)
  compareSecretDigests(provider)
  endSessionBoundTokens(provider)
  acceptOnce(provider)
  registerPasswordGrant({ provider, clock, signInClock, authenticate: deps.authenticate, device: deps.device })
  const inspection = createTokenInspection({
    issuer,
    tokens,
    rotation,
    revocation,
    hasSession: createSessionBinding(ephemeral),
  })
  const tokenEndpoints = createTokenEndpoints({ provider, inspection, rotation, register })

  return { provider, tokenEndpoints, tokens, resourceServers, inspection, rotation }

  /** RFC 9700 section 4.14.2: whoever of the two it was, the grant has ended, and somebody should look. */
  function tellReuse({ oidc }: KoaContextWithOIDC, grantId: string): void {
    const { accountId } = oidc.entities.RefreshToken ?? {}
    deps.onRefreshReuse({ grantId, clientId: oidc.client?.clientId, accountId })
  }

  async function isDefaultAudience(audience: string, clientId: string): Promise<boolean> {
    const client = await provider.Client.find(clientId)
    return client !== undefined && resourceServers.defaultOf(client) === audience
  }

  /** Codes and refresh tokens carry their grant, and a rotated token its family, so that their keys follow from them. */
  function nameIdsAfterTheirGrant({ AuthorizationCode, Grant, RefreshToken }: Provider): void {
    // No secret, and part of every token and key that hangs on it.
    tokenPrototypeOf(Grant).generateTokenId = () => opaqueId(128)
    tokenPrototypeOf(AuthorizationCode).generateTokenId = function () {
      return `${this.grantId}.${opaqueId()}`
    }
    tokenPrototypeOf(RefreshToken).generateTokenId = function () {
      const rotated = Provider.ctx?.oidc?.entities.RotatedRefreshToken
      const familyId = rotated ? familyKeys(rotated.jti)?.familyId : opaqueId(128)
      if (!isOpaqueId(familyId)) throw new Error('a rotated refresh token has a family')
      return `${this.grantId}.${familyId}.${opaqueId(128)}`
    }
  }

  /** The engine stores `payload` under its id and hands `value` to the client: the value becomes a signed JWT. */
  function signRefreshTokens({ RefreshToken }: Provider): void {
    const model = tokenPrototypeOf(RefreshToken)
    const { getValueAndPayload } = model
    model.getValueAndPayload = async function () {
      const { payload } = await getValueAndPayload.call(this)
      const { jti, accountId, clientId, iat, exp } = payload
      if (!jti || !accountId || !clientId || !iat || !exp) throw new Error('a refresh token has a subject and a life')
      const value = tokens.signRefreshToken({
        jti,
        sub: accountId,
        client_id: clientId,
        iat,
        exp,
        ims: this.signedInAtMs ?? signInClock.now(),
      })
      return { value, payload }
    }
  }

  /** Where the engine looks for a secret stands its digest, so the comparison is ours. */
  function compareSecretDigests({ Client }: Provider): void {
    const matches = inEngineTerms(async (id: string, presented: string) => {
      const client = await deps.findClient(id)
      if (client && deps.matchesSecret(client, presented)) return true
      await deps.countWrongSecret({ clientId: id, from: Provider.ctx?.ip })
      return false
    })
    Client.prototype.compareClientSecret = function (presented: string) {
      return matches(this.clientId, presented)
    }
  }

  /** Of rivals with one assertion or proof exactly one is first; the engine words the refusal of the others. */
  function acceptOnce({ ReplayDetection }: Provider): void {
    ReplayDetection.unique = inEngineTerms(async (issuedBy: string, jti: string, exp: number) => {
      const ttlSeconds = Math.max(1, exp - epochSeconds(clock)) + CLOCK_TOLERANCE_SECONDS
      return ephemeral.put(replayKey(issuedBy, jti), '1', { ttlSeconds, ifAbsent: true })
    })
  }

  /** Nothing else tells a JWT that the session it was bound to is over. */
  function endSessionBoundTokens({ Session }: Provider): void {
    const { destroy } = Session.prototype
    const revokeSession = inEngineTerms(revocation.revokeSession)
    const forgetUid = inEngineTerms((uid: string) => ephemeral.remove([sessionUidKey(uid)]))
    Session.prototype.destroy = async function () {
      // Nothing hangs on the session of somebody who never signed in.
      if (this.accountId) await revokeSession(this.uid)
      await Promise.all([destroy.call(this), forgetUid(this.uid)])
    }
  }
}
