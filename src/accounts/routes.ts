/** /api/v1/registration and /api/v1/me: an account and what its owner may do with it. */
import { AppError } from '../errors.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendWithEtag } from '../http/etag.ts'
import { identityOf } from '../http/gatekeeper.ts'
import { type Page, pageOf } from '../http/pagination.ts'
import { remoteAddress } from '../http/remote-address.ts'
import { isUuid } from '../ids.ts'
import type { Account } from './account.ts'
import type { AccountDeletion } from './account-deletion.ts'
import type { AccountExport } from './account-export.ts'
import type { EmailChange } from './email-change.ts'
import type { ChangePassword } from './password-change.ts'
import { presentAccount, presentSignIn } from './presentation.ts'
import type { Profile } from './profile.ts'
import type { Registration } from './registration.ts'
import * as schemas from './schemas.ts'
import type { SignIns } from './sign-ins.ts'

export interface AccountRoutesDeps {
  registration: Registration
  profile: Profile
  signIns: Pick<SignIns, 'list'>
  exportAccount: AccountExport
  deletion: Pick<AccountDeletion, 'request'>
  changePassword: ChangePassword
  emailChange: Pick<EmailChange, 'request' | 'confirm'>
  findActiveAccount(id: string): Promise<Account | undefined>
}

/** Answered for every address alike, whether or not it has an account. */
const ACCEPTED = { status: 'accepted' }

const WRONG_PASSWORD = { status: 403, description: 'The current password is wrong.' }

export function mountAccounts(api: Api, deps: AccountRoutesDeps): void {
  mountRegistration(api, deps)
  mountProfile(api, deps)
  mountCredentials(api, deps)
  mountDataRights(api, deps)
}

function mountRegistration(api: Api, { registration }: AccountRoutesDeps): void {
  api.add<schemas.RegistrationRequest>(
    {
      id: 'register',
      method: 'post',
      path: '/api/v1/registration',
      tag: 'Registration',
      summary: 'Register an account',
      description:
        'With verified registration the answer is the same for every address: a code is mailed to it, and the owner ' +
        'of an address that has an account is told so by mail.',
      who: { anyone: true },
      body: schemas.registrationRequest,
      answers: {
        201: { description: 'The account exists: registration is open.', schema: schemas.account },
        202: { description: 'Prove the address with the mailed code.', schema: schemas.accepted },
      },
      errors: {
        conflict: 'The address or the username belongs to another account.',
        registration_closed: 'This server takes no registrations.',
      },
    },
    async function register(ctx, { caller, body }) {
      const { first_name: firstName, last_name: lastName, ...rest } = body
      const account = await registration.register({ ...rest, firstName, lastName }, remoteAddress(ctx), caller.actor)
      ctx.status = account ? 201 : 202
      ctx.body = account ? presentAccount(account) : ACCEPTED
    },
  )

  api.add<schemas.VerificationRequest>(
    {
      id: 'verifyRegistration',
      method: 'post',
      path: '/api/v1/registration/verify',
      tag: 'Registration',
      summary: 'Prove the address of a registration',
      who: { anyone: true },
      body: schemas.verificationRequest,
      answers: { 200: { description: 'The new account.', schema: schemas.account } },
      errors: {
        invalid_code: 'The code is wrong, used or expired.',
        conflict: 'The address or the username has been taken meanwhile.',
        registration_closed: 'This server takes no registrations.',
      },
    },
    async function verifyAddress(ctx, { caller, body: { email, code } }) {
      const from = remoteAddress(ctx)
      ctx.body = presentAccount(await registration.verify({ email, code, from, traces: caller.actor }))
    },
  )
}

function mountProfile(api: Api, { profile, findActiveAccount }: AccountRoutesDeps): void {
  api.add(
    {
      id: 'getMe',
      method: 'get',
      path: '/api/v1/me',
      tag: 'My account',
      summary: 'Read my account',
      who: { account: true },
      answers: { 200: { description: 'The account.', schema: schemas.account } },
    },
    async function showProfile(ctx, { caller }) {
      const account = await findActiveAccount(identityOf(caller).subject)
      if (!account) throw gone()
      sendWithEtag(ctx, presentAccount(account))
    },
  )

  api.add<schemas.ProfileRequest>(
    {
      id: 'changeMe',
      method: 'patch',
      path: '/api/v1/me',
      tag: 'My account',
      summary: 'Change my profile',
      description: 'Members that are left out stay; null removes one.',
      who: { account: true },
      body: schemas.profileRequest,
      ifMatch: true,
      answers: { 200: { description: 'The account as it is now.', schema: schemas.account } },
      errors: { conflict: 'The username belongs to another account.' },
    },
    async function changeProfile(ctx, { caller, body, ifMatch }) {
      const { first_name: firstName, last_name: lastName, ...rest } = body
      const mayChange = (before: Account) => checkIfMatch(ifMatch, presentAccount(before))
      const patch = { ...rest, firstName, lastName }
      const account = await profile.change(identityOf(caller).subject, patch, mayChange, caller.actor)
      sendWithEtag(ctx, presentAccount(account))
    },
  )
}

