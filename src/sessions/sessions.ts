/**
 * Where an account is signed in, and the ways to end it. What a session is made of belongs to the protocol, which tells
 * through `remember` and is told through ports; it also says which of the remembered ones are still alive.
 */
import { LRUCache } from 'lru-cache'
import { type AuditEvent, type AuditNote, owner, type Traces } from '../audit-event.ts'
import { type Clock, systemClock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { OwnSession } from '../http/authenticate.ts'
import type { ListPosition } from '../storage/ephemeral.ts'
import { type NewSession, type Session, type SessionRef, sessionRefOf } from './session.ts'
import type { SessionStore } from './session-store.ts'

export interface SessionsDeps {
  store: SessionStore
  /** Which of these sessions of an account are alive, in the order asked. */
  areAlive(accountId: string, sessions: readonly Session[]): Promise<boolean[]>
  /** Ends what an id names, with every token; false when the account has no such session. Safe to repeat. */
  end(accountId: string, session: SessionRef): Promise<boolean>
  /** Ends everything of an account, or everything but one session; throws when that one has been ended meanwhile. */
  revokeSubject(accountId: string, options?: { except?: OwnSession }): Promise<void>
  note: AuditNote
  /** The name people know a client by. */
  clientNameOf(clientId: string): Promise<string | undefined>
  clock?: Clock
}

/** A session as shown to its owner. */
export interface SessionView {
  id: string
  /** Whether it is the one that asks. */
  isCurrent: boolean
  kind: 'browser' | 'grant'
  clientId: string | undefined
  clientName: string | undefined
  browser: string | undefined
  system: string | undefined
  address: string
  firstSeenAt: Date
  lastSeenAt: Date
}

export interface SessionPage {
  items: SessionView[]
  /** Where the next page begins; undefined at the end. */
  next: ListPosition | undefined
}

export type Sessions = ReturnType<typeof createSessions>

/** How exactly the last use is known: what is used all the time is written once in this time, not at every use. */
const LAST_USE_MS = 60_000
const MAX_NOTED = 20_000

const notedKey = (accountId: string, id: string): string => `${accountId} ${id}`

export function createSessions(deps: SessionsDeps) {
  const { store, clock = systemClock } = deps
  /** When the last use of a session was written. */
  const noted = new LRUCache<string, number>({ max: MAX_NOTED })

  async function remember(session: NewSession): Promise<void> {
    const key = notedKey(session.accountId, session.id)
    const nowMs = clock.now()
    const agoMs = nowMs - (noted.get(key) ?? Number.NEGATIVE_INFINITY)
    if (agoMs >= 0 && agoMs < LAST_USE_MS) return
    // What is not written again for so long must not fall off the list before its tokens die.
    await store.save({ ...session, ttlSeconds: session.ttlSeconds + LAST_USE_MS / 1_000 })
    noted.set(key, nowMs)
  }

  /** One that is used again after all is put back. */
  async function takeOff(accountId: string, ids: readonly string[]): Promise<void> {
    await store.remove(accountId, ids)
    for (const id of ids) noted.delete(notedKey(accountId, id))
  }

  async function end(accountId: string, id: string): Promise<boolean> {
    const ref = sessionRefOf(id)
    if (!ref || !(await deps.end(accountId, ref))) return false
    await takeOff(accountId, [id])
    return true
  }

  /** The living of one stored page; the others are taken off the list, which nobody else does. */
  async function livingOf(accountId: string, sessions: readonly Session[]): Promise<Session[]> {
    if (sessions.length === 0) return []
    const alive = await deps.areAlive(accountId, sessions)
    const gone = sessions.filter((_, place) => !alive[place]).map(({ id }) => id)
    if (gone.length > 0) await takeOff(accountId, gone)
    return sessions.filter((_, place) => alive[place])
  }

  const present = async (session: Session, currentId: string | undefined): Promise<SessionView> => ({
    id: session.id,
    isCurrent: session.id === currentId,
    kind: session.id.startsWith('s.') ? 'browser' : 'grant',
    clientId: session.clientId,
    clientName: session.clientId === undefined ? undefined : await deps.clientNameOf(session.clientId),
    browser: session.browser,
    system: session.system,
    address: session.address,
    firstSeenAt: new Date(session.signedInAtMs),
    lastSeenAt: new Date(session.lastSeenAtMs),
  })

  async function list(
    accountId: string,
    { limit, before, currentId }: { limit: number; before?: ListPosition | undefined; currentId?: string | undefined },
  ): Promise<SessionPage> {
    const living: Session[] = []
    let position = before
    // One more than asked for tells whether there is a next page. The list is finite, and every round moves on.
    for (;;) {
      const stored = await store.page(accountId, { limit: limit + 1, before: position })
      living.push(...(await livingOf(accountId, stored)))
      const last = stored.at(-1)
      position = last && { usedAtMs: last.lastSeenAtMs, member: last.id }
      if (stored.length <= limit || living.length > limit) break
    }
    const shown = living.slice(0, limit)
    const last = living.length > limit ? shown.at(-1) : undefined
    return {
      items: await Promise.all(shown.map((session) => present(session, currentId))),
      next: last && { usedAtMs: last.lastSeenAtMs, member: last.id },
    }
  }

  async function all(accountId: string): Promise<SessionView[]> {
    const views: SessionView[] = []
    let before: ListPosition | undefined
    do {
      const page = await list(accountId, { limit: 100, before })
      views.push(...page.items)
      before = page.next
    } while (before)
    return views
  }

  const endOthers = (accountId: string, except: OwnSession): Promise<void> => deps.revokeSubject(accountId, { except })

  return {
    /** Records a sign-in, or that a session was used: the first sight of it stays, the last use is of this minute. */
    remember,

    /** A page of living sessions, most recently used first. Throws Unavailable (503). */
    list,

    /** All that are shown, for the owner's own copy of what is held. */
    all,

    /** Ends one session with every token of it. Throws not_found (404) when it is no living session of the account. */
    async endOne(accountId: string, id: string, traces?: Traces): Promise<void> {
      if (!(await end(accountId, id))) throw new AppError('not_found', 404, 'There is no such session.')
      await deps.note(owner(accountId, traces), ended(accountId, 'account.session_ended', { session_id: id }))
    },

    /** Ends a session if it is still there, as when its owner signs out. */
    end,

    /**
     * Ends every session and token of the account but those of one session. Throws unauthenticated (401), and ends
     * nothing, when that one has been ended meanwhile.
     */
    endOthers,

    /** The same by the owner's own wish, which is recorded. */
    async endOthersAsWished(accountId: string, except: OwnSession, traces?: Traces): Promise<void> {
      await endOthers(accountId, except)
      await deps.note(owner(accountId, traces), ended(accountId, 'account.other_sessions_ended'))
    },

    /** Ends every session and token of the account. */
    endAll: (accountId: string): Promise<void> => deps.revokeSubject(accountId),
  }
}

const ended = (accountId: string, action: AuditEvent['action'], after?: object): AuditEvent => ({
  action,
  target: { kind: 'account', id: accountId },
  after,
})
