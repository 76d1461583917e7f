/** The only caller of create*: every part of the server, with its dependencies by name, top to bottom. */
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import manifest from '../package.json' with { type: 'json' }
import { createAccess } from './access/access.ts'
import { createAccessChanges } from './access/access-change.ts'
import { createAccessChangeStore } from './access/access-change-store.ts'
import { mountAuthzen } from './access/authzen-routes.ts'
import { createCombinedPermissions } from './access/combined-permissions.ts'
import { createCombinedPermissionsStore } from './access/combined-permissions-store.ts'
import { mountDecisions } from './access/decision-routes.ts'
import { createExplanationStore } from './access/explanation-store.ts'
import { createFastDecisions } from './access/fast-decisions.ts'
import { createFreshness } from './access/freshness.ts'
import { createFreshnessStore } from './access/freshness-store.ts'
import { createPermissionStore } from './access/permission-store.ts'
import { createPolicyDecision } from './access/policy-decision.ts'
import { createResourceStore } from './access/resource-store.ts'
import { createRoleGraphStore } from './access/role-graph-store.ts'
import { createRoleStore } from './access/role-store.ts'
import { mountAccess } from './access/routes.ts'
import { createTokenClaims } from './access/token-claims.ts'
import type { Account } from './accounts/account.ts'
import { createAccountDeletion } from './accounts/account-deletion.ts'
import { createAccountExport } from './accounts/account-export.ts'
import { mountAccountPages } from './accounts/account-pages.ts'
import { createAccountStore } from './accounts/account-store.ts'
import { createAccounts } from './accounts/accounts.ts'
import { createAuthentication } from './accounts/authentication.ts'
import { createEmailChange, EMAIL_CHANGE, EMAIL_CHANGE_NOTICE } from './accounts/email-change.ts'
import { createEmailChangeStore } from './accounts/email-change-store.ts'
import { createHashPool } from './accounts/hash-pool.ts'
import { createKnownDevices } from './accounts/known-device.ts'
import { createProveOwner } from './accounts/own-password.ts'
import { createChangePassword } from './accounts/password-change.ts'
import { createPasswordNotice, PASSWORD_NOTICE } from './accounts/password-notice.ts'
import { createPasswordPolicy } from './accounts/password-policy.ts'
import { createPendingStore } from './accounts/pending-store.ts'
import { createProfile } from './accounts/profile.ts'
import { createRegistration, REGISTRATION } from './accounts/registration.ts'
import { mountRegistrationPages } from './accounts/registration-pages.ts'
import { createRememberedAccounts } from './accounts/remembered-accounts.ts'
import { mountAccounts } from './accounts/routes.ts'
import { createSignInStore } from './accounts/sign-in-store.ts'
import { createSignIns } from './accounts/sign-ins.ts'
import { createAccountAdministration } from './admin/account-administration.ts'
import { mountAccountAdministration } from './admin/routes.ts'
import { createAuditLog } from './audit/audit-log.ts'
import { createAuditStore } from './audit/audit-store.ts'
import { mountAudit } from './audit/routes.ts'
import {
  accountCallback,
  BUILT_IN_CLIENT,
  builtInClient,
  DOCS_CLIENT_ID,
  docsClient,
} from './clients/built-in-client.ts'
import { createClientAdministration } from './clients/client-administration.ts'
import { createClientStore } from './clients/client-store.ts'
import { type CheckClientMetadata, createClients } from './clients/clients.ts'
import { mountClients } from './clients/routes.ts'
import { type Clock, systemClock } from './clock.ts'
import { createCodeStore } from './codes/code-store.ts'
import { createOneTimeCodes } from './codes/one-time-code.ts'
import { type Config, ConfigError } from './config.ts'
import { DEMO_CLIENT_ID, demoCallback, demoHome } from './demo/demo-client.ts'
import { createOwnListener } from './demo/own-listener.ts'
import { mountDemo } from './demo/pages.ts'
import { createRelyingParty } from './demo/relying-party.ts'
import { createVisits } from './demo/visits.ts'
import { createAccountGate } from './http/account-gate.ts'
import { createApi } from './http/api.ts'
import { loadAssets, mountAssets } from './http/assets.ts'
import { createAuthenticate } from './http/authenticate.ts'
import { createCookies } from './http/cookies.ts'
import { createCors } from './http/cors.ts'
import { createCsrf } from './http/csrf.ts'
import { createDeviceCookie } from './http/device-cookie.ts'
import { createDispatcher, type FastHandler } from './http/dispatcher.ts'
import { docsCallback, mountDescription, mountDocs } from './http/docs.ts'
import { createErrorHandler, logStrayErrors } from './http/error-handler.ts'
import { createGatekeeper } from './http/gatekeeper.ts'
import { mountHome } from './http/home.ts'
import { createIdempotency } from './http/idempotency.ts'
import { createLocaleOf } from './http/locale.ts'
import { describeApi } from './http/openapi.ts'
import { mountOperations } from './http/operations.ts'
import { createPinnedHost, pinProtocol, trustProxies } from './http/pinned-host.ts'
import { createRenderer } from './http/render.ts'
import { createRequestId } from './http/request-id.ts'
import { createRequestLog } from './http/request-log.ts'
import { createSecurityHeaders, securityHeadersOf } from './http/security-headers.ts'
import { createSessionCookies } from './http/session-cookies.ts'
import { createStepMemory } from './http/step-memory.ts'
import { createTranslator } from './i18n.ts'
import { createLimits } from './limits/limits.ts'
import { createFileMailbox } from './mail/file-mailbox.ts'
import { createMailer } from './mail/mailer.ts'
import { createOutbox } from './mail/outbox.ts'
import { createOutboxStore } from './mail/outbox-store.ts'
import { mountDevMail } from './mail/pages.ts'
import { createSmtp } from './mail/smtp.ts'
import { createTemplates } from './mail/templates.ts'
import { createHealth } from './observability/health.ts'
import type { Logger } from './observability/logger.ts'
import { createCurrentSession, mountAccountSignIn } from './oidc/account-sign-in.ts'
import { mountAuthorizationPost } from './oidc/authorization-post.ts'
import { ROUTES } from './oidc/configuration.ts'
import { createConnectedGrants } from './oidc/connected-grants.ts'
import { createEnginePages } from './oidc/engine-pages.ts'
import { logEngineEvents } from './oidc/events.ts'
import { createFastEndpoints } from './oidc/fast-endpoints.ts'
import { createFastRefresh } from './oidc/fast-refresh.ts'
import { createFastUserinfo } from './oidc/fast-userinfo.ts'
import { mountFirstPartySession } from './oidc/first-party-session.ts'
import { allowFormTargets } from './oidc/form-targets.ts'
import { mountInteractions } from './oidc/interactions.ts'
import { rotateKeys } from './oidc/key-rotation.ts'
import { type Keyring, listKeys, openKeyring, watchKeyring } from './oidc/keystore.ts'
import { createOwnTokenEndpoint } from './oidc/own-token-endpoint.ts'
import { createPermissionChangeStore } from './oidc/permission-change-store.ts'
import { createPlainClient } from './oidc/plain-client.ts'
import { buildProvider, longestLives } from './oidc/provider.ts'
import { createPublishedDocuments } from './oidc/published-documents.ts'
import { createRevocation } from './oidc/revocation.ts'
import { createRevocationFeed } from './oidc/revocation-feed.ts'
import { createRevocationFloorStore } from './oidc/revocation-floor-store.ts'
import { mountRevocations } from './oidc/revocation-routes.ts'
import { createRevocationStream } from './oidc/revocation-stream.ts'
import { createRevocationWriter } from './oidc/revocation-writer.ts'
import { createSessionBinding } from './oidc/session-binding.ts'
import { createSessionEnds } from './oidc/session-ends.ts'
import { createSignInClock } from './oidc/sign-in-clock.ts'
import { createTokenSigner } from './oidc/token-signer.ts'
import { createIdentify, createTokenVerdict } from './oidc/token-validation.ts'
import { mountRecoveryPages } from './password-reset/pages.ts'
import { createPasswordReset, PASSWORD_RESET } from './password-reset/password-reset.ts'
import { mountPasswordReset } from './password-reset/routes.ts'
import { createApplications } from './sessions/applications.ts'
import { deviceOf } from './sessions/device-name.ts'
import { mountSessionPages } from './sessions/pages.ts'
import { presentSession } from './sessions/presentation.ts'
import { mountSessions } from './sessions/routes.ts'
import { createSessionStore } from './sessions/session-store.ts'
import { createSessions } from './sessions/sessions.ts'
import { type Announcements, createLocalAnnouncements, createRedisAnnouncements } from './storage/announcements.ts'
import type { OpenDatabase } from './storage/database.ts'
import type { Ephemeral } from './storage/ephemeral.ts'
import { createRedisEphemeral } from './storage/ephemeral-redis.ts'
import { createSqlEphemeral } from './storage/ephemeral-sql.ts'
import type { Journal } from './storage/journal.ts'
import { createRedisJournal } from './storage/journal-redis.ts'
import { createSqlJournal } from './storage/journal-sql.ts'
import { openPglite } from './storage/pglite.ts'
import { openPostgres } from './storage/postgres.ts'
import { openRedis, redisFaults, redisVersion } from './storage/redis.ts'
import type { Executor } from './storage/tables.ts'
import { mountTeams } from './teams/routes.ts'
import { createTeamStore } from './teams/team-store.ts'
import { createTeams } from './teams/teams.ts'
import { mountVisibility } from './visibility/routes.ts'
import { createVisibility } from './visibility/visibility.ts'
import { createVisibilityStore } from './visibility/visibility-store.ts'

