/**
 * Every write that a decision may rest on goes through here: one transaction that moves the version first, so that writers
 * follow one another, nobody's rights change while they are looked at, and other processes learn what to forget.
 */
import type { Actor, AuditEvent, AuditSink } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import { isUuid } from '../ids.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { afterCommit, inTransaction } from '../storage/transaction.ts'
import type { AccessChangeStore, Touch } from './access-change-store.ts'
import { ALL_ALL } from './permission.ts'

export interface AccessChangesDeps {
  db: Database
  store: AccessChangeStore
  audit: AuditSink<Executor>
  /** Tells every process that there is a new version; a hint that may be lost. */
  announce(): void
}

/** One write while it is made. */
export interface Change {
  executor: Executor
  actor: Actor
  /** Decisions about this may differ from now on. */
  touch(kind: Touch['kind'], subject: string): void
  record(event: AuditEvent): Promise<void>
  /** Whether the actor holds all of these; whoever acts on the server's own machine does. */
  holds(permissions: Iterable<string>): Promise<boolean>
  /** Nobody gives, takes or edits what they do not hold. Throws forbidden (403) naming what is missing. */
  requireHolds(permissions: Iterable<string>): Promise<void>
  /** Nobody edits an account that holds more than they do. Throws forbidden (403). */
  requireOver(accountId: string): Promise<void>
}

/** The permissions of the actor of one write. */
type Holding = () => Promise<ReadonlySet<string>>

export type AccessChanges = ReturnType<typeof createAccessChanges>

export function createAccessChanges({ db, store, audit, announce }: AccessChangesDeps) {
  async function within<T>(executor: Executor, actor: Actor, work: (change: Change) => Promise<T>): Promise<T> {
    const version = await store.advance(executor)
    const touches = new Map<string, Touch>()
    const held = holdingOf(executor, actor)
    const isUnbounded = boundlessOf(actor, held)
    const missing = async (permissions: Iterable<string>): Promise<string[]> => {
      if (await isUnbounded()) return []
      const own = await held()
      return [...permissions].filter((key) => !own.has(key))
    }
    await refuseLate(executor, actor, held)
    const requireHolds = async (permissions: Iterable<string>): Promise<void> => {
      const lacking = await missing(permissions)
      if (lacking.length > 0) throw beyondOwn(lacking)
    }
    const answer = await work({
      executor,
      actor,
      touch: (kind, subject) => touches.set(`${kind} ${subject}`, { kind, subject }),
      record: (event) => audit(executor, actor, event),
      holds: async (permissions) => (await missing(permissions)).length === 0,
      requireHolds,
      async requireOver(accountId) {
        if (!(await isUnbounded())) await requireHolds(await store.permissionKeysOf(executor, accountId))
      },
    })
    await store.note(executor, version, [...touches.values()])
    if (touches.size > 0) afterCommit(announce)
    return answer
  }

  /** What the actor holds, read once in the transaction. */
  function holdingOf(executor: Executor, { kind, id }: Actor): Holding {
    let reading: Promise<Set<string>> | undefined
    const read = async () => new Set(kind === 'account' && isUuid(id) ? await store.heldBy(executor, id) : [])
    return () => {
      reading ??= read()
      return reading
    }
  }

  /** Whether nothing is beyond the actor, whatever it is. */
  function boundlessOf({ kind }: Actor, held: Holding): () => Promise<boolean> {
    if (kind === 'operator' || kind === 'system') return async () => true
    return async () => (await held()).has(ALL_ALL)
  }

  /** Whoever was let in may have lost the right by a write that came first. */
  async function refuseLate(executor: Executor, { id = '', admittedBy = {} }: Actor, held: Holding): Promise<void> {
    const { permissions, teamId } = admittedBy
    if (permissions) {
      const own = await held()
      if (own.has(ALL_ALL) || permissions.some((key) => own.has(key))) return
    } else if (teamId === undefined || (isUuid(teamId) && (await store.manages(executor, id, teamId)))) return
    throw new AppError('forbidden', 403, 'You may not do this any more.')
  }

  return {
    /** Makes a write in a transaction of its own. */
    change: <T>(actor: Actor, work: (change: Change) => Promise<T>): Promise<T> =>
      inTransaction(db, (executor) => within(executor, actor, work)),

    /** Makes a write as part of the caller's transaction. */
    within,

    /**
     * For a write of another room about an account, first of all in its transaction: decisions about the account may
     * differ from then on.
     */
    async touchAccount(executor: Executor, accountId: string): Promise<void> {
      await store.advanceTouching(executor, { kind: 'account', subject: accountId })
      afterCommit(announce)
    },
  }
}

const MAX_NAMED = 10

function beyondOwn(permissions: readonly string[]): AppError {
  const named = permissions.slice(0, MAX_NAMED)
  return new AppError('forbidden', 403, 'Nobody can give or change more than they hold themselves.', {
    faults: named.map((key) => ({ pointer: '', message: `you do not hold ${key}` })),
  })
}
