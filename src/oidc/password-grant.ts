/**
 * The resource owner password credentials grant (RFC 6749 section 4.3), for clients of the house that an administrator
 * lets use it. The engine has authenticated the client and checked that it may use this grant before we are called.
 * The password itself is checked by the same use case, limits and constant work as the sign-in page.
 */
import {
  type Account as EngineAccount,
  type Client as EngineClient,
  errors,
  type Grant,
  type Provider,
  type TokenEndpointGrantContext,
} from 'oidc-provider'
import {
  applyRefreshTokenBindings,
  buildTokenResponse,
  checkDpopReplay,
  findAccount,
  resolveRequestedResources,
  validateClientScope,
  validateDpop,
} from 'oidc-provider/lib/helpers/grants.js'
import type { Account } from '../accounts/account.ts'
import type { Credentials } from '../accounts/authentication.ts'
import { type Clock, epochSeconds } from '../clock.ts'
import type { DeviceCookie } from '../http/device-cookie.ts'
import { remoteAddress } from '../http/remote-address.ts'
import { FIRST_PARTY } from './client-adapter.ts'
import { PASSWORD_ACR } from './configuration.ts'
import { inEngineTerms } from './engine-errors.ts'
import { isOidcScope } from './scopes.ts'
import type { SignInClock } from './sign-in-clock.ts'
import { noteAccount, noteSignIn } from './sign-in-lineage.ts'

export const PASSWORD_GRANT = 'password'
const AMR = ['pwd']

interface PasswordParameters {
  username?: string
  password?: string
}

type Context = TokenEndpointGrantContext<PasswordParameters>

export interface PasswordGrantDeps {
  provider: Provider
  clock: Clock
  signInClock: SignInClock
  authenticate(credentials: Credentials): Promise<Account>
  device: Pick<DeviceCookie, 'read'>
}

export function registerPasswordGrant(deps: PasswordGrantDeps): void {
  const { provider, clock } = deps
  const authenticate = inEngineTerms(deps.authenticate)

  const handler = async (ctx: Context): Promise<void> => {
    const { client } = ctx.oidc
    refuseUnlessFirstParty(client)
    await noteSignIn(ctx, deps.signInClock)
    const dpop = await validateDpop(provider, ctx)
    if (client.dpopBoundAccessTokens && !dpop) throw new errors.InvalidGrant('a DPoP proof is required')
    const target = await resolveTarget(ctx)
    const accountId = await subjectOf(ctx)
    const engineAccount = await findAccount(provider, ctx, accountId, undefined)
    if (!engineAccount) throw new errors.InvalidGrant('the account has gone')
    if (dpop) await checkDpopReplay(provider, ctx, dpop, client.clientId, errors.InvalidGrant)

    const grant = await grantOf(ctx, accountId, target)
    const accessToken = new provider.AccessToken({ accountId, client, grantId: grant.jti, gty: PASSWORD_GRANT })
    accessToken.resourceServer = target.server
    accessToken.scope = grant.getResourceScopeFiltered(target.resource, target.scopes)
    if (dpop) accessToken.setThumbprint('jkt', dpop.thumbprint)
    ctx.oidc.entity('AccessToken', accessToken)
    const accessTokenValue = await accessToken.save()

    const refreshToken = mayRefresh(client)
      ? await issueRefreshToken(ctx, accountId, grant, accessToken, target)
      : undefined
    const idToken = target.scopes.includes('openid') ? await issueIdToken(ctx, engineAccount, target) : undefined
    ctx.body = buildTokenResponse(provider, {
      accessToken: accessTokenValue,
      expiresIn: accessToken.expiration,
      idToken,
      refreshToken,
      scope: accessToken.scope,
      tokenType: accessToken.tokenType,
    })
  }

  /** RFC 6749 section 4.3.2: both parameters are REQUIRED; every wrong pair gets the one answer of section 5.2. */
  async function subjectOf(ctx: Context): Promise<string> {
    const { username, password } = ctx.oidc.params
    if (!username || !password) throw new errors.InvalidRequest('username and password are required')
    const account = await authenticate({
      login: username,
      password,
      from: remoteAddress(ctx),
      clientId: ctx.oidc.client.clientId,
      userAgent: ctx.get('User-Agent'),
      device: deps.device.read(ctx),
    })
    noteAccount(ctx, account)
    return account.id
  }

  async function resolveTarget(ctx: Context) {
    await resolveRequestedResources(provider, ctx)
    const [entry, ...more] = Object.entries(ctx.oidc.resourceServers)
    if (!entry || more.length > 0) throw new errors.InvalidTarget('only a single resource is supported')
    const [resource, server] = entry
    const requested = [...validateClientScope(provider, ctx)]
    const scopes = requested.filter((scope) => server.scopes.has(scope))
    if (requested.length > 0 && scopes.length === 0)
      throw new errors.InvalidScope('no requested scope is allowed', requested.join(' '))
    return { resource, server, scopes }
  }

  type Target = Awaited<ReturnType<typeof resolveTarget>>

  async function grantOf(ctx: Context, accountId: string, { resource, scopes }: Target): Promise<Grant> {
    const grant = new provider.Grant({ accountId, clientId: ctx.oidc.client.clientId })
    const oidcScopes = scopes.filter(isOidcScope)
    if (oidcScopes.length > 0) grant.addOIDCScope(oidcScopes.join(' '))
    if (scopes.length > 0) grant.addResourceScope(resource, scopes.join(' '))
    await grant.save()
    ctx.oidc.entity('Grant', grant)
    return grant
  }

  async function issueRefreshToken(
    ctx: Context,
    accountId: string,
    grant: Grant,
    accessToken: InstanceType<Provider['AccessToken']>,
    { resource, scopes }: Target,
  ): Promise<string> {
    const refreshToken = new provider.RefreshToken({
      accountId,
      acr: PASSWORD_ACR,
      amr: AMR,
      authTime: epochSeconds(clock),
      client: ctx.oidc.client,
      grantId: grant.jti,
      gty: PASSWORD_GRANT,
      resource, // without it a refresh would fall back to an opaque access token
      rotations: 0,
      scope: scopes.join(' '),
    })
    await applyRefreshTokenBindings(provider, ctx, accessToken, refreshToken)
    ctx.oidc.entity('RefreshToken', refreshToken)
    return refreshToken.save()
  }

  async function issueIdToken(ctx: Context, account: EngineAccount, { scopes }: Target): Promise<string> {
    const scope = scopes.filter(isOidcScope).join(' ')
    const claims = await account.claims('id_token', scope, {}, [])
    const idToken = new provider.IdToken(
      { ...claims, acr: PASSWORD_ACR, amr: AMR, auth_time: epochSeconds(clock) },
      { ctx },
    )
    Object.assign(idToken, { scope }) // decides which claims stay; not in the published type
    return idToken.issue({ use: 'idtoken' })
  }

  const parameters = new Set(['username', 'password', 'scope', 'resource'])
  provider.registerGrantType<PasswordParameters>(PASSWORD_GRANT, handler, parameters, new Set(['resource']))
}

const mayRefresh = (client: EngineClient): boolean => client.grantTypeAllowed('refresh_token')

/** Registration refuses it already; a row changed behind our back must not open the door. */
function refuseUnlessFirstParty(client: EngineClient): void {
  if (client[FIRST_PARTY] !== true) throw new errors.UnauthorizedClient('this client may not use the password grant')
}
