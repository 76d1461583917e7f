/** Sessions as the API shows them to their owner. */
import type { SessionView } from './sessions.ts'

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
