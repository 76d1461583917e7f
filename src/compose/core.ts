/** The use cases over their stores: every part with its dependencies by name, top to bottom. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createAccess } from '../access/access.ts'
import { createAccessChanges } from '../access/access-change.ts'
import { createAccessChangeStore } from '../access/access-change-store.ts'
import { createCombinedPermissions } from '../access/combined-permissions.ts'
import { createCombinedPermissionsStore } from '../access/combined-permissions-store.ts'
import { createExplanationStore } from '../access/explanation-store.ts'
import { createFreshness } from '../access/freshness.ts'
import { createFreshnessStore } from '../access/freshness-store.ts'
import { createPermissionStore } from '../access/permission-store.ts'
import { createPolicyDecision } from '../access/policy-decision.ts'
import { createResourceStore } from '../access/resource-store.ts'
import { createRoleGraphStore } from '../access/role-graph-store.ts'
import { createRoleStore } from '../access/role-store.ts'
import { createTokenClaims } from '../access/token-claims.ts'
import type { Account } from '../accounts/account.ts'
import { createAccountDeletion } from '../accounts/account-deletion.ts'
import { createAccountExport } from '../accounts/account-export.ts'
import { createAccountStore } from '../accounts/account-store.ts'
import { createAccounts } from '../accounts/accounts.ts'
import { createAuthentication } from '../accounts/authentication.ts'
import { createEmailChange, EMAIL_CHANGE, EMAIL_CHANGE_NOTICE } from '../accounts/email-change.ts'
import { createEmailChangeStore } from '../accounts/email-change-store.ts'
import { createHashPool } from '../accounts/hash-pool.ts'
import { createKnownDevices } from '../accounts/known-device.ts'
import { createProveOwner } from '../accounts/own-password.ts'
import { createChangePassword } from '../accounts/password-change.ts'
import { createPasswordNotice, PASSWORD_NOTICE } from '../accounts/password-notice.ts'
import { createPasswordPolicy } from '../accounts/password-policy.ts'
import { createPendingStore } from '../accounts/pending-store.ts'
import { createProfile } from '../accounts/profile.ts'
import { createRegistration, REGISTRATION } from '../accounts/registration.ts'
import { createRememberedAccounts } from '../accounts/remembered-accounts.ts'
import { createSignInStore } from '../accounts/sign-in-store.ts'
import { createSignIns } from '../accounts/sign-ins.ts'
import { createAccountAdministration } from '../admin/account-administration.ts'
import { createAuditLog } from '../audit/audit-log.ts'
import { createAuditStore } from '../audit/audit-store.ts'
import { BUILT_IN_CLIENT, builtInClient, docsClient } from '../clients/built-in-client.ts'
import { createClientAdministration } from '../clients/client-administration.ts'
import { createClientStore } from '../clients/client-store.ts'
import { type CheckClientMetadata, createClients } from '../clients/clients.ts'
import { type Clock, systemClock } from '../clock.ts'
import { createCodeStore } from '../codes/code-store.ts'
import { createOneTimeCodes } from '../codes/one-time-code.ts'
import type { Config } from '../config.ts'
import { docsCallback } from '../http/docs.ts'
import { createTranslator } from '../i18n.ts'
import { createLimits } from '../limits/limits.ts'
import { createFileMailbox } from '../mail/file-mailbox.ts'
import { createMailer } from '../mail/mailer.ts'
import { createOutbox } from '../mail/outbox.ts'
import { createOutboxStore } from '../mail/outbox-store.ts'
import { createSmtp } from '../mail/smtp.ts'
import { createTemplates } from '../mail/templates.ts'
import type { Logger } from '../observability/logger.ts'
import { createConnectedGrants } from '../oidc/connected-grants.ts'
import type { Keyring } from '../oidc/keystore.ts'
import { longestLives } from '../oidc/lives.ts'
import { createPermissionChangeStore } from '../oidc/permission-change-store.ts'
import { createRevocation } from '../oidc/revocation.ts'
import { createRevocationFeed } from '../oidc/revocation-feed.ts'
import { createRevocationFloorStore } from '../oidc/revocation-floor-store.ts'
import { createRevocationStream } from '../oidc/revocation-stream.ts'
import { createRevocationWriter } from '../oidc/revocation-writer.ts'
import { createSessionEnds } from '../oidc/session-ends.ts'
import { createSignInClock } from '../oidc/sign-in-clock.ts'
import { createPasswordReset, PASSWORD_RESET } from '../password-reset/password-reset.ts'
import { createApplications } from '../sessions/applications.ts'
import { presentSession } from '../sessions/presentation.ts'
import { createSessionStore } from '../sessions/session-store.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createLocalAnnouncements } from '../storage/announcements.ts'
import { createSqlEphemeral } from '../storage/ephemeral-sql.ts'
import type { Executor } from '../storage/tables.ts'
import { createTeamStore } from '../teams/team-store.ts'
import { createTeams } from '../teams/teams.ts'
import { createVisibility } from '../visibility/visibility.ts'
import { createVisibilityStore } from '../visibility/visibility-store.ts'

import { derived } from './keys.ts'
import type { Stores } from './stores.ts'

/** Under which processes tell each other of writes that decisions rest on. */
const ACCESS_TOPIC = 'access'

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))

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
    const { createClientMetadataCheck } = await import('../oidc/client-metadata-check.ts')
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
