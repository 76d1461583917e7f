/** The rows of the durable store, as Kysely sees them. The migrations are the truth; a test compares. */
import type { ColumnType, Generated, Kysely, Transaction } from 'kysely'

/** jsonb: read as a value, written as JSON text. */
type Json<T> = ColumnType<T, string, string>
type Instant = ColumnType<Date, Date | string | undefined, Date | string>

export interface AccountsTable {
  /** UUIDv7. */
  id: string
  /** As typed; unique without regard to case. */
  email: string
  email_verified: Generated<boolean>
  /** Unique without regard to case; never contains an @. */
  username: string | null
  /** PHC string, or null for an account without a password. */
  password_hash: string | null
  first_name: string | null
  last_name: string | null
  /** BCP 47. */
  locale: string | null
  status: Generated<'active' | 'disabled'>
  /** The other standard claims of OpenID Connect Core section 5.1, by their names. */
  profile: Json<Record<string, unknown>>
  /** Extra attributes of the deployment's own. */
  attributes: Json<Record<string, unknown>>
  deletion_due_at: Date | null
  created_at: Instant
  updated_at: Instant
}

export interface SignInsTable {
  /** UUIDv7. */
  id: string
  account_id: string
  outcome: 'succeeded' | 'wrong_password' | 'disabled'
  client_id: string
  address: string
  user_agent: string
  created_at: Instant
  expires_at: Instant
}

/** A protected kind of thing, and the resource server it belongs to. */
export interface ResourcesTable {
  id: string
  key: string
  description: Generated<string>
  /** The `aud` of tokens for its resource server. */
  audience: string | null
  /** Whether tokens for that audience carry permissions. */
  permissions_claim: Generated<boolean>
  created_at: Instant
  updated_at: Instant
}

export interface PermissionsTable {
  id: string
  /** Never changes. */
  key: string
  description: Generated<string>
  resource_id: string | null
  created_at: Instant
  updated_at: Instant
}

export interface RolesTable {
  id: string
  key: string
  description: Generated<string>
  /** System roles can be neither deleted nor renamed. */
  is_system: Generated<boolean>
  created_at: Instant
  updated_at: Instant
}

export interface RolePermissionsTable {
  role_id: string
  permission_id: string
}

/** The edges of the graph of roles, which has no cycle. */
export interface RoleIncludesTable {
  role_id: string
  included_id: string
  created_at: Instant
}

/** The graph flattened: every role reaches itself and whatever it includes. */
export interface RoleClosureTable {
  role_id: string
  included_id: string
}

/** Permissions given without a role. */
export interface AccountPermissionsTable {
  account_id: string
  permission_id: string
  created_at: Instant
}

export interface TeamsTable {
  id: string
  key: string
  description: Generated<string>
  parent_id: string | null
  created_at: Instant
  updated_at: Instant
}

/** Every team with itself and the teams above it. */
export interface TeamClosureTable {
  team_id: string
  ancestor_id: string
}

export interface TeamMembersTable {
  team_id: string
  account_id: string
  is_manager: Generated<boolean>
  created_at: Instant
}

export interface TeamRolesTable {
  team_id: string
  role_id: string
  created_at: Instant
}

export interface VisibilityGroupsTable {
  id: string
  key: string
  description: Generated<string>
  /** Null for the root alone. */
  parent_id: string | null
  created_at: Instant
  updated_at: Instant
}

/** Every group with itself and the groups above it. */
export interface VisibilityClosureTable {
  group_id: string
  ancestor_id: string
}

/** Who is in which group; whoever has no row is in the root. */
export interface VisibilityMembersTable {
  account_id: string
  group_id: string
  created_at: Instant
}

/** One row: moved by every write that a decision may rest on, and locked until that write is committed. */
export interface AccessVersionTable {
  id: Generated<number>
  /** A bigint arrives as text. */
  version: ColumnType<string, string | number, string | number>
}

/** What each version touched, so that other processes forget exactly that. */
export interface AccessChangesTable {
  version: ColumnType<string, string | number, string | number>
  place: number
  kind: 'account' | 'role' | 'team' | 'resource' | 'visibility_group' | 'visibility_member'
  /** Id of what was touched. */
  subject: string
  created_at: Instant
}

/** Who changed what. Never updated. */
export interface AuditEventsTable {
  /** UUIDv7. */
  id: string
  actor_kind: 'account' | 'client' | 'operator' | 'system'
  actor_id: string | null
  client_id: string | null
  action: string
  target_kind: string
  target_id: string
  before: ColumnType<object | null, string | null, never>
  after: ColumnType<object | null, string | null, never>
  request_id: string | null
  address: string | null
  created_at: Instant
}

