/** /api/v1/me/sessions: where an account is signed in, and ending it. */
import type { Api } from '../http/api.ts'
import { identityOf } from '../http/gatekeeper.ts'
import { pageOf } from '../http/pagination.ts'
import { presentSession } from './presentation.ts'
import { sessionPage } from './schemas.ts'
import type { Sessions } from './sessions.ts'

const PATH = '/api/v1/me/sessions'
const TAG = 'My sessions'

export function mountSessions(api: Api, { sessions }: { sessions: Sessions }): void {
  api.add(
    {
      id: 'listMySessions',
      method: 'get',
      path: PATH,
      tag: TAG,
      summary: 'List where I am signed in',
      who: { account: true },
      page: { cursor: ['number', 'string'] },
      answers: { 200: { description: 'One page, the last used first.', schema: sessionPage } },
    },
    async function listSessions(ctx, { caller, page: { limit, cursor } }) {
      const { subject, session } = identityOf(caller)
      const before = cursor && { usedAtMs: Number(cursor[0]), member: String(cursor[1]) }
      const { items, next } = await sessions.list(subject, { limit, before, currentId: session.id })
      ctx.set('Cache-Control', 'no-store')
      ctx.body = pageOf(items.map(presentSession), next && [next.usedAtMs, next.member])
    },
  )

  api.add(
    {
      id: 'endMySession',
      method: 'delete',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'End one of my sessions',
      description: 'With every token that was issued in it.',
      who: { account: true },
      params: { id: { description: 'The id of the session, as listed.', schema: { type: 'string' } } },
      answers: { 204: { description: 'It has ended.' } },
      errors: { not_found: 'There is no such session of this account.' },
    },
    async function endSession(ctx, { caller, params }) {
      await sessions.endOne(identityOf(caller).subject, params.id ?? '', caller.actor)
      ctx.status = 204
    },
  )

  api.add(
    {
      id: 'endMyOtherSessions',
      method: 'delete',
      path: PATH,
      tag: TAG,
      summary: 'End all my sessions but this one',
      who: { account: true },
      answers: { 204: { description: 'They have ended.' } },
    },
    async function endOtherSessions(ctx, { caller }) {
      const { subject, session } = identityOf(caller)
      await sessions.endOthersAsWished(subject, session, caller.actor)
      ctx.status = 204
    },
  )
}
