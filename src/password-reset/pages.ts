/** /recover: back in without the password, for people at a browser. The answers are the same for every address. */
import type Router from '@koa/router'
import type { Context } from 'koa'
import { formProblemOf } from '../http/form-problem.ts'
import type { FormProblem } from '../http/page-data.ts'
import { remoteAddress } from '../http/remote-address.ts'
import type { Render } from '../http/render.ts'
import { seeOther } from '../http/see-other.ts'
import { type StepMemory, type Steps, signInHref } from '../http/step-memory.ts'
import { tracesOf } from '../http/traces.ts'
import type { PasswordReset } from './password-reset.ts'

export interface RecoveryPagesDeps {
  passwordReset: Pick<PasswordReset, 'request' | 'confirm'>
  /** The fewest characters of a password. */
  minLength: number
  steps: StepMemory
  render: Render
}

interface Shown {
  values?: Record<string, string>
  problem?: FormProblem
  status?: number
}

export function mountRecoveryPages(router: Router, deps: RecoveryPagesDeps): void {
  const { passwordReset, minLength, steps, render } = deps

  router.get('/recover', function showRecovery(ctx) {
    const begun = steps.begin(ctx)
    showRecover(ctx, begun, { values: { email: begun.email ?? '' } })
  })

  router.post('/recover', async function requestCode(ctx) {
    const { form, before } = await steps.submitted(ctx)
    const email = form.email?.trim() ?? ''
    try {
      await passwordReset.request({ email, from: remoteAddress(ctx) })
    } catch (error) {
      return showRecover(ctx, before, { values: { email }, ...formProblemOf(ctx, error) })
    }
    steps.keep(ctx, { email })
    seeOther(ctx, '/recover/code')
  })

  router.get('/recover/code', function showCode(ctx) {
    showRecoverCode(ctx, steps.keep(ctx), {})
  })

  router.post('/recover/code', async function setPassword(ctx) {
    const { form, before } = await steps.submitted(ctx)
    const { code = '', new_password: newPassword = '' } = form
    const email = before.email ?? form.email?.trim() ?? ''
    try {
      await passwordReset.confirm({ email, code, newPassword, from: remoteAddress(ctx), traces: tracesOf(ctx) })
    } catch (error) {
      return showRecoverCode(ctx, before, { values: { email, code }, ...formProblemOf(ctx, error) })
    }
    steps.keep(ctx, { email })
    seeOther(ctx, '/recover/done')
  })

  router.get('/recover/done', function showDone(ctx) {
    render(ctx, 'message', { key: 'password_set', href: signInHref(steps.read(ctx)) })
  })

  function showRecover(ctx: Context, before: Steps, { values = {}, problem, status = 200 }: Shown): void {
    const page = { action: '/recover', csrf: steps.tokenOf(before), signInHref: signInHref(before) }
    render(ctx, 'recover', { ...page, values, problem }, { status, self: selfOf(before) })
  }

  function showRecoverCode(ctx: Context, before: Steps, { values = {}, problem, status = 200 }: Shown): void {
    const page = {
      action: '/recover/code',
      csrf: steps.tokenOf(before),
      email: before.email,
      minLength,
      restartHref: selfOf(before),
    }
    render(ctx, 'recover-code', { ...page, values, problem }, { status, self: '/recover/code' })
  }
}

const selfOf = ({ interaction }: Steps): string =>
  interaction === undefined ? '/recover' : `/recover?interaction=${interaction}`
