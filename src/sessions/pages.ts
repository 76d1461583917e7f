/** /account/sessions and /account/applications: where an account is signed in, what may use it, and ending either. */
import type Router from '@koa/router'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import { type AccountGate, addressOf, doneAt, doneIn } from '../http/account-gate.ts'
import { cursorFor, readCursor } from '../http/pagination.ts'
import type { Render } from '../http/render.ts'
import { seeOther } from '../http/see-other.ts'
import { tracesOf } from '../http/traces.ts'
import type { Applications } from './applications.ts'
import type { Sessions } from './sessions.ts'

export interface SessionPagesDeps {
  gate: AccountGate<{ id: string }>
  sessions: Pick<Sessions, 'list' | 'endOne' | 'endOthersAsWished'>
  applications: Applications
  render: Render
}

const SESSIONS = 'sessions'
const APPLICATIONS = 'applications'
const SESSIONS_PER_PAGE = 20

export function mountSessionPages(router: Router, deps: SessionPagesDeps): void {
  mountSessionList(router, deps)
  mountApplications(router, deps)
}

function mountSessionList(router: Router, { gate, sessions, render }: SessionPagesDeps): void {
  router.get(
    addressOf(SESSIONS),
    gate.show(SESSIONS, async function showSessions(ctx, { account, session, csrf }) {
      const before = positionIn(ctx)
      const { items, next } = await sessions.list(account.id, {
        limit: SESSIONS_PER_PAGE,
        before,
        currentId: session.id,
      })
      const moreHref = next && `${addressOf(SESSIONS)}?cursor=${cursorFor([next.usedAtMs, next.member])}`
      const hasOthers = before !== undefined || next !== undefined || items.some(({ isCurrent }) => !isCurrent)
      render(ctx, 'account-sessions', { csrf, sessions: items, hasOthers, moreHref, done: doneIn(ctx) })
    }),
  )

  router.post(
    `${addressOf(SESSIONS)}/end`,
    gate.submit(SESSIONS, async function endSession(ctx, { account }, { session = '' }) {
      await unlessGone(sessions.endOne(account.id, session, tracesOf(ctx)))
      seeOther(ctx, doneAt(SESSIONS, 'session'))
    }),
  )

  router.post(
    `${addressOf(SESSIONS)}/end-others`,
    gate.submit(SESSIONS, async function endOtherSessions(ctx, { account, session }) {
      await sessions.endOthersAsWished(account.id, session, tracesOf(ctx))
      seeOther(ctx, doneAt(SESSIONS, 'others'))
    }),
  )
}

function mountApplications(router: Router, { gate, applications, render }: SessionPagesDeps): void {
  router.get(
    addressOf(APPLICATIONS),
    gate.show(APPLICATIONS, async function showApplications(ctx, { account, csrf }) {
      const found = await applications.list(account.id)
      render(ctx, 'account-applications', { csrf, applications: found, done: doneIn(ctx) })
    }),
  )

  router.post(
    `${addressOf(APPLICATIONS)}/revoke`,
    gate.submit(APPLICATIONS, async function revokeApplication(ctx, { account }, { client = '' }) {
      await unlessGone(applications.revoke(account.id, client, tracesOf(ctx)))
      seeOther(ctx, doneAt(APPLICATIONS, 'application'))
    }),
  )
}

/** What is gone already was what the person wanted. */
async function unlessGone(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error
  }
}

function positionIn(ctx: Context) {
  const [usedAtMs, member] = readCursor(ctx.query.cursor, ['number', 'string']) ?? []
  return usedAtMs === undefined ? undefined : { usedAtMs: Number(usedAtMs), member: String(member) }
}
