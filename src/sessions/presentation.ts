/** Sessions as the API shows them to their owner. */
import { INSTANT } from '../http/schema.ts'
import type { SessionView } from './sessions.ts'

const TEXT_OR_NULL = { type: ['string', 'null'] }

export const presentSession = (session: SessionView) => ({
  id: session.id,
  current: session.isCurrent,
  kind: session.kind,
  client_id: session.clientId ?? null,
  client_name: session.clientName ?? null,
  browser: session.browser ?? null,
  system: session.system ?? null,
  ip: session.address,
  first_seen_at: session.firstSeenAt.toISOString(),
  last_seen_at: session.lastSeenAt.toISOString(),
})

/** What presentSession lists, as JSON Schema. */
export const sessionMembers = {
  id: { type: 'string' },
  current: { type: 'boolean', description: 'Whether it is the one that asks.' },
  kind: { enum: ['browser', 'grant'], description: 'A browser that is signed in, or tokens without one.' },
  client_id: TEXT_OR_NULL,
  client_name: TEXT_OR_NULL,
  browser: TEXT_OR_NULL,
  system: TEXT_OR_NULL,
  ip: { type: 'string' },
  first_seen_at: INSTANT,
  last_seen_at: { type: 'string', format: 'date-time', description: 'The last use, exact to a minute.' },
}
