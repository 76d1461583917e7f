/** What lies behind the session ids of the sessions room: which of them are alive, and how each is ended at once. */
import type { AdapterPayload } from 'oidc-provider'
import { type Session, type SessionRef, sessionRefOf } from '../sessions/session.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import {
  accountFloorKey,
  clientFloorKey,
  deniedGrantKey,
  deniedSessionKey,
  grantKey,
  sessionUidKey,
} from './ephemeral-keys.ts'
import { decodeRecord } from './record-format.ts'
import { isBelow, type Revocation } from './revocation.ts'

/** What a stored grant or session tells here. */
interface Owned extends AdapterPayload {
  accountId?: string
  authorizations?: Record<string, { grantId?: string }>
}

export function createSessionEnds({ ephemeral, revocation }: { ephemeral: Ephemeral; revocation: Revocation }) {
  const recordAt = async (key: string | undefined): Promise<Owned | undefined> =>
    key === undefined ? undefined : decodeRecord<Owned>((await ephemeral.get([key]))[0])

  /** The marks come before the records, so that a repeat finds what an interrupted end has left. */
  async function endBrowserSession(accountId: string, uid: string): Promise<boolean> {
    const [key] = await ephemeral.get([sessionUidKey(uid)])
    const session = await recordAt(key)
    if (key === undefined || session?.accountId !== accountId) return false
    const grantIds = Object.values(session.authorizations ?? {}).flatMap(({ grantId }) => grantId ?? [])
    const isAlive = !(await revocation.deniesSession(session))
    await Promise.all([revocation.revokeSession(uid), ...grantIds.map((grantId) => revocation.revokeGrant(grantId))])
    await ephemeral.remove([key, sessionUidKey(uid)])
    return isAlive
  }

  async function endGrant(accountId: string, grantId: string): Promise<boolean> {
    const grant = await recordAt(grantKey(grantId))
    if (grant?.accountId !== accountId) return false
    await revocation.revokeGrant(grantId)
    return true
  }

  return {
    /**
     * Ends a browser session with all its grants, or a grant: cookies, refresh tokens and access tokens are dead at once.
     * False when the account has no such session. Safe to repeat.
     */
    end: (accountId: string, session: SessionRef): Promise<boolean> =>
      session.kind === 'browser' ? endBrowserSession(accountId, session.uid) : endGrant(accountId, session.grantId),

    /** Which of these are alive, in the order asked. Two round trips for any number of them. */
    async areAlive(accountId: string, sessions: readonly Session[]): Promise<boolean[]> {
      const keys = sessions.map(keysOf)
      const [accountFloor, ...found] = await ephemeral.get([accountFloorKey(accountId), ...keys.flat()])
      const rows = keys.map((own) => found.splice(0, own.length))
      // A browser session is found by its uid, which outlives it.
      const pointers = rows.map(([pointer], place) => (isBrowser(sessions[place]) ? pointer : undefined))
      const hasPointers = pointers.some((pointer) => pointer !== undefined)
      const records = hasPointers ? await ephemeral.get(pointers.map((pointer) => pointer ?? NOWHERE)) : []
      return sessions.map((session, place) => {
        const [record, mark, clientFloor] = rows[place] ?? []
        const isThere = isBrowser(session) ? records[place] !== undefined : record !== undefined
        const isBelowFloor = [accountFloor, clientFloor].some((floor) =>
          isBelow(floor, session.signedInAtMs, [session.id]),
        )
        return isThere && mark === undefined && !isBelowFloor
      })
    },
  }
}

/** A key that is never written. */
const NOWHERE = 'none'

const isBrowser = (session: Session | undefined): boolean => session?.id.startsWith('s.') ?? false

/** Where it is, what ends it, and for a grant the floor of its client; a browser session belongs to no one client. */
function keysOf({ id, clientId }: Session): string[] {
  const ref = sessionRefOf(id)
  if (ref?.kind === 'browser') return [sessionUidKey(ref.uid), deniedSessionKey(ref.uid)]
  if (ref?.kind !== 'grant') return [NOWHERE]
  const own = [grantKey(ref.grantId), deniedGrantKey(ref.grantId)]
  return clientId === undefined ? own : [...own, clientFloorKey(clientId)]
}
