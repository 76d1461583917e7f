/**
 * Whether the browser session still stands behind a token that lives only as long as it. The engine's rule: it is there,
 * it is the account's, and it still goes with the grant for the client, which is over when its person has signed out of
 * that client alone. Here besides: nobody has ended it.
 */
import type { AdapterPayload } from 'oidc-provider'
import { browserSessionId } from '../sessions/session.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { accountFloorKey, deniedSessionKey, sessionUidKey } from './ephemeral-keys.ts'
import { decodeRecord } from './record-format.ts'
import { isBelow } from './revocation.ts'
import type { Lineage } from './sign-in-lineage.ts'

interface StoredSession extends AdapterPayload, Lineage {
  authorizations?: Record<string, { grantId?: string }>
}

/** Of a token without `expiresWithSession`: true. Two round trips. Throws Unavailable (503). */
export type HasSession = (token: AdapterPayload) => Promise<boolean>

export function createSessionBinding(ephemeral: Pick<Ephemeral, 'get'>): HasSession {
  return async function hasSession({ expiresWithSession, sessionUid, accountId, clientId, grantId }) {
    if (expiresWithSession !== true) return true
    if (sessionUid === undefined || accountId === undefined || clientId === undefined) return false
    const keys = [sessionUidKey(sessionUid), deniedSessionKey(sessionUid), accountFloorKey(accountId)]
    const [pointer, mark, floor] = await ephemeral.get(keys)
    if (pointer === undefined || mark !== undefined) return false
    const session = decodeRecord<StoredSession>((await ephemeral.get([pointer]))[0])
    if (session?.accountId !== accountId || session.authorizations?.[clientId]?.grantId !== grantId) return false
    return !isBelow(floor, session.signedInAtMs ?? 0, [browserSessionId(sessionUid)])
  }
}
