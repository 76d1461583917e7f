/** Which grants lie behind the sessions of an account: those of its browser sessions by client, and those that are one. */
import type { AdapterPayload } from 'oidc-provider'
import type { ConnectedGrant } from '../sessions/applications.ts'
import { sessionRefOf } from '../sessions/session.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { grantKey, sessionUidKey } from './ephemeral-keys.ts'
import { decodeRecord } from './record-format.ts'

interface StoredSession extends AdapterPayload {
  authorizations?: Record<string, { grantId?: string }>
}

interface StoredGrant extends AdapterPayload {
  openid?: { scope?: string }
  resources?: Record<string, string>
}

/** Three round trips at most, for any number of sessions. A revoked grant has no record any more. */
export function createConnectedGrants(ephemeral: Pick<Ephemeral, 'get'>) {
  async function recordsAt<Stored extends object>(keys: readonly string[]): Promise<(Stored | undefined)[]> {
    if (keys.length === 0) return []
    return (await ephemeral.get(keys)).map((stored) => decodeRecord<Stored>(stored))
  }

  async function grantIdsOfBrowsers(uids: readonly string[]): Promise<string[]> {
    const pointers = uids.length === 0 ? [] : await ephemeral.get(uids.map(sessionUidKey))
    const sessions = await recordsAt<StoredSession>(pointers.filter((key) => key !== undefined))
    return sessions.flatMap((session) =>
      Object.values(session?.authorizations ?? {}).flatMap(({ grantId }) => grantId ?? []),
    )
  }

  return async function grantsBehind(accountId: string, sessionIds: readonly string[]): Promise<ConnectedGrant[]> {
    const refs = sessionIds.map(sessionRefOf)
    const ofBrowsers = await grantIdsOfBrowsers(refs.flatMap((ref) => (ref?.kind === 'browser' ? ref.uid : [])))
    const byThemselves = refs.flatMap((ref) => (ref?.kind === 'grant' ? ref.grantId : []))
    const grantIds = [...new Set([...ofBrowsers, ...byThemselves])]
    const grants = await recordsAt<StoredGrant>(grantIds.map(grantKey))
    return grants.flatMap((grant, place) => {
      const { clientId, iat = 0, openid, resources = {} } = grant ?? {}
      const grantId = grantIds[place]
      if (clientId === undefined || grantId === undefined || grant?.accountId !== accountId) return []
      const scopes = [openid?.scope, ...Object.values(resources)].flatMap((scope) => scope?.split(' ') ?? [])
      return [{ grantId, clientId, scopes: scopes.filter(Boolean), grantedAtMs: iat * 1000 }]
    })
  }
}
