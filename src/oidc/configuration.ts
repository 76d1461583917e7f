/**
 * The engine's configuration as one literal. What is left to the engine's defaults is left knowingly; every lifetime is
 * set, every advertised feature works.
 */
import {
  type Adapter,
  type Configuration,
  type Client as EngineClient,
  type ErrorOut,
  interactionPolicy,
  type JWK,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { Clock } from '../clock.ts'
import { claimsFor } from './claims.ts'
import {
  EXTRA_CLIENT_METADATA,
  FIRST_PARTY,
  LEAN_ID_TOKEN,
  oidcScopesOf,
  REFRESH_TOKEN_TTL,
  REQUIRE_PKCE,
} from './client-adapter.ts'
import { inEngineTerms } from './engine-errors.ts'
import { loadGrant } from './first-party-consent.ts'
import { grantSecondsFor, refreshTokenLife, SECONDS } from './lives.ts'
import type { ResourceServers } from './resource-servers.ts'
import { CLAIMS_OF_SCOPES, OIDC_SCOPES } from './scopes.ts'
import { accountShown, lineageOf } from './sign-in-lineage.ts'
import { CLOCK_TOLERANCE_SECONDS } from './token-formats.ts'

/** Authentication by password, as the `acr` of ID tokens names it. */
export const PASSWORD_ACR = 'urn:usher:acr:password'

export const ROUTES = {
  authorization: '/oauth2/authorize',
  token: '/oauth2/token',
  introspection: '/oauth2/introspect',
  revocation: '/oauth2/revoke',
  userinfo: '/oauth2/userinfo',
  end_session: '/oauth2/logout',
  pushed_authorization_request: '/oauth2/par',
  jwks: '/.well-known/jwks.json',
} as const

export interface EngineConfigurationDeps {
  adapter: (model: string) => Adapter
  jwks: { keys: JWK[] }
  cookieKeys: readonly string[]
  cookieNames: { session: string; interaction: string; resume: string }
  clock: Clock
  /** By which sign-ins begin. */
  signInClock: Clock
  refreshTokenTtlSeconds: number
  resourceServers: ResourceServers
  findActiveAccount(id: string): Promise<Account | undefined>
  /** What access tokens for an audience say about what an account may do. */
  authorizationClaims(accountId: string, audience: string): Promise<object>
  renderError(ctx: KoaContextWithOIDC, out: ErrorOut, error: Error): Promise<void>
  renderLogout(ctx: KoaContextWithOIDC, form: string): Promise<void>
  renderSignedOut(ctx: KoaContextWithOIDC): Promise<void>
}

const isFirstParty = (client: EngineClient): boolean => client[FIRST_PARTY] === true

/** RFC 8252 section 8.6 has native apps ask again because their identity can be faked; our own are trusted. */
function policy(): interactionPolicy.DefaultPolicy {
  const prompts = interactionPolicy.base()
  const consent = prompts.get('consent')
  const native = consent?.checks.get('native_client_prompt')
  if (native) {
    const { check } = native
    native.check = (ctx) => !isFirstParty(ctx.oidc.client as EngineClient) && check(ctx) // authorize has loaded it
  }
  return prompts
}

/** Origins from which a public client's pages may call the token endpoint: those of its own redirect URIs, exactly. */
const mayCallFrom = (origin: string, client: EngineClient): boolean =>
  client.clientAuthMethod === 'none' &&
  origin !== 'null' && // what every native scheme has, and every sandboxed page
  (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin)

export function engineConfiguration(deps: EngineConfigurationDeps): Configuration {
  const { resourceServers, clock } = deps
  const grantSeconds = grantSecondsFor(deps.refreshTokenTtlSeconds)
  const lifeOfRefreshToken = refreshTokenLife({ clock, ttlSeconds: deps.refreshTokenTtlSeconds })

  return {
    adapter: deps.adapter,
    jwks: deps.jwks,
    routes: ROUTES,
    scopes: [...OIDC_SCOPES],
    claims: { ...CLAIMS_OF_SCOPES, acr: null, amr: null, auth_time: null, iss: null, sid: null },
    subjectTypes: ['public'],
    acrValues: [PASSWORD_ACR],
    responseTypes: ['code'],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    extraClientMetadata: { properties: EXTRA_CLIENT_METADATA },
    conformIdTokenClaims: false,
    allowOmittingSingleRegisteredRedirectUri: false, // OpenID Connect Core section 3.1.2.1: redirect_uri is REQUIRED
    rotateRefreshToken: true,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    // RFC 9700 section 2.1.1: public clients MUST use PKCE; a confidential one may be let off by its registration.
    pkce: { required: (_ctx, client) => client.clientAuthMethod === 'none' || client[REQUIRE_PKCE] !== false },
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256', 'RS256'],
      clientAuthSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA'],
    },
    cookies: {
      keys: [...deps.cookieKeys],
      names: deps.cookieNames,
      long: { signed: true, httpOnly: true, sameSite: 'lax', path: '/' },
      short: { signed: true, httpOnly: true, sameSite: 'lax' },
    },
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 300,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 300,
      AuthorizationCode: SECONDS.code,
      PushedAuthorizationRequest: SECONDS.pushedRequest,
      IdToken: 3_600,
      Interaction: SECONDS.interaction,
      // That of nobody is there for the page that is open.
      Session: (_ctx, session) => (session.accountId ? SECONDS.session : SECONDS.interaction),
      Grant: grantSeconds,
      RefreshToken: (_ctx, token, client) => {
        const own = client[REFRESH_TOKEN_TTL]
        return lifeOfRefreshToken(token.iiat, typeof own === 'number' ? own : undefined)
      },
    },
    interactions: { policy: policy(), url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
    clientBasedCORS: (_ctx, origin, client) => mayCallFrom(origin, client),
    loadExistingGrant: inEngineTerms(async (ctx) => loadGrant(ctx, isFirstParty, deps.refreshTokenTtlSeconds)),
    expiresWithSession: async (_ctx, token) => !token.scopes.has('offline_access'),
    issueRefreshToken: async (_ctx, client, source) =>
      client.grantTypeAllowed('refresh_token') && (source.scopes.has('offline_access') || isFirstParty(client)),
    findAccount: inEngineTerms(async (ctx, sub) => {
      const account = accountShown(ctx, sub) ?? (await deps.findActiveAccount(sub))
      if (!account) return undefined
      const { client } = ctx.oidc
      const isLean = client?.[LEAN_ID_TOKEN] === true
      const scopes = client ? oidcScopesOf(client) : []
      return {
        accountId: account.id,
        claims: (use: string, _scope: string, requested: Record<string, unknown> = {}) =>
          claimsFor(account, use, requested, { scopes, isLean }),
      }
    }),
    extraTokenClaims: inEngineTerms(async (_ctx, token) => {
      if (token.kind !== 'AccessToken' || !token.accountId) return undefined
      return { ...(await deps.authorizationClaims(token.accountId, token.resourceServer?.audience ?? '')) }
    }),
    formats: {
      customizers: {
        jwt(ctx, token, jwt) {
          Object.assign(jwt.payload, privateClaims(ctx, token, deps.signInClock))
        },
      },
    },
    renderError: deps.renderError,
    features: {
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      userinfo: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: deps.renderLogout,
        postLogoutSuccessSource: deps.renderSignedOut,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, client, oneOf) => oneOf?.[0] ?? resourceServers.defaultOf(client),
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource, client) =>
          resourceServers.infoFor(resource, client, ctx.oidc.requestParamOIDCScopes),
      },
    },
  }
}

interface PrivateClaimSource {
  grantId?: string | undefined
  expiresWithSession?: boolean | undefined
  sessionUid?: string | undefined
}

/** Our own claims in access tokens; what each is for stands in token-formats.ts. */
function privateClaims(ctx: KoaContextWithOIDC | undefined, token: object & PrivateClaimSource, clock: Clock) {
  const source = ctx?.oidc?.entities.AuthorizationCode ?? ctx?.oidc?.entities.RefreshToken
  const { signedInAtMs } = lineageOf(ctx, clock)
  const authTime = source?.authTime ?? Math.floor(signedInAtMs / 1000)
  // With a resource the engine does not carry requested claims on the token, and userinfo would lose them.
  const uic = source?.claims?.userinfo
  return {
    ims: signedInAtMs,
    // RFC 9068 section 2.2.1: auth_time, when the end-user was authenticated; a client by itself was not.
    ...(token.grantId ? { gid: token.grantId, auth_time: authTime } : {}),
    ...(token.expiresWithSession && token.sessionUid ? { suid: token.sessionUid } : {}),
    ...(uic ? { uic } : {}),
  }
}
