/** /api/v1/me/sessions: where an account is signed in, and ending it. */
import type Router from '@koa/router'
import type { Authenticate } from '../http/authenticate.ts'
import { pageOf, readPage } from '../http/pagination.ts'
import { presentSession } from './presentation.ts'
import type { Sessions } from './sessions.ts'

export interface SessionRoutesDeps {
  authenticate: Authenticate
  sessions: Sessions
}

const PATH = '/api/v1/me/sessions'

export function mountSessions(router: Router, { authenticate, sessions }: SessionRoutesDeps): void {
  router.get(PATH, async function listSessions(ctx) {
    const { subject, session } = await authenticate.account(ctx)
    const { limit, cursor } = readPage(ctx, ['number', 'string'])
    const before = cursor && { usedAtMs: Number(cursor[0]), member: String(cursor[1]) }
    const { items, next } = await sessions.list(subject, { limit, before, currentId: session.id })
    ctx.set('Cache-Control', 'no-store')
    ctx.body = pageOf(items.map(presentSession), next && [next.usedAtMs, next.member])
  })

  router.delete(`${PATH}/:id`, async function endSession(ctx) {
    const { subject } = await authenticate.account(ctx)
    await sessions.endOne(subject, ctx.params.id ?? '')
    ctx.status = 204
  })

  router.delete(PATH, async function endOtherSessions(ctx) {
    const { subject, session } = await authenticate.account(ctx)
    await sessions.endOthers(subject, session)
    ctx.status = 204
  })
}
