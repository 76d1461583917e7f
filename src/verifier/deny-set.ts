/**
 * What has been revoked, as the server says it, and the rule by which it kills a token; the very same rule as the
 * server's own. A mark names a token, a grant or a session. A floor names an account or a client and kills everything
 * that stems from a sign-in up to an instant, except one session where somebody ended all the others.
 */
import type { AccessTokenClaims } from './claims.ts'

export type MarkKind = 'token' | 'grant' | 'session'
export type FloorKind = 'account' | 'client'

export interface Mark {
  kind: MarkKind
  id: string
  /** Seconds since the epoch by the server's clock; nothing it could kill lives longer. */
  expiresAt: number | undefined
}
export interface Floor {
  kind: FloorKind
  id: string
  expiresAt: number | undefined
  notBeforeMs: number
  /** The session that is spared, such as `g.<grant>` or `s.<session>`. */
  except: string | undefined
}
export type Revocation = Mark | Floor

/** Dropped this much later than need be: a clock that is set back must not bring a token back to life. */
const SLACK_SECONDS = 120

export interface DenySet {
  /** What can kill nothing any more makes room first. */
  add(revocation: Revocation, nowMs: number): void
  denies(claims: AccessTokenClaims): boolean
  /** Drops what can kill nothing any more. */
  sweep(nowMs: number): void
  /** More has been revoked than there is room for; what is here is not the whole. */
  isFull(): boolean
  size(): number
}

export function createDenySet({ maxEntries }: { maxEntries: number }): DenySet {
  const entries = new Map<string, Revocation>()
  let isFull = false
  const keyOf = (kind: MarkKind | FloorKind, id: string): string => `${kind} ${id}`
  const floorOf = (kind: FloorKind, id: string): Floor | undefined => {
    const found = entries.get(keyOf(kind, id))
    return found && isFloor(found) ? found : undefined
  }
  const hasMark = (kind: MarkKind, id: string | undefined): boolean => id !== undefined && entries.has(keyOf(kind, id))

  const sweep = (nowMs: number): void => {
    for (const [key, { expiresAt }] of entries) {
      if (expiresAt !== undefined && (expiresAt + SLACK_SECONDS) * 1000 <= nowMs) entries.delete(key)
    }
  }

  return {
    sweep,
    isFull: () => isFull,
    size: () => entries.size,

    add(revocation, nowMs) {
      const key = keyOf(revocation.kind, revocation.id)
      const known = entries.get(key)
      if (!known && entries.size >= maxEntries && !isFull) sweep(nowMs)
      if (!known && entries.size >= maxEntries) {
        isFull = true
        return
      }
      entries.set(key, known && isFloor(known) && isFloor(revocation) ? higher(known, revocation) : revocation)
    },

    denies({ jti, gid, suid, sub, client_id: clientId, ims, iat }) {
      const sinceMs = ims ?? iat * 1000
      const ids = [...(gid === undefined ? [] : [`g.${gid}`]), ...(suid === undefined ? [] : [`s.${suid}`])]
      return (
        hasMark('token', jti) ||
        hasMark('grant', gid) ||
        hasMark('session', suid) ||
        isBelow(floorOf('account', sub), sinceMs, ids) ||
        isBelow(floorOf('client', clientId), sinceMs, ids)
      )
    },
  }
}

const isFloor = (revocation: Revocation): revocation is Floor => 'notBeforeMs' in revocation

/** A floor is never lowered. Of two at one instant the later word counts, as it does at the server. */
const higher = (known: Floor, next: Floor): Floor => (known.notBeforeMs > next.notBeforeMs ? known : next)

const isBelow = (floor: Floor | undefined, sinceMs: number, ids: readonly string[]): boolean =>
  floor !== undefined && sinceMs <= floor.notBeforeMs && (floor.except === undefined || !ids.includes(floor.except))

/** A `revoked` event; undefined for one that is not understood. */
export function revocationIn(data: Record<string, unknown>): Revocation | undefined {
  const { kind, id, expires_at: expires, not_before_ms: notBefore, except } = data
  if (typeof id !== 'string' || !isKind(kind)) return undefined
  const expiresAt = typeof expires === 'number' ? expires : undefined
  if (isMarkKind(kind)) return { kind, id, expiresAt }
  if (typeof notBefore !== 'number') return undefined
  return { kind, id, expiresAt, notBeforeMs: notBefore, except: typeof except === 'string' ? except : undefined }
}

const isMarkKind = (kind: MarkKind | FloorKind): kind is MarkKind => kind !== 'account' && kind !== 'client'
const isKind = (kind: unknown): kind is MarkKind | FloorKind =>
  kind === 'token' || kind === 'grant' || kind === 'session' || kind === 'account' || kind === 'client'
