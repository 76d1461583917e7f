/**
 * The frame of every page about one's own account: who sits at the browser by the session of the sign-in pages, and a
 * guard on every form. Without a session the person is sent to sign in and comes back to the page.
 */
import type { Context, Middleware } from 'koa'
import type { OwnSession } from './authenticate.ts'
import { readForm } from './body.ts'
import type { Csrf } from './csrf.ts'
import type { AccountDone, FormProblem } from './page-data.ts'
import { seeOther } from './see-other.ts'

/** A live session of an active account. */
export interface BrowserSession<Account> {
  account: Account
  session: OwnSession
  /** When the password was given, in seconds since the epoch. */
  authTime: number
}

/** Who a page is for. */
export interface SignedIn<Account> extends BrowserSession<Account> {
  /** For the forms of this page. */
  csrf: string
}

/** What a form is shown again with. */
export interface Refusal {
  values?: Record<string, string>
  problem?: FormProblem
  status?: number
}

export interface AccountGateDeps<Account> {
  csrf: Csrf
  /** Undefined when nobody is signed in here. */
  currentSession(ctx: Context): Promise<BrowserSession<Account> | undefined>
}

type Form = Record<string, string>

export interface AccountGate<Account = unknown> {
  /** Shows a page; `page` is its path below /account, empty for the first one. */
  show(page: string, handle: (ctx: Context, person: SignedIn<Account>) => Promise<void>): Middleware
  /** Takes a form of that page, which must carry the page's token. */
  submit(page: string, handle: (ctx: Context, person: SignedIn<Account>, form: Form) => Promise<void>): Middleware
}

export function createAccountGate<Account>({ csrf, currentSession }: AccountGateDeps<Account>): AccountGate<Account> {
  const bindingOf = ({ session }: BrowserSession<Account>, page: string) => `account ${session.id} ${page}`

  async function enter(ctx: Context, page: string): Promise<SignedIn<Account> | undefined> {
    const found = await currentSession(ctx)
    if (found) return { ...found, csrf: csrf.token(bindingOf(found, page)) }
    seeOther(ctx, signInFor(page))
    return undefined
  }

  return {
    show: (page, handle) => async (ctx) => {
      const person = await enter(ctx, page)
      if (person) await handle(ctx, person)
    },
    submit: (page, handle) => async (ctx) => {
      const form = await readForm(ctx)
      const person = await enter(ctx, page)
      if (!person) return
      csrf.check(ctx, bindingOf(person, page), form.csrf)
      await handle(ctx, person, form)
    },
  }
}

/** Begins a sign-in that returns to a page of the account. `isFresh` asks for the password in any case. */
export const signInFor = (page: string, { isFresh = false } = {}): string =>
  `/account/sign-in?${new URLSearchParams({ page, ...(isFresh ? { fresh: '1' } : {}) })}`

export const addressOf = (page: string): string => `/account/${page}`

/** The page again, saying what was just done. */
export const doneAt = (page: string, done: AccountDone): string => `${addressOf(page)}?done=${done}`

const DONE: readonly AccountDone[] = ['profile', 'password', 'email', 'session', 'others', 'application']

/** The address says what was just done; anything else it says is not repeated. */
export const doneIn = (ctx: Context): AccountDone | undefined =>
  ctx.method === 'GET' ? DONE.find((done) => done === ctx.query.done) : undefined