function mountCredentials(api: Api, { changePassword, emailChange }: AccountRoutesDeps): void {
  api.add<schemas.PasswordChangeRequest>(
    {
      id: 'changeMyPassword',
      method: 'put',
      path: '/api/v1/me/password',
      tag: 'My account',
      summary: 'Change my password',
      description: 'Ends all sessions but the one that asks, and mails a notice.',
      who: { account: true },
      body: schemas.passwordChangeRequest,
      answers: { 204: { description: 'The new password is in force.' } },
      errors: { invalid_credentials: WRONG_PASSWORD, invalid_password: 'The new password breaks the policy.' },
    },
    async function replacePassword(ctx, { caller, body }) {
      const { subject: accountId, session: keepSession } = identityOf(caller)
      const { current_password: currentPassword, new_password: newPassword } = body
      await changePassword({ accountId, currentPassword, newPassword, keepSession, traces: caller.actor })
      ctx.status = 204
    },
  )

  api.add<schemas.EmailChangeBody>(
    {
      id: 'requestEmailChange',
      method: 'put',
      path: '/api/v1/me/email',
      tag: 'My account',
      summary: 'Ask for another address',
      description: 'Mails a code to the new address; nothing changes until it is confirmed.',
      who: { account: true },
      body: schemas.emailChangeBody,
      answers: { 202: { description: 'Confirm with the mailed code.', schema: schemas.accepted } },
      errors: { invalid_credentials: WRONG_PASSWORD },
    },
    async function requestOtherAddress(ctx, { caller, body: { password, new_email: newEmail } }) {
      const { subject: accountId } = identityOf(caller)
      await emailChange.request({ accountId, password, newEmail, from: remoteAddress(ctx) })
      ctx.status = 202
      ctx.body = ACCEPTED
    },
  )

  api.add<schemas.CodeRequest>(
    {
      id: 'confirmEmailChange',
      method: 'post',
      path: '/api/v1/me/email/confirm',
      tag: 'My account',
      summary: 'Confirm another address',
      who: { account: true },
      body: schemas.codeRequest,
      answers: { 200: { description: 'The account with its new address.', schema: schemas.account } },
      errors: {
        invalid_code: 'The code is wrong, used or expired.',
        conflict: 'The address belongs to another account.',
      },
    },
    async function confirmOtherAddress(ctx, { caller, body: { code } }) {
      const { subject: accountId } = identityOf(caller)
      const given = { accountId, code, from: remoteAddress(ctx), traces: caller.actor }
      sendWithEtag(ctx, presentAccount(await emailChange.confirm(given)))
    },
  )
}

function mountDataRights(api: Api, { signIns, exportAccount, deletion }: AccountRoutesDeps): void {
  api.add(
    {
      id: 'listMySignIns',
      method: 'get',
      path: '/api/v1/me/sign-ins',
      tag: 'My account',
      summary: 'List my sign-ins, the latest first',
      description: 'Refused attempts are among them.',
      who: { account: true },
      page: { cursor: ['string'] },
      answers: { 200: { description: 'One page.', schema: schemas.signInPage } },
    },
    async function listSignIns(ctx, { caller, page }) {
      const { limit, before } = signInPage(page)
      const entries = await signIns.list(identityOf(caller).subject, { limit: limit + 1, before })
      const shown = entries.slice(0, limit)
      const last = entries.length > limit ? shown.at(-1) : undefined
      ctx.set('Cache-Control', 'no-store')
      ctx.body = pageOf(shown.map(presentSignIn), last && [last.id])
    },
  )

  api.add(
    {
      id: 'exportMe',
      method: 'get',
      path: '/api/v1/me/export',
      tag: 'My account',
      summary: 'Export everything that is held about me',
      who: { account: true },
      answers: { 200: { description: 'The document, as a file.', schema: schemas.accountExport } },
      errors: { not_found: 'The account has just been removed.' },
    },
    async function exportEverything(ctx, { caller }) {
      ctx.set('Cache-Control', 'no-store')
      ctx.attachment('account.json')
      ctx.type = 'application/json'
      ctx.body = await exportAccount(identityOf(caller).subject)
    },
  )

  api.add(
    {
      id: 'deleteMe',
      method: 'delete',
      path: '/api/v1/me',
      tag: 'My account',
      summary: 'Delete my account',
      description:
        'Ends all sessions now. Signing in before the named instant takes it back; after it everything is removed.',
      who: { account: true },
      answers: { 202: { description: 'When it will be removed.', schema: schemas.deletion } },
      errors: {
        fresh_sign_in_required: 'The sign-in is too long ago for this.',
        conflict: 'This is the last superuser.',
      },
    },
    async function deleteAccount(ctx, { caller }) {
      const { subject, authTime } = identityOf(caller)
      const dueAt = await deletion.request(subject, authTime, caller.actor)
      ctx.status = 202
      ctx.body = { deletion_due_at: dueAt.toISOString() }
    },
  )
}

function signInPage({ limit, cursor }: Page): { limit: number; before: string | undefined } {
  const [before] = cursor ?? []
  if (before === undefined) return { limit, before: undefined }
  if (!isUuid(before)) throw new AppError('bad_request', 400, 'The query cursor is not one this server has made.')
  return { limit, before }
}

/** The token is genuine, and its account has just been disabled or removed. */
const gone = () => new AppError('unauthenticated', 401, 'Sign in first: there is no such account any more.')
