/** /api/v1/audit_events: who changed what, for those who may read it. */
import { AUDIT_READ } from '../access/permission.ts'
import { AppError } from '../errors.ts'
import type { Api } from '../http/api.ts'
import { onePage, type Page, pageOf } from '../http/pagination.ts'
import type { Route } from '../http/route.ts'
import { INSTANT } from '../http/schema.ts'
import { isUuid } from '../ids.ts'
import type { AuditFilter } from './audit-entry.ts'
import type { AuditLog } from './audit-log.ts'
import { presentAuditEvent } from './presentation.ts'
import * as schemas from './schemas.ts'

const PATH = '/api/v1/audit_events'
const TAG = 'Audit log'
const WHO = { permissions: [AUDIT_READ] }

const LIST: Route = {
  id: 'listAuditEvents',
  method: 'get',
  path: PATH,
  tag: TAG,
  summary: 'List what was changed, the newest first',
  description:
    'Of `actor`, `target` and `action` one may be given; `since` and `until` go with any of them and by themselves.',
  who: WHO,
  page: { cursor: ['string'] },
  query: {
    actor: { description: 'The id of the account or client that acted.', schema: schemas.ACTOR },
    target: { description: 'What was changed: `<kind>:<id>`.', schema: schemas.TARGET },
    action: { description: 'What was done; `role.*` is everything done to roles.', schema: schemas.ACTION },
    since: { description: 'Not before this instant.', schema: INSTANT },
    until: { description: 'Before this instant.', schema: INSTANT },
  },
  answers: { 200: { description: 'One page.', schema: schemas.auditEventPage } },
}

export function mountAudit(api: Api, { audit }: { audit: Pick<AuditLog, 'list' | 'find'> }): void {
  api.add(LIST, async function listAuditEvents(ctx, { page, query }) {
    const entries = await audit.list({
      filter: filterOf(query),
      since: instantOf(query.since),
      until: instantOf(query.until),
      after: positionOf(page),
      limit: page.limit + 1,
    })
    const { items, next } = onePage(entries, page.limit, (last) => [last.id])
    ctx.set('Cache-Control', 'no-store')
    ctx.body = pageOf(items.map(presentAuditEvent), next)
  })

  api.add(
    {
      id: 'getAuditEvent',
      method: 'get',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read one event',
      who: WHO,
      answers: { 200: { description: 'The event.', schema: schemas.auditEvent } },
      errors: { not_found: 'There is no such event, or it has been kept long enough.' },
    },
    async function showAuditEvent(ctx, { params }) {
      const entry = await audit.find(params.id ?? '')
      if (!entry) throw new AppError('not_found', 404, 'There is no such event.')
      ctx.set('Cache-Control', 'no-store')
      ctx.body = presentAuditEvent(entry)
    },
  )
}

/** Throws bad_request (400) for more than one: no index serves two, and the log is long. */
function filterOf({ actor, target, action }: Record<string, string | undefined>): AuditFilter | undefined {
  const filters: AuditFilter[] = [
    ...(actor === undefined ? [] : [{ actor }]),
    ...(target === undefined ? [] : [{ target: targetOf(target) }]),
    ...(action === undefined ? [] : [{ action }]),
  ]
  if (filters.length <= 1) return filters[0]
  throw new AppError('bad_request', 400, 'Give one of actor, target and action.', {
    faults: [{ pointer: '', message: 'actor, target and action cannot be combined' }],
  })
}

const targetOf = (text: string) => ({ kind: text.slice(0, text.indexOf(':')), id: text.slice(text.indexOf(':') + 1) })

const instantOf = (text: string | undefined): Date | undefined => {
  if (text === undefined) return undefined
  const instant = new Date(text)
  if (!Number.isNaN(instant.getTime())) return instant
  throw new AppError('bad_request', 400, 'This is not an instant.')
}

function positionOf({ cursor }: Page): string | undefined {
  const [after] = cursor ?? []
  if (after === undefined || isUuid(after)) return after
  throw new AppError('bad_request', 400, 'The query cursor is not one this server has made.', {
    faults: [{ pointer: '/cursor', message: 'is not one this server has made' }],
  })
}
