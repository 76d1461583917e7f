/**
 * Revocation: what makes a signed token die before its time. A token, a grant or a session is dead by its name; a
 * not-before floor of an account or a client kills everything that stems from a sign-in up to an instant, except one
 * session where somebody ends all the others.
 *
 * Every revocation is written to the durable store first, then as a mark beside the tokens' own records, then told to all
 * processes. Whoever gets an error may repeat the call; the revocation may be in force already. A token is looked up in
 * memory while that is known to be complete (revocation-feed.ts), else by its marks in one round trip, and by the durable
 * store when the marks may have been lost.
 */
import type { AdapterPayload } from 'oidc-provider'
import { type Clock, epochSeconds } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { OwnSession } from '../http/authenticate.ts'
import { browserSessionId, grantSessionId } from '../sessions/session.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { type Journal, SEAL_KEY } from '../storage/journal.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { accountFloorKey, deniedSessionKey, grantKeys } from './ephemeral-keys.ts'
import { kills, markKeyOf, namesOf, type Origin, type Revoked } from './revocation-entry.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import type { RevocationFloorStore, Wish } from './revocation-floor-store.ts'
import { createRevocationMending } from './revocation-mending.ts'
import { keysOf } from './revocation-set.ts'
import type { Lineage } from './sign-in-lineage.ts'
import type { AccessTokenClaims } from './token-formats.ts'

/** Marks outlive what they kill by this much. */
const LEEWAY_SECONDS = 60
/** A revocation that was interrupted is made up for after an outage of this length. */
const MENDED_SECONDS = 86_400

export interface RevocationDeps {
  db: Database
  store: RevocationFloorStore
  ephemeral: Ephemeral
  journal: Journal
  feed: RevocationFeed
  /** Writes one wish to the durable store; undefined when it was refused. */
  write(wish: Wish): Promise<Revoked | undefined>
  clock: Clock
  /** The longest life of an access token, over all clients. */
  accessTokenSeconds: number
  /** The longest life of anything: grants, sessions and refresh tokens included. */
  grantSeconds: number
  /** The life of a browser session that is not used. */
  sessionSeconds: number
}

export interface TokenMarks {
  grantId: string | undefined
  sessionUid: string | undefined
  subject: string
  clientId: string
  /** When the sign-in began that it stems from. */
  issuedAtMs: number
}

const originOf = ({ grantId, sessionUid, subject, clientId, issuedAtMs }: TokenMarks): Origin => ({
  grantId,
  sessionUid,
  subject,
  clientId,
  sinceMs: issuedAtMs,
  sessionIds: [
    ...(grantId === undefined ? [] : [grantSessionId(grantId)]),
    ...(sessionUid === undefined ? [] : [browserSessionId(sessionUid)]),
  ],
})

/** The mark keys that can kill such a token, and the rule that reads their values. */
export function marksOf(token: TokenMarks): {
  keys: string[]
  /** `sessionUid` where it became known only with the values. */
  isDead(values: readonly (string | undefined)[], sessionUid?: string): boolean
} {
  const names = namesOf(originOf(token))
  return {
    keys: names.map(markKeyOf),
    isDead: (values, sessionUid = token.sessionUid) => {
      const origin = originOf({ ...token, sessionUid })
      return names.some(({ kind }, place) => isDeadBy(kind, values[place], origin))
    },
  }
}

const isDeadBy = (kind: Revoked['kind'], mark: string | undefined, { sinceMs, sessionIds }: Origin): boolean =>
  kind === 'account' || kind === 'client' ? isBelow(mark, sinceMs, sessionIds) : mark !== undefined

/** Whether what stems from a sign-in at `sinceMs`, known by these session ids, lies below a stored floor. */
export function isBelow(floor: string | undefined, sinceMs: number, ids: readonly string[]): boolean {
  if (floor === undefined) return false
  const [instant, spared = NOBODY] = floor.split(' ')
  return sinceMs <= Number(instant) && !ids.includes(spared)
}

/** In the place of the session that a floor spares. No session id has this form. */
const NOBODY = '-'

interface Trace {
  origin: Origin
  keys: readonly string[]
}

