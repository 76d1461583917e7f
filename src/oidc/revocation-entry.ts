/** One revocation in force: what it kills, how it is told to other processes, and the mark anybody can look up. */
import type { Mark } from '../storage/journal.ts'
import { accountFloorKey, clientFloorKey, deniedGrantKey, deniedSessionKey, deniedTokenKey } from './ephemeral-keys.ts'

export type RevocationKind = 'token' | 'grant' | 'session' | 'account' | 'client'

export interface Revoked {
  kind: RevocationKind
  /** The jti, grant id, session uid, account id or client id. */
  id: string
  /** Of accounts and clients: what stems from a sign-in up to then is dead. */
  notBeforeMs: number | undefined
  /** The one session of the account that is spared, by the id under which its owner sees it. */
  except: string | undefined
  /** Of two states of one revocation the one with the higher number is the later. */
  seq: number
  writtenAtMs: number
  /** No access token that it kills lives longer. */
  tokensExpireAtMs: number
  /** Nothing that it kills lives longer. */
  expiresAtMs: number
}

/** What a token, code or session stems from, as far as it can be revoked. */
export interface Origin {
  tokenId?: string | undefined
  grantId?: string | undefined
  sessionUid?: string | undefined
  subject: string
  clientId?: string | undefined
  /** When the sign-in began that it stems from. */
  sinceMs: number
  /** The ids of its sessions, of which a floor may spare one. */
  sessionIds: readonly string[]
}

export const keyOf = ({ kind, id }: Pick<Revoked, 'kind' | 'id'>): string => `${kind} ${id}`

/** Which revocations could kill what has this origin. */
export const namesOf = (origin: Origin): { kind: RevocationKind; id: string }[] =>
  (
    [
      ['token', origin.tokenId],
      ['grant', origin.grantId],
      ['session', origin.sessionUid],
      ['account', origin.subject],
      ['client', origin.clientId],
    ] as const
  ).flatMap(([kind, id]) => (id === undefined ? [] : [{ kind, id }]))

/** Whether a revocation that names something of this origin kills it. */
export function kills({ notBeforeMs, except }: Revoked, { sinceMs, sessionIds }: Origin): boolean {
  if (notBeforeMs === undefined) return true
  return sinceMs <= notBeforeMs && (except === undefined || !sessionIds.includes(except))
}

const KEYS: Record<RevocationKind, (id: string) => string> = {
  token: deniedTokenKey,
  grant: deniedGrantKey,
  session: deniedSessionKey,
  account: accountFloorKey,
  client: clientFloorKey,
}

/** The key of its mark. */
export const markKeyOf = ({ kind, id }: Pick<Revoked, 'kind' | 'id'>): string => KEYS[kind](id)

/** The mark of a revocation; without an instant its first word says no more than that it is there. */
export const markOf = (revoked: Revoked, nowMs: number): Mark => ({
  key: markKeyOf(revoked),
  value: `${revoked.notBeforeMs ?? 'dead'} ${revoked.except ?? '-'}`,
  rank: revoked.seq,
  ttlSeconds: Math.max(1, (revoked.expiresAtMs - nowMs) / 1000),
})

/** The form in which processes tell each other. Version 1. */
export const encodeRevoked = (revoked: Revoked): string =>
  JSON.stringify([
    1,
    revoked.kind,
    revoked.id,
    revoked.notBeforeMs ?? null,
    revoked.except ?? null,
    revoked.seq,
    revoked.writtenAtMs,
    revoked.tokensExpireAtMs,
    revoked.expiresAtMs,
  ])

/** Undefined for a form of another release. */
export function decodeRevoked(text: string): Revoked | undefined {
  const [version, kind, id, notBeforeMs, except, seq, writtenAtMs, tokensExpireAtMs, expiresAtMs] = JSON.parse(text)
  if (version !== 1) return undefined
  return {
    kind,
    id,
    notBeforeMs: notBeforeMs ?? undefined,
    except: except ?? undefined,
    seq,
    writtenAtMs,
    tokensExpireAtMs,
    expiresAtMs,
  }
}
