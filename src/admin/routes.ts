/** /api/v1/accounts: the accounts of others, for administrators. */
import { ACCOUNTS_ADMIN } from '../access/permission.ts'
import { sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import { onePage, type Page, uuidOf } from '../http/pagination.ts'
import type { Route } from '../http/route.ts'
import { presentSession } from '../sessions/presentation.ts'
import type { AccountAdministration } from './account-administration.ts'
import { presentAdministered } from './presentation.ts'
import * as schemas from './schemas.ts'

export interface AccountAdministrationRoutesDeps {
  accountAdministration: AccountAdministration
}

const ACCOUNTS = '/api/v1/accounts'
const ONE = `${ACCOUNTS}/{id}`
const SESSIONS = `${ONE}/sessions`

const FOR_ADMINISTRATORS = { tag: 'Accounts', who: { permissions: [ACCOUNTS_ADMIN] } } as const

const UNKNOWN = 'There is no such account.'
const BEYOND = 'The account holds a permission that you do not hold; the faults name it.'

export function mountAccountAdministration(api: Api, deps: AccountAdministrationRoutesDeps): void {
  mountCollection(api, deps)
  mountOne(api, deps)
  mountSessionsOf(api, deps)
}

function mountCollection(api: Api, { accountAdministration }: AccountAdministrationRoutesDeps): void {
  api.add(
    {
      ...FOR_ADMINISTRATORS,
      id: 'listAccounts',
      method: 'get',
      path: ACCOUNTS,
      summary: 'List the accounts',
      description:
        'In the order of their e-mail addresses. A search finds those whose address begins with the text, and behind ' +
        'them those of whom only the username does, in the order of the usernames.',
      page: { cursor: ['number', 'string', 'string'], search: 'How the e-mail address or the username begins.' },
      answers: { 200: { description: 'A page of accounts.', schema: schemas.accountPage } },
    },
    async function listAccounts(ctx, { page }) {
      const { limit, search } = page
      const found = await accountAdministration.list({ search, limit: limit + 1, after: positionOf(page) })
      const shown = onePage(found, limit, ({ turn, text, item }) => [turn, text, item.id])
      sendPage(ctx, shown, ({ item }) => presentAdministered(item))
    },
  )

  api.add<schemas.AccountCreation>(
    {
      ...FOR_ADMINISTRATORS,
      id: 'createAccount',
      method: 'post',
      path: ACCOUNTS,
      summary: 'Create an account',
      body: schemas.accountCreation,
      idempotent: true,
      answers: { 201: { description: 'The new account.', schema: schemas.account } },
      errors: {
        conflict: 'The address or the username belongs to another account.',
        invalid_password: 'The policy refuses the password.',
      },
    },
    async function createAccount(ctx, { caller, body }) {
      const account = await accountAdministration.create(caller.actor, { ...inputOf(body), email: body.email })
      sendCreated(ctx, `${ACCOUNTS}/${account.id}`, presentAdministered(account))
    },
  )
}

function mountOne(api: Api, { accountAdministration }: AccountAdministrationRoutesDeps): void {
  const one = { ...FOR_ADMINISTRATORS, path: ONE } as const

  api.add(
    {
      ...one,
      id: 'getAccount',
      method: 'get',
      summary: 'Read an account',
      answers: { 200: { description: 'The account.', schema: schemas.account } },
      errors: { not_found: UNKNOWN },
    },
    async function showAccount(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentAdministered(await accountAdministration.find(id)))
    },
  )

  api.add<schemas.AccountChange>(
    {
      ...one,
      id: 'changeAccount',
      method: 'patch',
      summary: 'Change, disable or enable an account',
      description:
        'Members that are left out stay; null removes one. A new password and the status `disabled` end every session ' +
        'and token of the account; its owner is told of a new password by mail. Your own address and password are ' +
        'changed at /api/v1/me, with the present password.',
      body: schemas.accountChange,
      ifMatch: true,
      answers: { 200: { description: 'The account as it is now.', schema: schemas.account } },
      errors: {
        forbidden: BEYOND,
        not_found: UNKNOWN,
        conflict: 'A name is taken, this is the last superuser, or these are your own credentials.',
        invalid_password: 'The policy refuses the password.',
      },
    },
    async function changeAccount(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const account = await accountAdministration.change(caller.actor, id, inputOf(body), (before) =>
        checkIfMatch(ifMatch, presentAdministered(before)),
      )
      sendWithEtag(ctx, presentAdministered(account))
    },
  )

  api.add(
    {
      ...one,
      id: 'deleteAccount',
      method: 'delete',
      summary: 'Delete an account at once',
      description: 'With every session and token of it, and without a time of grace.',
      answers: { 204: { description: 'It is gone.' } },
      errors: {
        forbidden: BEYOND,
        not_found: UNKNOWN,
        conflict: 'This is the last superuser, or your own account, which is deleted at /api/v1/me.',
      },
    },
    async function deleteAccount(ctx, { caller, params: { id = '' } }) {
      await accountAdministration.remove(caller.actor, id)
      ctx.status = 204
    },
  )

  api.add(
    {
      ...FOR_ADMINISTRATORS,
      id: 'sendPasswordReset',
      method: 'post',
      path: `${ONE}/password-reset`,
      summary: 'Mail a reset code to the owner of an account',
      description: 'The present password stays until the code is used.',
      answers: { 202: { description: 'The code will be mailed.', schema: schemas.accepted } },
      errors: { forbidden: BEYOND, not_found: UNKNOWN, conflict: 'The account is disabled.' },
    },
    async function sendPasswordReset(ctx, { caller, params: { id = '' } }) {
      await accountAdministration.sendResetCode(caller.actor, id)
      ctx.status = 202
      ctx.body = { status: 'accepted' }
    },
  )
}

