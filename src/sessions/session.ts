/**
 * A session as its owner sees it: one sign-in on one device. A browser session and what hangs on it is `s.<uid>`; a
 * grant without one (password grant, JSON sign-in) or meant to outlive it (offline access) is `g.<grant id>`.
 */
import { isOpaqueId } from '../ids.ts'
import type { Device } from './device-name.ts'

/** What is known at sign-in and stays. */
export interface SignedInFrom {
  /** The address behind the configured proxies. */
  address: string
  userAgent: string
}

export interface NewSession extends SignedInFrom {
  id: string
  accountId: string
  clientId: string | undefined
  /** Milliseconds since the epoch. A not-before floor at or above it ends the session. */
  signedInAtMs: number
  /** Until it ends by itself. */
  ttlSeconds: number
}

export interface Session extends Device {
  id: string
  /** Of the sign-in, as the browser and the system are. */
  address: string
  clientId: string | undefined
  signedInAtMs: number
  lastSeenAtMs: number
}

export type SessionRef = { kind: 'browser'; uid: string } | { kind: 'grant'; grantId: string }

export const browserSessionId = (uid: string): string => `s.${uid}`
export const grantSessionId = (grantId: string): string => `g.${grantId}`

/** What an id names; undefined for a text that can be no id. */
export function sessionRefOf(id: string): SessionRef | undefined {
  const name = id.slice(2)
  if (!isOpaqueId(name)) return undefined
  if (id.startsWith('s.')) return { kind: 'browser', uid: name }
  if (id.startsWith('g.')) return { kind: 'grant', grantId: name }
  return undefined
}