/** How long services may keep the published keys; a new key is published that long before it signs. */
const JWKS_CACHE_SECONDS = 300
const DOCUMENTS = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', ROUTES.jwks]
/** Under which processes tell each other of writes that decisions rest on. */
const ACCESS_TOPIC = 'access'

const VIEWS = fileURLToPath(new URL('../views', import.meta.url))

export interface Stores {
  database: OpenDatabase
  ephemeral: Ephemeral
  journal: Journal
  announcements: Announcements
  /** What each runs on, for people. */
  names: { database: string; ephemeral: string }
  close(): Promise<void>
}

/** The durable store alone, as for migrations. */
export const openDatabase = (config: Config): Promise<OpenDatabase> =>
  config.databaseUrl ? openPostgres(config.databaseUrl) : openPglite(join(config.dataDir, 'db'))

export interface OpenStoresOptions {
  /** Told of what failed without anybody waiting for it. */
  onFault?: (error: unknown) => void
}

/** Opens what the settings name: PostgreSQL or the embedded database, Redis or the SQL twin over the same database. */
export async function openStores(config: Config, { onFault }: OpenStoresOptions = {}): Promise<Stores> {
  const database = await openDatabase(config)
  const redis = config.redisUrl ? await openCheckedRedis(config).catch(closing(database)) : undefined
  const ephemeral = redis ? createRedisEphemeral(redis, { prefix: config.redisPrefix }) : createSqlEphemeral(database)
  const journal = redis ? createRedisJournal(redis, { prefix: config.redisPrefix }) : createSqlJournal(database)
  const announcements = redis
    ? createRedisAnnouncements({ redis, prefix: config.redisPrefix, onFault })
    : createLocalAnnouncements()
  return {
    database,
    ephemeral,
    journal,
    announcements,
    names: { database: database.version, ephemeral: redis ? await redisVersion(redis) : 'the same database' },
    async close() {
      announcements.close()
      journal.close()
      await ephemeral.close()
      await database.close()
    },
  }
}

