/** What /api/v1/audit_events takes and answers, as JSON Schema. */
import { AUDIT_TARGETS } from '../audit-event.ts'
import { INSTANT, objectOf, pageSchemaOf, type Schema } from '../http/schema.ts'

const OPTIONAL_TEXT = { type: ['string', 'null'] }
const STATE = { type: ['object', 'null'] }

export const auditEvent = objectOf(
  {
    id: { type: 'string', format: 'uuid' },
    at: INSTANT,
    actor: objectOf({
      kind: { enum: ['account', 'client', 'operator', 'system'], description: 'operator: by the command line.' },
      id: { ...OPTIONAL_TEXT, description: 'The account or client.' },
      client_id: { ...OPTIONAL_TEXT, description: 'Through which client an account acted.' },
    }),
    action: { type: 'string', description: 'Such as role.created or account.role_assigned.' },
    target: objectOf({ kind: { enum: [...AUDIT_TARGETS] }, id: { type: 'string' } }),
    before: { ...STATE, description: 'What was, as far as it was changed.' },
    after: { ...STATE, description: 'What is since.' },
    request_id: OPTIONAL_TEXT,
    address: OPTIONAL_TEXT,
  },
  'AuditEvent',
)

export const auditEventPage = pageSchemaOf(auditEvent)

export const ACTOR: Schema = { type: 'string', pattern: '^[\\x21-\\x7e]{1,200}$' }
/** `<kind>:<id>` */
export const TARGET: Schema = { type: 'string', pattern: `^(${AUDIT_TARGETS.join('|')}):[\\x21-\\x7e]{1,200}$` }
export const ACTION: Schema = { type: 'string', pattern: '^[a-z_]{1,40}\\.([a-z_]{1,60}|\\*)$' }
