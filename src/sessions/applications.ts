/** Which applications may use an account, and taking that away. An application is a client with a living grant. */
import { type AuditNote, owner, type Traces } from '../audit-event.ts'
import { AppError } from '../errors.ts'

/** A grant behind a session. */
export interface ConnectedGrant {
  grantId: string
  clientId: string
  scopes: readonly string[]
  grantedAtMs: number
}

export interface ApplicationsDeps {
  /** The living sessions of an account. */
  sessionsOf(accountId: string): Promise<readonly { id: string }[]>
  /** The living grants behind sessions of an account. */
  grantsBehind(accountId: string, sessionIds: readonly string[]): Promise<ConnectedGrant[]>
  /** Ends a grant with every token of it. Safe to repeat. */
  revokeGrant(grantId: string): Promise<void>
  note: AuditNote
  /** Undefined for what people would not call an application. */
  applicationOf(clientId: string): Promise<{ name: string; firstParty: boolean } | undefined>
}

export interface Application {
  clientId: string
  name: string
  isOwn: boolean
  scopes: string[]
  connectedAt: Date
}

export type Applications = ReturnType<typeof createApplications>

export function createApplications(deps: ApplicationsDeps) {
  async function grantsByClient(accountId: string): Promise<Map<string, ConnectedGrant[]>> {
    const sessions = await deps.sessionsOf(accountId)
    const grants = await deps.grantsBehind(
      accountId,
      sessions.map(({ id }) => id),
    )
    return Map.groupBy(grants, ({ clientId }) => clientId)
  }

  return {
    /** By name. Throws Unavailable (503). */
    async list(accountId: string): Promise<Application[]> {
      const found = [...(await grantsByClient(accountId))].map(async ([clientId, grants]) => {
        const client = await deps.applicationOf(clientId)
        if (!client) return []
        const scopes = [...new Set(grants.flatMap((grant) => grant.scopes))]
        const connectedAt = new Date(Math.min(...grants.map(({ grantedAtMs }) => grantedAtMs)))
        return [{ clientId, name: client.name, isOwn: client.firstParty, scopes, connectedAt }]
      })
      return (await Promise.all(found)).flat().sort((one, other) => one.name.localeCompare(other.name))
    },

    /** Ends every grant of the application, wherever it was given. Throws not_found (404), Unavailable (503). */
    async revoke(accountId: string, clientId: string, traces?: Traces): Promise<void> {
      const grants = (await grantsByClient(accountId)).get(clientId) ?? []
      if (grants.length === 0) throw new AppError('not_found', 404, 'This application has no access.')
      await Promise.all(grants.map(({ grantId }) => deps.revokeGrant(grantId)))
      await deps.note(owner(accountId, traces), {
        action: 'account.application_revoked',
        target: { kind: 'account', id: accountId },
        before: { client_id: clientId, grants: grants.length },
      })
    },
  }
}