/** A start that fails half way leaves nothing open: an open embedded database would keep the process alive. */
const closing = (database: OpenDatabase) => async (error: unknown) => {
  await database.close()
  throw error
}

async function openCheckedRedis(config: Config) {
  const redis = await openRedis(config.redisUrl ?? '')
  const faults = config.production ? await redisFaults(redis) : []
  if (faults.length === 0) return redis
  redis.disconnect()
  throw new ConfigError(faults.map((fault) => `USHER_REDIS_URL: ${fault}`))
}

/** The keys directory of the settings. */
export const keysOf = (config: Config) => ({
  open: () => openKeyring({ dir: config.keysDir, production: config.production, secrets: config }),
  watch: (onChange: () => void) => watchKeyring(config.keysDir, onChange),
  list: () => listKeys(config.keysDir),
  rotate: ({ force }: { force: boolean }) =>
    rotateKeys(config.keysDir, {
      longestTokenSeconds: longestLives(config).grantSeconds,
      jwksCacheSeconds: JWKS_CACHE_SECONDS,
      force,
    }),
})

export interface CoreDeps {
  config: Config
  stores: Pick<Stores, 'database' | 'ephemeral' | 'journal'> & Partial<Pick<Stores, 'announcements'>>
  keyring: Keyring
  /** Told of what must not be lost silently; the command line has none. */
  logger?: Logger
  clock?: Clock
}

export type Core = ReturnType<typeof composeCore>

