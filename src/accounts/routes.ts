/** /api/v1/registration and /api/v1/me: an account and what its owner may do with it. */
import type Router from '@koa/router'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import type { Authenticate, Identity } from '../http/authenticate.ts'
import { checkIfMatch, sendWithEtag } from '../http/etag.ts'
import { pageOf, readPage } from '../http/pagination.ts'
import { remoteAddress } from '../http/remote-address.ts'
import { bodyOf } from '../http/validate.ts'
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
  authenticate: Authenticate
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

export function mountAccounts(router: Router, deps: AccountRoutesDeps): void {
  mountRegistration(router, deps)
  mountProfile(router, deps)
  mountCredentials(router, deps)
  mountDataRights(router, deps)
}

function mountRegistration(router: Router, { registration }: AccountRoutesDeps): void {
  const readRegistration = bodyOf<schemas.RegistrationRequest>(schemas.registrationRequest)
  const readVerification = bodyOf<schemas.VerificationRequest>(schemas.verificationRequest)

  router.post('/api/v1/registration', async function register(ctx) {
    const { first_name: firstName, last_name: lastName, ...rest } = await readRegistration(ctx)
    const account = await registration.register({ ...rest, firstName, lastName }, remoteAddress(ctx))
    ctx.status = account ? 201 : 202
    ctx.body = account ? presentAccount(account) : ACCEPTED
  })

  router.post('/api/v1/registration/verify', async function verifyAddress(ctx) {
    const { email, code } = await readVerification(ctx)
    ctx.body = presentAccount(await registration.verify({ email, code, from: remoteAddress(ctx) }))
  })
}

function mountProfile(router: Router, { authenticate, profile, ...deps }: AccountRoutesDeps): void {
  const readProfile = bodyOf<schemas.ProfileRequest>(schemas.profileRequest)

  router.get('/api/v1/me', async function showProfile(ctx) {
    const { subject } = await authenticate.account(ctx)
    const account = await deps.findActiveAccount(subject)
    if (!account) throw gone()
    sendWithEtag(ctx, presentAccount(account))
  })

  router.patch('/api/v1/me', async function changeProfile(ctx) {
    const { subject } = await authenticate.account(ctx)
    const { first_name: firstName, last_name: lastName, ...rest } = await readProfile(ctx)
    const seen = ctx.get('If-Match')
    const account = await profile.change(subject, { ...rest, firstName, lastName }, (before) =>
      checkIfMatch(seen, presentAccount(before)),
    )
    sendWithEtag(ctx, presentAccount(account))
  })
}

function mountCredentials(router: Router, { authenticate, changePassword, emailChange }: AccountRoutesDeps): void {
  const readPasswords = bodyOf<schemas.PasswordChangeRequest>(schemas.passwordChangeRequest)
  const readAddress = bodyOf<schemas.EmailChangeBody>(schemas.emailChangeBody)
  const readCode = bodyOf<schemas.CodeRequest>(schemas.codeRequest)

  router.put('/api/v1/me/password', async function replacePassword(ctx) {
    const { subject: accountId, session: keepSession } = await authenticate.account(ctx)
    const { current_password: currentPassword, new_password: newPassword } = await readPasswords(ctx)
    await changePassword({ accountId, currentPassword, newPassword, keepSession })
    ctx.status = 204
  })

  router.put('/api/v1/me/email', async function requestOtherAddress(ctx) {
    const { subject: accountId } = await authenticate.account(ctx)
    const { password, new_email: newEmail } = await readAddress(ctx)
    await emailChange.request({ accountId, password, newEmail, from: remoteAddress(ctx) })
    ctx.status = 202
    ctx.body = ACCEPTED
  })

  router.post('/api/v1/me/email/confirm', async function confirmOtherAddress(ctx) {
    const { subject: accountId } = await authenticate.account(ctx)
    const { code } = await readCode(ctx)
    sendWithEtag(ctx, presentAccount(await emailChange.confirm({ accountId, code, from: remoteAddress(ctx) })))
  })
}

function mountDataRights(router: Router, { authenticate, signIns, exportAccount, deletion }: AccountRoutesDeps): void {
  router.get('/api/v1/me/sign-ins', async function listSignIns(ctx) {
    const { subject } = await authenticate.account(ctx)
    const { limit, before } = signInPage(ctx)
    const entries = await signIns.list(subject, { limit: limit + 1, before })
    const shown = entries.slice(0, limit)
    const last = entries.length > limit ? shown.at(-1) : undefined
    ctx.set('Cache-Control', 'no-store')
    ctx.body = pageOf(shown.map(presentSignIn), last && [last.id])
  })

  router.get('/api/v1/me/export', async function exportEverything(ctx) {
    const { subject } = await authenticate.account(ctx)
    ctx.set('Cache-Control', 'no-store')
    ctx.attachment('account.json')
    ctx.type = 'application/json'
    ctx.body = await exportAccount(subject)
  })

  router.delete('/api/v1/me', async function deleteAccount(ctx) {
    const { subject, authTime }: Identity = await authenticate.account(ctx)
    const dueAt = await deletion.request(subject, authTime)
    ctx.status = 202
    ctx.body = { deletion_due_at: dueAt.toISOString() }
  })
}

function signInPage(ctx: Context): { limit: number; before: string | undefined } {
  const { limit, cursor } = readPage(ctx, ['string'])
  const [before] = cursor ?? []
  if (before === undefined) return { limit, before: undefined }
  if (!isUuid(before)) throw new AppError('bad_request', 400, 'The query cursor is not one this server has made.')
  return { limit, before }
}

/** The token is genuine, and its account has just been disabled or removed. */
const gone = () => new AppError('unauthenticated', 401, 'Sign in first: there is no such account any more.')
