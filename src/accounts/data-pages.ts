/** What is known about an account, for its owner: the history of sign-ins, a copy of everything, and the end of it. */
import type Router from '@koa/router'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import { type AccountGate, addressOf, type Refusal, signInFor } from '../http/account-gate.ts'
import { formProblemOf } from '../http/form-problem.ts'
import type { LocaleOf } from '../http/locale.ts'
import type { Render } from '../http/render.ts'
import { seeOther } from '../http/see-other.ts'
import type { StepMemory } from '../http/step-memory.ts'
import { tracesOf } from '../http/traces.ts'
import { isUuid } from '../ids.ts'
import type { Account } from './account.ts'
import type { AccountDeletion } from './account-deletion.ts'
import type { AccountExport } from './account-export.ts'
import type { SignIn } from './sign-in.ts'
import type { SignIns } from './sign-ins.ts'

export interface DataPagesDeps {
  gate: AccountGate<Account>
  signIns: Pick<SignIns, 'list'>
  exportAccount: AccountExport
  deletion: Pick<AccountDeletion, 'request' | 'graceDays'>
  clientNameOf(clientId: string): Promise<string | undefined>
  /** What people call the device behind a User-Agent header. */
  deviceOf(userAgent: string): { browser: string | undefined; system: string | undefined }
  steps: StepMemory
  localeOf: LocaleOf
  render: Render
}

export function mountDataPages(router: Router, deps: DataPagesDeps): void {
  mountSignIns(router, deps)
  mountExport(router, deps)
  mountDeletion(router, deps)
}

const SIGN_INS = 'sign-ins'
const SIGN_INS_PER_PAGE = 25

function mountSignIns(router: Router, { gate, signIns, clientNameOf, deviceOf, render }: DataPagesDeps): void {
  const rowOf = async ({ outcome, at, address, clientId, userAgent }: SignIn) => ({
    ...{ outcome, at, address, clientName: await clientNameOf(clientId) },
    ...deviceOf(userAgent),
  })

  router.get(
    addressOf(SIGN_INS),
    gate.show(SIGN_INS, async function showSignIns(ctx, { account }) {
      const before = isUuid(ctx.query.before) ? ctx.query.before : undefined
      const entries = await signIns.list(account.id, { before, limit: SIGN_INS_PER_PAGE + 1 })
      const shown = entries.slice(0, SIGN_INS_PER_PAGE)
      const last = entries.length > SIGN_INS_PER_PAGE ? shown.at(-1) : undefined
      const moreHref = last && `${addressOf(SIGN_INS)}?before=${last.id}`
      render(ctx, 'account-sign-ins', { signIns: await Promise.all(shown.map(rowOf)), moreHref })
    }),
  )
}

const DATA = 'data'
const EXPORT = 'data/export'

function mountExport(router: Router, { gate, exportAccount }: DataPagesDeps): void {
  router.get(
    addressOf(EXPORT),
    gate.show(DATA, async function exportEverything(ctx, { account }) {
      const everything = await exportAccount(account.id)
      ctx.set('Cache-Control', 'no-store')
      ctx.attachment('account.json')
      ctx.type = 'application/json'
      ctx.body = JSON.stringify(everything, null, 2)
    }),
  )
}

function mountDeletion(router: Router, { gate, deletion, steps, localeOf, render }: DataPagesDeps): void {
  const here = addressOf(DATA)

  function show(ctx: Context, csrf: string, { problem, status = 200 }: Refusal = {}): void {
    const form = { action: here, csrf, values: {}, problem }
    const data = { exportHref: addressOf(EXPORT), graceDays: deletion.graceDays }
    render(ctx, 'account-data', { ...form, ...data }, { status, self: here })
  }

  router.get(
    here,
    gate.show(DATA, async function showData(ctx, { csrf }) {
      show(ctx, csrf)
    }),
  )

  router.post(
    here,
    gate.submit(DATA, async function deleteAccount(ctx, { account, authTime, csrf }, { confirm }) {
      if (confirm !== 'yes') return show(ctx, csrf, { problem: { kind: 'unconfirmed' }, status: 400 })
      let dueAt: Date
      try {
        dueAt = await deletion.request(account.id, authTime, tracesOf(ctx))
      } catch (error) {
        if (isSignInTooOld(error)) return seeOther(ctx, signInFor(DATA, { isFresh: true }))
        return show(ctx, csrf, formProblemOf(ctx, error))
      }
      steps.forget(ctx)
      const date = new Intl.DateTimeFormat(localeOf(ctx), { dateStyle: 'long', timeZone: 'UTC' }).format(dueAt)
      render(ctx, 'message', { key: 'deletion_requested', values: { date }, href: '/' })
    }),
  )
}

const isSignInTooOld = (error: unknown): boolean => error instanceof AppError && error.code === 'fresh_sign_in_required'