/** The use cases without HTTP: what the server and the command line share. */
export function composeCore({ config, stores, keyring, logger, clock = systemClock }: CoreDeps) {
  const { ephemeral } = stores
  const { db } = stores.database
  const { pepper } = keyring
  const floors = { db, store: createRevocationFloorStore(), journal: stores.journal, clock }
  const revocationFeed = createRevocationFeed(floors)
  const revocation = createRevocation({
    ...floors,
    ephemeral,
    feed: revocationFeed,
    write: createRevocationWriter(floors),
    ...longestLives(config),
  })
  const { revokeSubject, revokeClient } = revocation
  const raiseAccountFloor = (executor: Executor, id: string) => revocation.raiseFloorWithin(executor, 'account', id)
  const hashes = createHashPool()
  const { signInsPerMinutePerAddress, codesPerHourPerAddress } = config
  const limits = createLimits(ephemeral, { pepper, signInsPerMinutePerAddress, codesPerHourPerAddress })
  const audit = createAuditLog({
    db,
    store: createAuditStore(),
    retentionDays: config.auditRetentionDays,
    onLoss: (loss) => logger?.error({ event: 'audit.lost', ...loss }, 'an audit event could not be kept'),
    clock,
  })
  const changeStore = createAccessChangeStore()
  const { announcements = createLocalAnnouncements() } = stores
  const freshness = createFreshness({
    db,
    store: createFreshnessStore(),
    clock,
    onAnnouncement: (listener) => announcements.subscribe(ACCESS_TOPIC, listener),
  })
  const announce = () => {
    freshness.markStale()
    announcements.publish(ACCESS_TOPIC)
  }
  const decisions = createPolicyDecision({
    db,
    store: createExplanationStore(),
    combined: createCombinedPermissions({ db, store: createCombinedPermissionsStore(), freshness }),
  })
  const tokenClaims = createTokenClaims({ freshness, decisions, maxPermissionsBytes: config.permissionsClaimBytes })
  const revocationStream = createRevocationStream({
    ...floors,
    floors: floors.store,
    feed: revocationFeed,
    changes: createPermissionChangeStore(),
    onAccessChange: (listener) => announcements.subscribe(ACCESS_TOPIC, listener),
  })
  const changes = createAccessChanges({ db, store: changeStore, audit: audit.record, announce })
  const access = createAccess({
    db,
    changes,
    stores: {
      roles: createRoleStore(),
      graph: createRoleGraphStore(),
      permissions: createPermissionStore(),
      resources: createResourceStore(),
    },
  })
  const visibility = createVisibility({ db, changes, store: createVisibilityStore(), freshness })
  const teams = createTeams({ db, changes, store: createTeamStore(), roles: access })
  const policy = createPasswordPolicy()
  const guardRemoval = access.refuseLastSuperuser
  const statusChanged = changes.touchAccount
  const accountStore = createAccountStore()
  const accounts = createAccounts({
    db,
    store: accountStore,
    hashes,
    policy,
    revokeSubject,
    guardRemoval,
    statusChanged,
    forget: (id) => rememberedAccounts.forget(id),
    raiseFloor: raiseAccountFloor,
    clock,
  })
  const rememberedAccounts = createRememberedAccounts({ findById: accounts.findById, freshness })
  const devices = createKnownDevices({ secret: derived(keyring, 'known devices'), clock })
  const deletion = createAccountDeletion({
    db,
    store: accountStore,
    guardRemoval,
    statusChanged,
    raiseFloor: raiseAccountFloor,
    audit: audit.record,
    revokeSubject,
    clock,
  })
  const signIns = createSignIns({ db, store: createSignInStore(), clock })
  const authentication = createAuthentication({
    accounts,
    hashes,
    limits,
    devices,
    recordSignIn: signIns.record,
    restore: deletion.restore,
  })
  const outbox = createOutbox({ db, store: createOutboxStore(), clock })
  const { mailer, mailbox } = composeMail(config)
  const { send } = mailer
  const enqueue = outbox.add
  // What has been guessed at codes outlives Redis: flushing it must not give a single guess back.
  const durableLimits = createLimits(createSqlEphemeral(stores.database), { pepper })
  const codes = createOneTimeCodes({ store: createCodeStore(ephemeral), limits: durableLimits, pepper })
  const notice = createPasswordNotice({ accounts, enqueue, send })
  outbox.handle(PASSWORD_NOTICE, notice.deliver)
  const registration = createRegistration({
    mode: config.registration,
    db,
    accounts,
    pending: createPendingStore(ephemeral),
    codes,
    limits,
    policy,
    hashes,
    audit: audit.record,
    enqueue,
    send,
    pepper,
  })
  outbox.handle(REGISTRATION, registration.deliver)
  const passwordReset = createPasswordReset({
    db,
    accounts,
    codes,
    limits,
    policy,
    hashes,
    notice,
    audit: audit.record,
    enqueue,
    send,
    revokeSubject,
  })
  outbox.handle(PASSWORD_RESET, passwordReset.deliver)
  const { production } = config
  const checkClientMetadata = lazily(async () => {
    const { createClientMetadataCheck } = await import('./oidc/client-metadata-check.ts')
    return createClientMetadataCheck({ ...config, keyring })
  })
  const clients = createClients({
    db,
    store: createClientStore(),
    pepper,
    production,
    checkClientMetadata,
    revokeClient,
    raiseFloor: (executor, id) => revocation.raiseFloorWithin(executor, 'client', id),
    builtIn: [builtInClient(config.issuer), ...(config.docs ? [docsClient(docsCallback(config.issuer))] : [])],
    clock,
  })
  const sessionEnds = createSessionEnds({ ephemeral, revocation })
  const sessions = createSessions({
    store: createSessionStore(ephemeral),
    areAlive: sessionEnds.areAlive,
    end: sessionEnds.end,
    revokeSubject,
    note: audit.note,
    clientNameOf: async (id) => (await clients.find(id))?.name,
    clock,
  })
  const applications = createApplications({
    sessionsOf: sessions.all,
    grantsBehind: createConnectedGrants(ephemeral),
    revokeGrant: revocation.revokeGrant,
    note: audit.note,
    applicationOf: async (id) => (id === BUILT_IN_CLIENT.id ? undefined : clients.find(id)),
  })
  const exportAccount = createAccountExport({
    accounts,
    signIns,
    parts: { roles: access.rolesOf, sessions: async (id) => (await sessions.all(id)).map(presentSession) },
  })
  const proveOwner = createProveOwner({ accounts, hashes, limits })
  const changePassword = createChangePassword({
    accounts,
    codes,
    proveOwner,
    policy,
    hashes,
    notice,
    audit: audit.record,
    revokeOthers: (id, keep) => (keep === undefined ? sessions.endAll(id) : sessions.endOthers(id, keep)),
  })
  const emailChange = createEmailChange({
    db,
    accounts,
    store: createEmailChangeStore(ephemeral),
    codes,
    limits,
    proveOwner,
    audit: audit.record,
    enqueue,
    send,
  })
  outbox.handle(EMAIL_CHANGE, emailChange.deliverCode)
  outbox.handle(EMAIL_CHANGE_NOTICE, emailChange.deliverNotice)
  const accountAdministration = createAccountAdministration({ accounts, changes, sessions, notice, passwordReset })
  return {
    accountAdministration,
    accounts,
    access,
    applications,
    audit,
    authentication,
    changePassword,
    changes,
    clientAdministration: createClientAdministration({ clients, changes }),
    clients,
    decisions,
    deletion,
    devices,
    emailChange,
    exportAccount,
    freshness,
    hashes,
    limits,
    mailbox,
    mailer,
    minPasswordLength: policy.minLength,
    outbox,
    passwordReset,
    profile: createProfile({ accounts, audit: audit.record }),
    proveOwner,
    registration,
    revocation,
    revocationFeed,
    revocationStream,
    sessions,
    signInClock: createSignInClock({ clock, feed: revocationFeed }),
    signIns,
    tokenClaims,
    teams,
    visibility,
    findActiveAccount,
    rememberedAccounts,
  }

  async function findActiveAccount(id: string): Promise<Account | undefined> {
    const account = await accounts.findById(id)
    return account?.status === 'active' ? account : undefined
  }
}

/** Mail to the server of the settings; without one, into a folder of the data directory. */
function composeMail({ smtpUrl, dataDir, issuer, mailFrom }: Config) {
  const translator = createTranslator(join(VIEWS, 'locales'))
  const templates = createTemplates({ viewsDir: VIEWS, translator, issuer })
  const mailbox = smtpUrl ? undefined : createFileMailbox(join(dataDir, 'outbox'))
  const transport = mailbox ?? createSmtp(smtpUrl ?? '')
  return { mailer: createMailer({ transport, templates, translator, from: mailFrom }), mailbox }
}

/** The engine that judges metadata is made when the first client is written, not at every start. */
function lazily(make: () => Promise<CheckClientMetadata>): CheckClientMetadata {
  let made: Promise<CheckClientMetadata> | undefined
  return async (client) => {
    made ??= make()
    await (await made)(client)
  }
}

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

/** Keys for separate purposes. They stay when keys are rotated: a page open meanwhile can still be sent. */
function derived({ pepper }: Keyring, purpose: string): string {
  return createHmac('sha256', pepper).update(`usher ${purpose}`).digest('base64url')
}