/** A token whose signature is remembered is asked about many times. */
const traces = new WeakMap<AccessTokenClaims, Trace>()

function traceOf(claims: AccessTokenClaims): Trace {
  const known = traces.get(claims)
  if (known) return known
  const { gid: grantId, suid: sessionUid, sub: subject, client_id: clientId, ims: issuedAtMs } = claims
  const origin = { ...originOf({ grantId, sessionUid, subject, clientId, issuedAtMs }), tokenId: claims.jti }
  const trace = { origin, keys: keysOf(origin) }
  traces.set(claims, trace)
  return trace
}

export type Revocation = ReturnType<typeof createRevocation>

export function createRevocation(deps: RevocationDeps) {
  const { db, store, ephemeral, journal, feed, clock } = deps
  const tokenLife = deps.accessTokenSeconds + LEEWAY_SECONDS
  const floorLife = deps.grantSeconds + LEEWAY_SECONDS
  /** What is in force but could not be carried out, and is tried again by finish. */
  const unfinished = new Set<Revoked>()
  const reused = new Set<string>()
  const mending = createRevocationMending({
    ephemeral,
    journal,
    feed,
    tokenSeconds: tokenLife,
    sessionSeconds: deps.sessionSeconds + LEEWAY_SECONDS,
  })

  async function revoke(wish: Wish): Promise<void> {
    const revoked = await deps.write(wish)
    if (!revoked) throw ended()
    feed.learn(revoked)
    await carryOut(revoked)
  }

  async function carryOut(revoked: Revoked): Promise<void> {
    try {
      await mending.carryOutAll([revoked])
      unfinished.delete(revoked)
    } catch (error) {
      if (unfinished.size < MAX_UNFINISHED) unfinished.add(revoked)
      throw error
    }
  }

  const revokeGrant = (grantId: string): Promise<void> =>
    revoke({ kind: 'grant', id: grantId, tokensLiveSeconds: tokenLife, liveSeconds: tokenLife + MENDED_SECONDS })

  const floorOf = (kind: 'account' | 'client', id: string, except?: OwnSession): Wish => ({
    kind,
    id,
    notBeforeMs: clock.now(),
    sparing: except && { sessionId: except.id, signedInAtMs: except.signedInAtMs },
    tokensLiveSeconds: tokenLife,
    liveSeconds: floorLife,
  })
  const raiseFloor = (kind: 'account' | 'client', id: string, except?: OwnSession): Promise<void> =>
    revoke(floorOf(kind, id, except))

  /** Whether something of this origin has been revoked. No round trip while memory is complete, else one. */
  async function isRevoked(origin: Origin, keys: readonly string[] = keysOf(origin)): Promise<boolean> {
    feed.start()
    if (feed.set.denies(origin, keys)) return true
    if (feed.isFresh()) return false
    const names = namesOf(origin)
    const [seal, ...marks] = await ephemeral.get([SEAL_KEY, ...names.map(markKeyOf)])
    if (names.some(({ kind }, place) => isDeadBy(kind, marks[place], origin))) return true
    if (!feed.marksMayBeLost || seal !== undefined) return false
    return (await store.find(db, names)).some((revoked) => kills(revoked, origin))
  }

  /** Finishes what a failed store has interrupted. Throws Unavailable (503). */
  async function finish(): Promise<void> {
    for (const revoked of unfinished) await carryOut(revoked)
    await mending.mendLate()
    for (const grantId of reused) {
      await revokeGrant(grantId)
      reused.delete(grantId)
    }
  }
  feed.onReturn(finish)

  return {
    finish,

    mendOnce: mending.mendOnce,

    /** The keys of a grant for the store's own revoking verbs. */
    grantKeys: (grantId: string) => grantKeys(grantId, tokenLife),

    /** The same as denies, without waiting: undefined while only a store could say. */
    deniesNow(claims: AccessTokenClaims): boolean | undefined {
      feed.start()
      const { origin, keys } = traceOf(claims)
      if (feed.set.denies(origin, keys)) return true
      return feed.isFresh() ? false : undefined
    },

    /** Whether a genuine access token has been revoked. No round trip while memory is complete, else one. */
    denies(claims: AccessTokenClaims): Promise<boolean> {
      const { origin, keys } = traceOf(claims)
      return isRevoked(origin, keys)
    },

    /**
     * Whether the sign-in behind a refresh token family has been ended within the life of an access token; what was ended
     * before is known by marks alone. `sessionUid` is a session that a floor may spare, but whose end does not end the
     * family. No round trip while memory is complete, else one.
     */
    deniesFamily: (token: TokenMarks, sessionUid: string | undefined): Promise<boolean> =>
      isRevoked({ ...originOf({ ...token, sessionUid }), sessionUid: undefined }),

    /** Whether a stored browser session has been ended. One round trip, none before somebody has signed in. */
    async deniesSession(session: AdapterPayload & Lineage): Promise<boolean> {
      const { uid, accountId, signedInAtMs = 0 } = session
      if (!uid || !accountId) return false
      const sessionIds = [browserSessionId(uid)]
      if (feed.set.denies({ sessionUid: uid, subject: accountId, sinceMs: signedInAtMs, sessionIds })) return true
      const [floor, mark] = await ephemeral.get([accountFloorKey(accountId), deniedSessionKey(uid)])
      return mark !== undefined || isBelow(floor, signedInAtMs, sessionIds)
    },

    /** Whether the sign-in behind a stored code has been ended. No round trip while memory is complete, else one. */
    deniesCode(code: AdapterPayload & Lineage): Promise<boolean> {
      const { accountId = '', clientId = '', grantId, sessionUid, signedInAtMs = 0 } = code
      return isRevoked(originOf({ subject: accountId, clientId, grantId, sessionUid, issuedAtMs: signedInAtMs }))
    },

    /** Kills one access token. RFC 7009 section 2.1. Throws Unavailable (503). */
    async revokeToken({ jti, exp }: { jti: string; exp?: number }): Promise<void> {
      const leftSeconds = exp === undefined ? deps.accessTokenSeconds : exp - epochSeconds(clock)
      const seconds = Math.min(Math.max(0, leftSeconds), deps.accessTokenSeconds) + LEEWAY_SECONDS
      await revoke({ kind: 'token', id: jti, tokensLiveSeconds: seconds, liveSeconds: seconds })
    },

    /**
     * Kills a grant: its codes, its refresh token families and its access tokens, in one step. Idempotent.
     * Throws Unavailable (503).
     */
    revokeGrant,

    /** Tells everybody of a grant that the store itself has revoked, because one of its refresh tokens was used again. */
    async revokeReused(grantId: string): Promise<void> {
      try {
        await revokeGrant(grantId)
      } catch (error) {
        // Nobody can repeat this: the tokens that would show it again are gone.
        if (reused.size < MAX_UNFINISHED) reused.add(grantId)
        throw error
      }
    },

    /** Kills a browser session and what lives only as long as it. Throws Unavailable (503). */
    revokeSession: (uid: string): Promise<void> =>
      revoke({ kind: 'session', id: uid, tokensLiveSeconds: tokenLife, liveSeconds: tokenLife + MENDED_SECONDS }),

    /**
     * Kills everything that stems from sign-ins of a subject until now; `except` is the one session to spare, and when it
     * has been ended meanwhile nothing is done: unauthenticated (401). Throws Unavailable (503).
     */
    revokeSubject: (subject: string, { except }: { except?: OwnSession } = {}): Promise<void> =>
      raiseFloor('account', subject, except),

    /**
     * Writes a floor as a part of a larger write, which kills when that is committed: at once for services, which are
     * told from the durable store, and here when revokeSubject or revokeClient follows or the store is read again.
     */
    raiseFloorWithin: (executor: Executor, kind: 'account' | 'client', id: string): Promise<unknown> =>
      store.raise(executor, [floorOf(kind, id)]),

    /** Kills everything issued to a client until now. Throws Unavailable (503). */
    revokeClient: (clientId: string): Promise<void> => raiseFloor('client', clientId),
  }
}

const MAX_UNFINISHED = 10_000

const ended = () => new AppError('unauthenticated', 401, 'This session has ended. Sign in again.')
