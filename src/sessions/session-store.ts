/** The sessions of each account in the ephemeral store: a list by last use. It only names them; they live elsewhere. */
import type { Ephemeral, ListPosition } from '../storage/ephemeral.ts'
import { deviceOf } from './device-name.ts'
import type { NewSession, Session } from './session.ts'

/** Older ones are not shown any more, and still end with all the others. */
const MAX_SESSIONS = 1_000
/** Stored with every session, so it is paid for. */
const MAX_NAME = 60
const VERSION = '1'

export type SessionStore = ReturnType<typeof createSessionStore>

/** The list of an account's sessions. */
export const listKey = (accountId: string): string => `l:{${accountId}}`

export function createSessionStore(ephemeral: Ephemeral) {
  return {
    /** Puts a session on its account's list, or renews its last use; what was known at sign-in stays. */
    async save({ id, accountId, clientId, address, userAgent, signedInAtMs, ttlSeconds }: NewSession): Promise<void> {
      const stored: Stored = [clientId ?? null, signedInAtMs, address, ...namesIn(userAgent)]
      const value = VERSION + JSON.stringify(stored)
      await ephemeral.enlist(listKey(accountId), id, value, { ttlSeconds, cap: MAX_SESSIONS, keep: true })
    },

    /** Most recently used first, behind the position `before`. */
    async page(accountId: string, page: { limit: number; before: ListPosition | undefined }): Promise<Session[]> {
      const members = await ephemeral.listMembers(listKey(accountId), page)
      return members.map(({ member, value, usedAtMs }) => {
        const [clientId, signedInAtMs, address, browser, system] = decode(value)
        return {
          id: member,
          clientId: clientId ?? undefined,
          signedInAtMs,
          address,
          browser: browser || undefined,
          system: system || undefined,
          lastSeenAtMs: usedAtMs,
        }
      })
    },

    remove: (accountId: string, ids: readonly string[]): Promise<void> => ephemeral.delist(listKey(accountId), ids),
  }
}

/** Client, instant of the sign-in, address, browser, system. */
type Stored = [string | null, number, string, string, string]

function namesIn(userAgent: string): [browser: string, system: string] {
  const { browser = '', system = '' } = deviceOf(userAgent)
  return [browser.slice(0, MAX_NAME), system.slice(0, MAX_NAME)]
}

/** A session that another release has written is shown with what this one can read of it: nothing. */
function decode(value: string): Stored {
  if (!value.startsWith(VERSION)) return [null, 0, '', '', '']
  return JSON.parse(value.slice(VERSION.length)) as Stored // written by save of the same version
}
