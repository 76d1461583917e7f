/**
 * Deny marks: what makes a signed token die before its time. A mark names a token, a grant or a session; a not-before
 * floor names a subject or a client and kills everything that stems from a sign-in up to an instant, except one session
 * where somebody ends all the others. Marks are written here and read with
 * every look at a token, in one round trip.
 */
import type { AdapterPayload } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import { AppError, Unavailable } from '../errors.ts'
import type { OwnSession } from '../http/authenticate.ts'
import { browserSessionId, grantSessionId } from '../sessions/session.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import {
  accountFloorKey,
  clientFloorKey,
  deniedGrantKey,
  deniedSessionKey,
  deniedTokenKey,
  grantKeys,
} from './ephemeral-keys.ts'
import type { Lineage } from './sign-in-lineage.ts'
import type { AccessTokenClaims } from './token-formats.ts'

/** Marks outlive what they kill by this much. */
const LEEWAY_SECONDS = 60
const RAISE_ATTEMPTS = 50

export interface RevocationDeps {
  ephemeral: Ephemeral
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

/** The mark keys that can kill such a token, and the rule that reads their values. */
export function marksOf(token: TokenMarks): {
  keys: string[]
  /** `sessionUid` where it became known only with the values. */
  isDead(values: readonly (string | undefined)[], sessionUid?: string): boolean
} {
  const floors = [accountFloorKey(token.subject), clientFloorKey(token.clientId)]
  const marks = [
    ...(token.grantId === undefined ? [] : [deniedGrantKey(token.grantId)]),
    ...(token.sessionUid === undefined ? [] : [deniedSessionKey(token.sessionUid)]),
  ]
  return {
    keys: [...floors, ...marks],
    isDead(values, sessionUid = token.sessionUid) {
      const ids = [
        ...(token.grantId === undefined ? [] : [grantSessionId(token.grantId)]),
        ...(sessionUid === undefined ? [] : [browserSessionId(sessionUid)]),
      ]
      const isBelowFloor = values.slice(0, floors.length).some((floor) => isBelow(floor, token.issuedAtMs, ids))
      return isBelowFloor || values.slice(floors.length).some((mark) => mark !== undefined)
    },
  }
}

const instantOf = (floor: string | undefined): number => Number(floor?.split(' ')[0] ?? 0)

/** A floor as it is stored: its instant, and the session it spares. */
const floorAt = (ms: number, except: string | undefined): string => (except === undefined ? `${ms}` : `${ms} ${except}`)

/** Whether what stems from a sign-in at `sinceMs`, known by these session ids, lies below a stored floor. */
export function isBelow(floor: string | undefined, sinceMs: number, ids: readonly string[]): boolean {
  if (floor === undefined) return false
  const [, spared] = floor.split(' ')
  return sinceMs <= instantOf(floor) && (spared === undefined || !ids.includes(spared))
}

export type Revocation = ReturnType<typeof createRevocation>

export function createRevocation(deps: RevocationDeps) {
  const { ephemeral, clock } = deps
  const tokenLife = deps.accessTokenSeconds + LEEWAY_SECONDS
  const floorLife = deps.grantSeconds + LEEWAY_SECONDS
  /**
   * A floor is never lowered, and spares only who is not below it already: a session that is being ended cannot save
   * itself by ending the others at the same time.
   */
  const raiseFloor = async (key: string, except?: OwnSession): Promise<void> => {
    for (let attempt = 0; attempt < RAISE_ATTEMPTS; attempt += 1) {
      const [current] = await ephemeral.get([key])
      if (except && isBelow(current, except.signedInAtMs, [except.id])) throw ended()
      const raised = floorAt(Math.max(clock.now(), instantOf(current)), except?.id)
      if (await ephemeral.swap(key, current, raised, { ttlSeconds: floorLife })) return
    }
    throw new Unavailable('a not-before floor that many are raising')
  }

  return {
    /** The keys of a grant for the store's own revoking verbs. */
    grantKeys: (grantId: string) => grantKeys(grantId, tokenLife),

    /** Whether a genuine access token has been revoked. One round trip. */
    async denies(claims: AccessTokenClaims): Promise<boolean> {
      const marks = marksOf({
        grantId: claims.gid,
        sessionUid: claims.suid,
        subject: claims.sub,
        clientId: claims.client_id,
        issuedAtMs: claims.ims,
      })
      const [own, ...values] = await ephemeral.get([deniedTokenKey(claims.jti), ...marks.keys])
      return own !== undefined || marks.isDead(values)
    },

    /** Whether a stored browser session has been ended. One round trip, none before somebody has signed in. */
    async deniesSession(session: AdapterPayload & Lineage): Promise<boolean> {
      const { uid, accountId, signedInAtMs = 0 } = session
      if (!uid || !accountId) return false
      const [floor, mark] = await ephemeral.get([accountFloorKey(accountId), deniedSessionKey(uid)])
      return mark !== undefined || isBelow(floor, signedInAtMs, [browserSessionId(uid)])
    },

    /** Whether the sign-in behind a stored code has been ended. One round trip. */
    async deniesCode(code: AdapterPayload & Lineage): Promise<boolean> {
      const { accountId = '', clientId = '', grantId, sessionUid, signedInAtMs = 0 } = code
      const marks = marksOf({ subject: accountId, clientId, grantId, sessionUid, issuedAtMs: signedInAtMs })
      return marks.isDead(await ephemeral.get(marks.keys))
    },

    /** Kills one access token. RFC 7009 section 2.1. */
    async revokeToken(jti: string): Promise<void> {
      await ephemeral.put(deniedTokenKey(jti), '1', { ttlSeconds: tokenLife })
    },

    /** Kills a grant: its codes, its refresh token families and its access tokens, in one step. Idempotent. */
    async revokeGrant(grantId: string): Promise<void> {
      await ephemeral.revokeGrant(grantKeys(grantId, tokenLife))
    },

    /**
     * Kills a browser session and what lives only as long as it. The mark lasts as long as the session might: a request
     * that was on its way may save it once more.
     */
    async revokeSession(uid: string): Promise<void> {
      await ephemeral.put(deniedSessionKey(uid), '1', { ttlSeconds: deps.sessionSeconds + LEEWAY_SECONDS })
    },

    /**
     * Kills everything that stems from sign-ins of a subject until now; `except` is the one session to spare, and when it
     * has been ended meanwhile nothing is done: unauthenticated (401).
     */
    revokeSubject: (subject: string, { except }: { except?: OwnSession } = {}): Promise<void> =>
      raiseFloor(accountFloorKey(subject), except),

    /** Kills everything issued to a client until now. */
    revokeClient: (clientId: string): Promise<void> => raiseFloor(clientFloorKey(clientId)),
  }
}

const ended = () => new AppError('unauthenticated', 401, 'This session has ended. Sign in again.')