export interface AccountRolesTable {
  account_id: string
  role_id: string
  created_at: Instant
}

export interface ClientsTable {
  /** Never in the form of an account id. */
  id: string
  name: string
  type: 'web' | 'spa' | 'native' | 'machine'
  /** HMAC-SHA-256 of the secret; null for public clients and private_key_jwt. */
  secret_digest: string | null
  first_party: Generated<boolean>
  require_pkce: Generated<boolean>
  grant_types: Json<string[]>
  redirect_uris: Json<string[]>
  post_logout_redirect_uris: Json<string[]>
  /** OpenID scopes and API scopes alike. */
  scopes: Json<string[]>
  /** The `aud` of its access tokens when it names no resource; null: the server's own. */
  audience: string | null
  access_token_ttl_seconds: number | null
  refresh_token_ttl_seconds: number | null
  token_endpoint_auth_method: 'none' | 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'
  /** Every other member of RFC 7591 section 2 and OpenID registration (jwks, logo_uri, id_token_signed_response_alg …). */
  metadata: Json<Record<string, unknown>>
  created_at: Instant
  updated_at: Instant
}

/** One row per fact about the installation itself, such as "the first start has created its superuser". */
export interface InstallationTable {
  key: string
  value: string
  created_at: Instant
}

/** One row per mail that is still to be sent: an intent, never a text or a code. */
export interface OutboxTable {
  /** UUIDv7. */
  id: string
  kind: string
  email: string | null
  account_id: string | null
  data: Json<Record<string, string | number | boolean>>
  /** Counted when a worker takes the row, so that a crash counts too. */
  attempts: Generated<number>
  due_at: Generated<Date>
  /** Who is sending it now, and until when nobody else may. */
  lease_id: string | null
  leased_until: Date | null
  created_at: Generated<Date>
}

/** What has been revoked and may still be presented somewhere. */
export interface RevocationsTable {
  kind: 'token' | 'grant' | 'session' | 'account' | 'client'
  /** The jti, grant id, session uid, account id or client id. */
  id: string
  /** Of accounts and clients: what stems from a sign-in up to then is dead. */
  not_before_ms: string | null
  /** The one session of the account that is spared. */
  except_session: string | null
  /** New with every write of the row. A bigint arrives as text. */
  seq: Generated<string>
  /** The transaction that wrote it last; an xid8 arrives as text. */
  txid: Generated<string>
  /** No access token that it kills lives longer. */
  tokens_expire_at: Instant
  expires_at: Instant
  created_at: Instant
}

export interface EphemeralRecordsTable {
  key: string
  value: string
  /** Null for plain records. */
  state: 'fresh' | 'taken' | 'done' | null
  index_key: string | null
  expires_at: Instant
}

export interface EphemeralFamiliesTable {
  key: string
  index_key: string
  current_digest: string
  previous_digest: string | null
  lease_id: string | null
  lease_until: Instant | null
  consumed_at: Instant | null
  data: string
  expires_at: Instant
}

export interface EphemeralBucketsTable {
  key: string
  tokens: number
  ok: boolean
  touched_at: Instant
  expires_at: Instant
}

export interface EphemeralMembersTable {
  index_key: string
  member: string
  value: string
  /** Milliseconds since the epoch, by the database's clock; a bigint arrives as text. */
  used_ms: string
  expires_at: Instant
}

export interface Tables {
  accounts: AccountsTable
  sign_ins: SignInsTable
  permissions: PermissionsTable
  roles: RolesTable
  role_permissions: RolePermissionsTable
  role_includes: RoleIncludesTable
  role_closure: RoleClosureTable
  resources: ResourcesTable
  account_roles: AccountRolesTable
  account_permissions: AccountPermissionsTable
  teams: TeamsTable
  team_closure: TeamClosureTable
  team_members: TeamMembersTable
  team_roles: TeamRolesTable
  visibility_groups: VisibilityGroupsTable
  visibility_closure: VisibilityClosureTable
  visibility_members: VisibilityMembersTable
  access_version: AccessVersionTable
  access_changes: AccessChangesTable
  audit_events: AuditEventsTable
  clients: ClientsTable
  installation: InstallationTable
  outbox: OutboxTable
  revocations: RevocationsTable
  ephemeral_records: EphemeralRecordsTable
  ephemeral_families: EphemeralFamiliesTable
  ephemeral_buckets: EphemeralBucketsTable
  ephemeral_members: EphemeralMembersTable
}

export type Database = Kysely<Tables>
/** What every store method takes: the database, or the transaction its caller has opened. */
export type Executor = Kysely<Tables> | Transaction<Tables>
