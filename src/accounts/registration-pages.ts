/** /register and /verify: an account of one's own, for people at a browser. The answers are the same for every address. */
import type Router from '@koa/router'
import type { Context } from 'koa'
import { formProblemOf } from '../http/form-problem.ts'
import type { LocaleOf } from '../http/locale.ts'
import type { FormProblem } from '../http/page-data.ts'
import { remoteAddress } from '../http/remote-address.ts'
import type { Render } from '../http/render.ts'
import { seeOther } from '../http/see-other.ts'
import { type StepMemory, type Steps, signInHref } from '../http/step-memory.ts'
import { tracesOf } from '../http/traces.ts'
import type { Registration } from './registration.ts'

export interface RegistrationPagesDeps {
  registration: Pick<Registration, 'mode' | 'register' | 'resend' | 'verify'>
  /** The fewest characters of a password. */
  minLength: number
  steps: StepMemory
  localeOf: LocaleOf
  render: Render
}

interface Shown {
  values?: Record<string, string>
  problem?: FormProblem
  status?: number
}

export function mountRegistrationPages(router: Router, deps: RegistrationPagesDeps): void {
  if (deps.registration.mode === 'closed') mountClosed(router, deps)
  else mountOpen(router, deps)
}

/** Old links lead here, and say why they lead no further. */
function mountClosed(router: Router, { render }: RegistrationPagesDeps): void {
  for (const path of ['/register', '/verify']) {
    router.get(path, function refuseRegistration(ctx) {
      render(ctx, 'message', { key: 'registration_closed', href: '/account' }, { status: 403 })
    })
  }
}

function mountOpen(router: Router, { registration, minLength, steps, localeOf, render }: RegistrationPagesDeps) {
  router.get('/register', function showRegistration(ctx) {
    const begun = steps.begin(ctx)
    showRegister(ctx, begun, { values: { email: begun.email ?? '' } })
  })

  router.post('/register', async function register(ctx) {
    const { form, before } = await steps.submitted(ctx)
    const { email = '', password = '', first_name = '', last_name = '' } = form
    const [firstName, lastName] = [given(first_name), given(last_name)]
    try {
      const person = { email: email.trim(), password, firstName, lastName, locale: localeOf(ctx) }
      await registration.register(person, remoteAddress(ctx), tracesOf(ctx))
    } catch (error) {
      return showRegister(ctx, before, { values: { email, first_name, last_name }, ...formProblemOf(ctx, error) })
    }
    steps.keep(ctx, { email: email.trim() })
    seeOther(ctx, '/verify')
  })

  router.get('/verify', function showVerification(ctx) {
    showVerify(ctx, steps.keep(ctx), {})
  })

  router.post('/verify', async function verifyAddress(ctx) {
    const { form, before } = await steps.submitted(ctx)
    const { code = '' } = form
    const email = before.email ?? form.email?.trim() ?? ''
    let hasPassword: boolean
    try {
      const account = await registration.verify({ email, code, from: remoteAddress(ctx), traces: tracesOf(ctx) })
      hasPassword = account.passwordHash !== undefined
    } catch (error) {
      return showVerify(ctx, before, { values: { email, code }, ...formProblemOf(ctx, error) })
    }
    steps.keep(ctx, { email })
    seeOther(ctx, hasPassword ? '/verify/done' : '/verify/done?password=none')
  })

  router.post('/verify/resend', async function resendCode(ctx) {
    const { before } = await steps.submitted(ctx)
    try {
      await registration.resend({ email: before.email ?? '', from: remoteAddress(ctx) })
    } catch (error) {
      return showVerify(ctx, before, formProblemOf(ctx, error))
    }
    seeOther(ctx, '/verify?sent=again')
  })

  router.get('/verify/done', function showDone(ctx) {
    const needsPassword = ctx.query.password === 'none'
    const key = needsPassword ? 'registered_without_password' : 'registered'
    const before = steps.read(ctx)
    render(ctx, 'message', { key, href: needsPassword ? recoverHref(before) : signInHref(before) })
  })

  function showRegister(ctx: Context, before: Steps, { values = {}, problem, status = 200 }: Shown): void {
    const page = { minLength, signInHref: signInHref(before), csrf: steps.tokenOf(before) }
    render(ctx, 'register', { ...page, action: '/register', values, problem }, { status, self: selfOf(before) })
  }

  function showVerify(ctx: Context, before: Steps, { values = {}, problem, status = 200 }: Shown): void {
    const page = {
      email: before.email,
      csrf: steps.tokenOf(before),
      action: '/verify',
      resendAction: '/verify/resend',
      restartHref: selfOf(before),
      isResent: ctx.query.sent === 'again',
    }
    render(ctx, 'verify', { ...page, values, problem }, { status, self: '/verify' })
  }
}

const queryOf = ({ interaction }: Pick<Steps, 'interaction'> = {}): string =>
  interaction === undefined ? '' : `?interaction=${interaction}`

const selfOf = (before: Steps): string => `/register${queryOf(before)}`
const recoverHref = (before: Steps | undefined): string => `/recover${queryOf(before)}`

/** A field left empty says nothing. */
const given = (text: string): string | undefined => text.trim() || undefined
