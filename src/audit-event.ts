/** What is recorded of every change: who did what to whom. */

/** Who acts. `operator` is whoever runs commands on the server's machine; `system` the server by itself. */
export interface Actor {
  kind: 'account' | 'client' | 'operator' | 'system'
  /** The account or client. */
  id?: string
  /** Through which client an account acts. */
  clientId?: string
  requestId?: string
  address?: string
  /** By what right an account may do this; a write is refused when it has lost it by then. */
  admittedBy?: Admission
}

/** What somebody was let in by; one of the two. */
export interface Admission {
  /** Holding one of these. */
  permissions?: readonly string[]
  /** Managing the team of this id. */
  teamId?: string
}

export const OPERATOR: Actor = { kind: 'operator' }
export const SYSTEM: Actor = { kind: 'system' }

/** What a request leaves behind of where it came from. */
export type Traces = Pick<Actor, 'clientId' | 'requestId' | 'address'>

/** An account that acts for itself. */
export const owner = (id: string, { clientId, requestId, address }: Traces = {}): Actor => ({
  kind: 'account',
  id,
  ...(clientId === undefined ? {} : { clientId }),
  ...(requestId === undefined ? {} : { requestId }),
  ...(address === undefined ? {} : { address }),
})

export const AUDIT_TARGETS = [
  'account',
  'client',
  'grant',
  'key',
  'permission',
  'resource',
  'role',
  'session',
  'team',
  'visibility_group',
] as const
export type AuditTarget = (typeof AUDIT_TARGETS)[number]

export interface AuditEvent {
  /** A noun and what happened to it: `role.created`, `account.role_assigned`, `team.member_removed`. */
  action: `${string}.${string}`
  target: { kind: AuditTarget; id: string }
  /** What was and what is, as the API presents it; never a secret, a password or a hash. */
  before?: object | undefined
  after?: object | undefined
}

/** Keeps an event of what has happened already and cannot be undone; never throws. */
export type AuditNote = (actor: Actor, event: AuditEvent) => Promise<void>

/** Writes an event in the caller's own transaction: both are kept or neither is. */
export type AuditSink<Executor> = (executor: Executor, actor: Actor, event: AuditEvent) => Promise<void>
