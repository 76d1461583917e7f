/** /account: what somebody who is signed in at a browser can see and do with the own account. */
import type Router from '@koa/router'
import type { Context } from 'koa'
import { type AccountGate, addressOf, doneAt, doneIn, type Refusal } from '../http/account-gate.ts'
import { formProblemOf } from '../http/form-problem.ts'
import type { Render } from '../http/render.ts'
import { seeOther } from '../http/see-other.ts'
import { tracesOf } from '../http/traces.ts'
import type { Account } from './account.ts'
import { type CredentialPagesDeps, mountCredentialPages } from './credential-pages.ts'
import { type DataPagesDeps, mountDataPages } from './data-pages.ts'
import type { Profile } from './profile.ts'

export interface AccountPagesDeps extends CredentialPagesDeps, DataPagesDeps {
  gate: AccountGate<Account>
  profile: Profile
  /** Where a sign-out begins. */
  signOutHref: string
  render: Render
}

export function mountAccountPages(router: Router, deps: AccountPagesDeps): void {
  mountOverview(router, deps)
  mountProfile(router, deps)
  mountCredentialPages(router, deps)
  mountDataPages(router, deps)
}

function mountOverview(router: Router, { gate, signOutHref, render }: AccountPagesDeps): void {
  router.get(
    '/account',
    gate.show('', async function showAccount(ctx, { account }) {
      const { firstName, lastName, email } = account
      const name = [firstName, lastName].filter(Boolean).join(' ')
      render(ctx, 'account', { person: { name, email }, signOutHref })
    }),
  )
}

function mountProfile(router: Router, { gate, profile, render }: AccountPagesDeps): void {
  const page = 'profile'
  const here = addressOf(page)

  function show(ctx: Context, csrf: string, { values = {}, problem, status = 200 }: Refusal): void {
    const form = { action: here, csrf, values, problem, done: doneIn(ctx) }
    render(ctx, 'account-profile', form, { status, self: here })
  }

  router.get(
    here,
    gate.show(page, async function showProfile(ctx, { account, csrf }) {
      const { firstName = '', lastName = '', username = '', locale = '' } = account
      show(ctx, csrf, { values: { first_name: firstName, last_name: lastName, username, locale } })
    }),
  )

  router.post(
    here,
    gate.submit(page, async function saveProfile(ctx, { account, csrf }, form) {
      const { first_name = '', last_name = '', username = '', locale = '' } = form
      const names = { firstName: orNothing(first_name), lastName: orNothing(last_name) }
      const patch = { ...names, username: orNothing(username), locale: orNothing(locale) }
      try {
        await profile.change(account.id, patch, () => {}, tracesOf(ctx))
      } catch (error) {
        const values = { first_name, last_name, username, locale }
        return show(ctx, csrf, { values, ...formProblemOf(ctx, error) })
      }
      seeOther(ctx, doneAt(page, 'profile'))
    }),
  )
}

/** An empty field takes the value away. */
const orNothing = (text: string): string | null => text.trim() || null
