/** What /api/v1/me/sessions answers, as JSON Schema. */
import { INSTANT, objectOf, pageSchemaOf } from '../http/schema.ts'

const TEXT_OR_NULL = { type: ['string', 'null'] }

const session = objectOf(
  {
    id: { type: 'string' },
    current: { type: 'boolean', description: 'Whether it is the one that asks.' },
    kind: { enum: ['browser', 'grant'], description: 'A browser that is signed in, or tokens without one.' },
    client_id: TEXT_OR_NULL,
    client_name: TEXT_OR_NULL,
    browser: TEXT_OR_NULL,
    system: TEXT_OR_NULL,
    ip: { type: 'string' },
    first_seen_at: INSTANT,
    last_seen_at: INSTANT,
  },
  'Session',
)

export const sessionPage = pageSchemaOf(session)
