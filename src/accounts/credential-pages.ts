/** /account/password and /account/email: what somebody signs in with, changed by whoever knows the password. */
import type Router from '@koa/router'
import type { Context } from 'koa'
import { type AccountGate, addressOf, doneAt, doneIn, type Refusal, type SignedIn } from '../http/account-gate.ts'
import { formProblemOf } from '../http/form-problem.ts'
import { remoteAddress } from '../http/remote-address.ts'
import type { Render } from '../http/render.ts'
import { seeOther } from '../http/see-other.ts'
import type { StepMemory } from '../http/step-memory.ts'
import { tracesOf } from '../http/traces.ts'
import type { Account } from './account.ts'
import type { EmailChange } from './email-change.ts'
import type { ChangePassword } from './password-change.ts'

export interface CredentialPagesDeps {
  gate: AccountGate<Account>
  changePassword: ChangePassword
  emailChange: Pick<EmailChange, 'request' | 'confirm'>
  /** The fewest characters of a password. */
  minLength: number
  steps: StepMemory
  render: Render
}

type Person = SignedIn<Account>

export function mountCredentialPages(router: Router, deps: CredentialPagesDeps): void {
  // W3C, A Well-Known URL for Changing Passwords, section 2: it redirects to the page.
  router.get('/.well-known/change-password', function findPasswordPage(ctx) {
    ctx.set('Cache-Control', 'no-store')
    ctx.redirect(addressOf('password'))
  })
  mountPassword(router, deps)
  mountEmail(router, deps)
  mountEmailCode(router, deps)
}

function mountPassword(router: Router, { gate, changePassword, minLength, render }: CredentialPagesDeps): void {
  const page = 'password'
  const here = addressOf(page)

  function show(ctx: Context, { account, csrf }: Person, { problem, status = 200 }: Refusal = {}): void {
    const form = { action: here, csrf, values: {}, problem, done: doneIn(ctx) }
    render(ctx, 'account-password', { ...form, email: account.email, minLength }, { status, self: here })
  }

  router.get(
    here,
    gate.show(page, async function showPassword(ctx, person) {
      show(ctx, person)
    }),
  )

  router.post(
    here,
    gate.submit(page, async function replacePassword(ctx, person, form) {
      const { current_password: currentPassword = '', new_password: newPassword = '' } = form
      const { account, session: keepSession } = person
      try {
        await changePassword({
          accountId: account.id,
          currentPassword,
          newPassword,
          keepSession,
          traces: tracesOf(ctx),
        })
      } catch (error) {
        return show(ctx, person, formProblemOf(ctx, error))
      }
      seeOther(ctx, doneAt(page, 'password'))
    }),
  )
}

const EMAIL = 'email'
const EMAIL_CODE = 'email/code'

function mountEmail(router: Router, { gate, emailChange, steps, render }: CredentialPagesDeps): void {
  const here = addressOf(EMAIL)

  function show(ctx: Context, { account, csrf }: Person, { values = {}, problem, status = 200 }: Refusal = {}): void {
    const form = { action: here, csrf, values, problem, done: doneIn(ctx) }
    const { email, emailVerified: isVerified } = account
    render(ctx, 'account-email', { ...form, email, isVerified }, { status, self: here })
  }

  router.get(
    here,
    gate.show(EMAIL, async function showEmail(ctx, person) {
      show(ctx, person)
    }),
  )

  router.post(
    here,
    gate.submit(EMAIL, async function requestOtherAddress(ctx, person, form) {
      const newEmail = form.new_email?.trim() ?? ''
      const { current_password: password = '' } = form
      try {
        await emailChange.request({ accountId: person.account.id, password, newEmail, from: remoteAddress(ctx) })
      } catch (error) {
        return show(ctx, person, { values: { new_email: newEmail }, ...formProblemOf(ctx, error) })
      }
      steps.keep(ctx, { email: newEmail })
      seeOther(ctx, addressOf(EMAIL_CODE))
    }),
  )
}

function mountEmailCode(router: Router, { gate, emailChange, steps, render }: CredentialPagesDeps): void {
  const here = addressOf(EMAIL_CODE)

  function show(ctx: Context, csrf: string, { values = {}, problem, status = 200 }: Refusal = {}): void {
    const form = { action: here, csrf, values, problem }
    render(ctx, 'account-email-code', { ...form, newEmail: steps.read(ctx)?.email }, { status, self: here })
  }

  router.get(
    here,
    gate.show(EMAIL_CODE, async function showCode(ctx, { csrf }) {
      show(ctx, csrf)
    }),
  )

  router.post(
    here,
    gate.submit(EMAIL_CODE, async function confirmOtherAddress(ctx, { account, csrf }, { code = '' }) {
      try {
        await emailChange.confirm({ accountId: account.id, code, from: remoteAddress(ctx), traces: tracesOf(ctx) })
      } catch (error) {
        return show(ctx, csrf, { values: { code }, ...formProblemOf(ctx, error) })
      }
      steps.forget(ctx)
      seeOther(ctx, doneAt(EMAIL, 'email'))
    }),
  )
}
