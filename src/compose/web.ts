/** The web application over the use cases: every part with its dependencies by name, top to bottom. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }
import { mountAuthzen } from '../access/authzen-routes.ts'
import { mountDecisions } from '../access/decision-routes.ts'
import { createFastDecisions } from '../access/fast-decisions.ts'
import { mountAccess } from '../access/routes.ts'
import { mountAccountPages } from '../accounts/account-pages.ts'
import { mountRegistrationPages } from '../accounts/registration-pages.ts'
import { mountAccounts } from '../accounts/routes.ts'
import { mountAccountAdministration } from '../admin/routes.ts'
import { mountAudit } from '../audit/routes.ts'
import { accountCallback, BUILT_IN_CLIENT, DOCS_CLIENT_ID } from '../clients/built-in-client.ts'
import { mountClients } from '../clients/routes.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { Config } from '../config.ts'
import { DEMO_CLIENT_ID, demoCallback, demoHome } from '../demo/demo-client.ts'
import { createOwnListener } from '../demo/own-listener.ts'
import { mountDemo } from '../demo/pages.ts'
import { createRelyingParty } from '../demo/relying-party.ts'
import { createVisits } from '../demo/visits.ts'
import { createAccountGate } from '../http/account-gate.ts'
import { createApi } from '../http/api.ts'
import { loadAssets, mountAssets } from '../http/assets.ts'
import { createAuthenticate } from '../http/authenticate.ts'
import { createCookies } from '../http/cookies.ts'
import { createCors } from '../http/cors.ts'
import { createCsrf } from '../http/csrf.ts'
import { createDeviceCookie } from '../http/device-cookie.ts'
import { createDispatcher, type FastHandler } from '../http/dispatcher.ts'
import { mountDescription, mountDocs } from '../http/docs.ts'
import { createErrorHandler, logStrayErrors } from '../http/error-handler.ts'
import { createGatekeeper } from '../http/gatekeeper.ts'
import { mountHome } from '../http/home.ts'
import { createIdempotency } from '../http/idempotency.ts'
import { createLocaleOf } from '../http/locale.ts'
import { describeApi } from '../http/openapi.ts'
import { mountOperations } from '../http/operations.ts'
import { createPinnedHost, pinProtocol, trustProxies } from '../http/pinned-host.ts'
import { createRenderer } from '../http/render.ts'
import { createRequestId } from '../http/request-id.ts'
import { createRequestLog } from '../http/request-log.ts'
import { createSecurityHeaders, securityHeadersOf } from '../http/security-headers.ts'
import { createSessionCookies } from '../http/session-cookies.ts'
import { createStepMemory } from '../http/step-memory.ts'
import { createTranslator } from '../i18n.ts'
import { mountDevMail } from '../mail/pages.ts'
import { createHealth } from '../observability/health.ts'
import type { Logger } from '../observability/logger.ts'
import { createCurrentSession, mountAccountSignIn } from '../oidc/account-sign-in.ts'
import { mountAuthorizationPost } from '../oidc/authorization-post.ts'
import { ROUTES } from '../oidc/configuration.ts'
import { createEnginePages } from '../oidc/engine-pages.ts'
import { logEngineEvents } from '../oidc/events.ts'
import { createFastEndpoints } from '../oidc/fast-endpoints.ts'
import { createFastRefresh } from '../oidc/fast-refresh.ts'
import { createFastUserinfo } from '../oidc/fast-userinfo.ts'
import { mountFirstPartySession } from '../oidc/first-party-session.ts'
import { allowFormTargets } from '../oidc/form-targets.ts'
import { mountInteractions } from '../oidc/interactions.ts'
import type { Keyring } from '../oidc/keystore.ts'
import { createOwnTokenEndpoint } from '../oidc/own-token-endpoint.ts'
import { createPlainClient } from '../oidc/plain-client.ts'
import { buildProvider } from '../oidc/provider.ts'
import { createPublishedDocuments } from '../oidc/published-documents.ts'
import { mountRevocations } from '../oidc/revocation-routes.ts'
import { createSessionBinding } from '../oidc/session-binding.ts'
import { createTokenSigner } from '../oidc/token-signer.ts'
import { createIdentify, createTokenVerdict } from '../oidc/token-validation.ts'
import { mountRecoveryPages } from '../password-reset/pages.ts'
import { mountPasswordReset } from '../password-reset/routes.ts'
import { deviceOf } from '../sessions/device-name.ts'
import { mountSessionPages } from '../sessions/pages.ts'
import { mountSessions } from '../sessions/routes.ts'
import { mountTeams } from '../teams/routes.ts'
import { mountVisibility } from '../visibility/routes.ts'

import type { Core } from './core.ts'
import { derived, JWKS_CACHE_SECONDS } from './keys.ts'
import type { Stores } from './stores.ts'

const DOCUMENTS = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', ROUTES.jwks]

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))

export interface WebDeps {
  config: Config
  stores: Stores
  core: Core
  keyring: Keyring
  logger: Logger
  isDraining(): boolean
  clock?: Clock
}

/** What joins a room's routes to a router, with its dependencies given. */
const mounting =
  <Router, Deps>(mount: (router: Router, deps: Deps) => void, deps: Deps) =>
  (router: Router) =>
    mount(router, deps)