function mountSessionsOf(api: Api, { accountAdministration }: AccountAdministrationRoutesDeps): void {
  api.add(
    {
      ...FOR_ADMINISTRATORS,
      id: 'listAccountSessions',
      method: 'get',
      path: SESSIONS,
      summary: 'List where an account is signed in',
      description: 'Most recently used first.',
      page: { cursor: ['number', 'string'] },
      answers: { 200: { description: 'A page of sessions.', schema: schemas.sessionPage } },
      errors: { not_found: UNKNOWN },
    },
    async function listAccountSessions(ctx, { params: { id = '' }, page: { limit, cursor } }) {
      const before = cursor && { usedAtMs: Number(cursor[0]), member: String(cursor[1]) }
      const { items, next } = await accountAdministration.listSessions(id, { limit, before })
      sendPage(ctx, { items, next: next && [next.usedAtMs, next.member] }, presentSession)
    },
  )

  const ending = {
    ...FOR_ADMINISTRATORS,
    method: 'delete',
    errors: { forbidden: BEYOND, not_found: UNKNOWN },
  } as const satisfies Partial<Route>

  api.add(
    {
      ...ending,
      id: 'endAccountSessions',
      path: SESSIONS,
      summary: 'Sign an account out everywhere',
      description: 'Ends every session and token of it.',
      answers: { 204: { description: 'They have ended.' } },
    },
    async function endAccountSessions(ctx, { caller, params: { id = '' } }) {
      await accountAdministration.signOut(caller.actor, id)
      ctx.status = 204
    },
  )

  api.add(
    {
      ...ending,
      id: 'endAccountSession',
      path: `${SESSIONS}/{session_id}`,
      summary: 'End one session of an account',
      params: { session_id: { description: 'The id of the session.', schema: schemas.sessionId } },
      answers: { 204: { description: 'It has ended.' } },
      errors: { ...ending.errors, not_found: 'The account has no such session.' },
    },
    async function endAccountSession(ctx, { caller, params: { id = '', session_id: sessionId = '' } }) {
      await accountAdministration.endSession(caller.actor, id, sessionId)
      ctx.status = 204
    },
  )
}

/** Where a page of accounts begins. Throws bad_request (400) for a cursor this server has not made. */
function positionOf({ cursor }: Page) {
  if (!cursor) return undefined
  const [turn, text, id] = cursor
  return { turn: Number(turn), text: String(text), id: uuidOf(id) }
}

const inputOf = <Body extends schemas.AccountCreation | schemas.AccountChange>(body: Body) => {
  const { first_name: firstName, last_name: lastName, email_verified: emailVerified, ...rest } = body
  const renamed = { firstName, lastName, emailVerified }
  return { ...rest, ...Object.fromEntries(Object.entries(renamed).filter(([, value]) => value !== undefined)) }
}