/** The parts of the web application over the core. Called again with a new key ring it makes new ones over the same stores. */
export function composeWeb({ config, stores, core, keyring, logger, isDraining, clock = systemClock }: WebDeps) {
  const { issuer } = config
  const cookies = createCookies({ issuer })
  const translator = createTranslator(join(VIEWS, 'locales'))
  const localeOf = createLocaleOf({ translator, cookies })
  const assets = loadAssets(join(VIEWS, 'assets'))
  const render = createRenderer({ viewsDir: VIEWS, assets, translator, localeOf })
  const csrf = createCsrf({ issuer, secret: derived(keyring, 'csrf') })
  const health = createHealth({ clock, checks: { database: stores.database.check, ephemeral: stores.ephemeral.check } })
  const { findActiveAccount, mailbox } = core
  const { authenticate } = core.authentication
  const device = createDeviceCookie({
    cookies,
    tokenFor: core.authentication.deviceToken,
    maxAgeSeconds: core.devices.lifeSeconds,
  })

  const { provider, tokenEndpoints, tokens, resourceServers, inspection, rotation } = buildProvider({
    ...config,
    ...createEnginePages(render),
    keyring,
    clock,
    ephemeral: stores.ephemeral,
    revocation: core.revocation,
    signInClock: core.signInClock,
    cookieNames: {
      session: cookies.nameOf('usher_session'),
      interaction: cookies.nameOf('usher_interaction', 'path'),
      resume: cookies.nameOf('usher_resume', 'path'),
    },
    findClient: core.clients.find,
    matchesSecret: core.clients.compareSecret,
    findActiveAccount,
    authorizationClaims: core.tokenClaims,
    authenticate,
    device,
    rememberSession: core.sessions.remember,
    countWrongSecret: ({ clientId, from = '' }) =>
      core.limits.spend('client-authentication', { address: from, client: clientId }),
    onRefreshReuse({ grantId, clientId, accountId }) {
      logger.warn({ event: 'refresh_token.reused', grantId, clientId }, 'a refresh token was used again')
      void core.audit.note(
        { kind: 'client', ...(clientId === undefined ? {} : { id: clientId }) },
        { action: 'grant.reuse_detected', target: { kind: 'grant', id: grantId }, after: { account_id: accountId } },
      )
    },
  })
  pinProtocol(provider, issuer)
  trustProxies(provider, config.trustedProxies)
  logEngineEvents(provider, logger)
  logStrayErrors(provider, logger)

  const identify = createIdentify({ tokens, revocation: core.revocation })
  const verdictOn = createTokenVerdict({ tokens, revocation: core.revocation })
  const sessionCookies = createSessionCookies(cookies)
  const authenticateRequest = createAuthenticate({
    issuer,
    identify,
    cookies: sessionCookies,
    audience: resourceServers.ownAudience,
    isFirstParty: async (clientId) => (await core.clients.find(clientId))?.firstParty === true,
  })
  const api = createApi({
    admit: createGatekeeper({
      authenticate: authenticateRequest,
      holdsAny: core.decisions.holdsAny,
      manages: core.teams.manages,
    }),
    idempotency: createIdempotency({ ephemeral: stores.ephemeral, secret: derived(keyring, 'idempotency') }),
    checkAnswers: config.underTest,
  })
  const firstPartySession = {
    issuer,
    defaultClientId: BUILT_IN_CLIENT.id,
    askTokenEndpoint: createOwnTokenEndpoint({ issuer, listener: () => provider.callback() }),
    tokens,
    authenticate: authenticateRequest,
    cookies: sessionCookies,
    device,
    findClient: core.clients.find,
    endSession: core.sessions.end,
  }
  mountFirstPartySession(api, firstPartySession)
  mountAccounts(api, core)
  mountAccountAdministration(api, core)
  mountClients(api, core)
  mountAudit(api, core)
  mountAuthzen(api, { issuer, holdsAny: core.decisions.holdsAny })
  mountAccess(api, core.access)
  mountDecisions(api, { decisions: core.decisions, verdictOn })
  mountSessions(api, core)
  mountRevocations(api, core)
  mountTeams(api, core)
  mountVisibility(api, core)
  mountPasswordReset(api, core)

  const documentAt = createPublishedDocuments({
    issuer,
    listener: () => provider.callback(),
    maxAgeSeconds: JWKS_CACHE_SECONDS,
  })
  const audience = resourceServers.ownAudience
  const hasSession = createSessionBinding(stores.ephemeral)
  const signer = createTokenSigner(keyring.engineJwks().keys)
  const fast = createFastEndpoints({
    signInClock: core.signInClock,
    ...config,
    ownAudience: audience,
    clock,
    authenticate: createPlainClient({ findClient: core.clients.find, matchesSecret: core.clients.compareSecret }),
    inspection,
    isHashingFull: () => core.hashes.isFull(),
    sign: signer.accessToken,
    refresh: createFastRefresh({
      ...config,
      ...{ ownAudience: audience, clock, tokens, rotation, signer },
      findActiveAccount: core.rememberedAccounts.findActive,
      hasSession,
      authorizationClaims: core.tokenClaims,
      rememberSession: core.sessions.remember,
    }),
  })
  const decide = createFastDecisions({ decisions: core.decisions, identify, verdictOn, audience })
  const userinfo = createFastUserinfo({
    ...{ ownAudience: audience, tokens, clock },
    findActiveAccount: core.rememberedAccounts.findActive,
    hasSession,
    revocation: core.revocation,
    ephemeral: stores.ephemeral,
    findClient: core.clients.find,
  })
  const dispatch = createDispatcher({
    ...config,
    securityHeaders: securityHeadersOf(issuer),
    logger,
    clock,
    routes: {
      exact: new Map<string, FastHandler>([
        ...DOCUMENTS.map((path): [string, FastHandler] => [`GET ${path}`, documentAt(path)]),
        [`POST ${ROUTES.introspection}`, fast.introspection],
        [`POST ${ROUTES.revocation}`, fast.revocation],
        [`POST ${ROUTES.token}`, fast.token],
        [`GET ${ROUTES.userinfo}`, userinfo],
        ['GET /api/v1/auth_token/validation', decide.validation],
      ]),
      patterns: ['/api/v1/users/', '/api/v1/accounts/'].map((prefix) => {
        return { method: 'GET', prefix, handle: decide.permissions }
      }),
    },
  })

  const steps = createStepMemory({ cookies, csrf })
  const gate = createAccountGate({ csrf, currentSession: createCurrentSession({ provider, findActiveAccount }) })
  const people = { steps, localeOf, render, minLength: core.minPasswordLength }
  const accountPages = {
    ...core,
    ...people,
    gate,
    deviceOf,
    clientNameOf: async (id: string) => (await core.clients.find(id))?.name,
    signOutHref: ROUTES.end_session,
  }

  const relyingParty = createRelyingParty({
    issuer,
    clientId: DEMO_CLIENT_ID,
    redirectUri: demoCallback(issuer),
    afterSignOut: demoHome(issuer),
    audience: resourceServers.ownAudience,
    scope: 'openid profile email',
    call: createOwnListener(config),
    clock,
  })
  const visits = createVisits(stores.ephemeral)
  const hasDemo = !config.production
  const describe = () => describeApi(api.routes(), { issuer, version: manifest.version, endpoints: ROUTES })

  return {
    app: provider,
    requestId: createRequestId(),
    requestLog: createRequestLog({ logger, clock }),
    errors: createErrorHandler({ logger, render }),
    pinnedHost: createPinnedHost({ issuer }),
    securityHeaders: createSecurityHeaders({ issuer }),
    cors: createCors({ issuer, mayCallFrom: core.clients.isOwnOrigin }),
    /** The declared routes, and the document that describes them. */
    routes: api.routes,
    describe,
    mounts: [
      mounting(mountOperations, { health, isDraining }),
      api.mount,
      mounting(mountAssets, assets),
      mounting(mountDescription, { describe }),
      ...(config.docs ? [mounting(mountDocs, { assets, issuer, clientId: DOCS_CLIENT_ID })] : []),
      mounting(mountHome, { render, issuer, hasDemo, hasDocs: config.docs }),
      ...(mailbox && !config.production ? [mounting(mountDevMail, { mailbox, render })] : []),
      ...(hasDemo ? [mounting(mountDemo, { relyingParty, visits, cookies, csrf, render })] : []),
      mounting(mountAccountSignIn, { clientId: BUILT_IN_CLIENT.id, redirectUri: accountCallback(issuer) }),
      mounting(mountRegistrationPages, { ...people, registration: core.registration }),
      mounting(mountRecoveryPages, { ...people, passwordReset: core.passwordReset }),
      mounting(mountAccountPages, accountPages),
      mounting(mountSessionPages, { gate, render, sessions: core.sessions, applications: core.applications }),
      mountAuthorizationPost,
      mounting(mountInteractions, {
        ...{ provider, render, csrf, device, steps, clock, authenticate, findActiveAccount },
        signInClock: core.signInClock,
        mayRegister: core.registration.mode !== 'closed',
      }),
    ],
    engineSeams: [allowFormTargets, tokenEndpoints],
    dispatch,
  }
}
