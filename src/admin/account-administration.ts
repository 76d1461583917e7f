/**
 * What administrators do with the accounts of others. Nobody changes an account that holds more than they do, and what
 * people prove at /api/v1/me before they change it, such as their password, is not to be had here without that proof.
 * Every change is one transaction with its audit event; sessions end after it, by marks that are safe to repeat.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AccessChanges, Change } from '../access/access-change.ts'
import type { Account } from '../accounts/account.ts'
import type { AccountInput } from '../accounts/account-input.ts'
import type { Accounts, NewAccount, Rewritten } from '../accounts/accounts.ts'
import type { PasswordNotice } from '../accounts/password-notice.ts'
import { mergeClaims, mergePatch } from '../accounts/profile.ts'
import type { Actor, AuditEvent } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import type { PasswordReset } from '../password-reset/password-reset.ts'
import { presentSession } from '../sessions/presentation.ts'
import type { SessionPage, Sessions } from '../sessions/sessions.ts'
import type { ListPosition } from '../storage/ephemeral.ts'
import { presentAdministered } from './presentation.ts'

export interface AccountAdministrationDeps {
  accounts: Pick<Accounts, 'findById' | 'search' | 'create' | 'revise' | 'remove'>
  changes: AccessChanges
  sessions: Pick<Sessions, 'list' | 'all' | 'end' | 'endAll'>
  /** Tells the owner by mail that the password is another one. */
  notice: Pick<PasswordNotice, 'note'>
  passwordReset: Pick<PasswordReset, 'requestFor'>
}

/** Members left out stay as they are, null takes a value away; profile and attributes are merge patches (RFC 7396). */
export type AccountPatch = Omit<AccountInput, 'passwordHash'>

export type AccountAdministration = ReturnType<typeof createAccountAdministration>

export function createAccountAdministration(deps: AccountAdministrationDeps) {
  const { accounts, changes, sessions, notice, passwordReset } = deps

  async function find(id: string): Promise<Account> {
    const account = await accounts.findById(id)
    if (!account) throw new AppError('not_found', 404, 'There is no such account.')
    return account
  }

  const create = (actor: Actor, input: NewAccount): Promise<Account> =>
    accounts.create(input, (executor, account) =>
      changes.within(executor, actor, (change) =>
        change.record({ ...about('created', account.id), after: presentAdministered(account) }),
      ),
    )

  async function change(
    actor: Actor,
    id: string,
    { profile, attributes, ...input }: AccountPatch,
    mayChange: (before: Account) => void,
  ): Promise<Account> {
    if (isOwn(actor, id)) refuseOwnCredentials(input)
    return accounts.revise(id, input, {
      settle(before) {
        mayChange(before)
        return {
          ...(profile && { profile: mergeClaims(before.profile, profile) }),
          ...(attributes && { attributes: mergePatch(before.attributes, attributes) }),
        }
      },
      around: (executor, write) =>
        changes.within(executor, actor, async (change) => {
          await change.requireOver(id)
          const rewritten = await write()
          await recordAll(change, rewritten, input)
          if (input.password !== undefined) await notice.note(executor, rewritten.after)
          return rewritten
        }),
    })
  }

  async function remove(actor: Actor, id: string): Promise<void> {
    if (isOwn(actor, id)) throw onlyAtMe('Your own account is deleted with DELETE /api/v1/me, after a fresh sign-in.')
    await accounts.remove(id, (executor, write) =>
      changes.within(executor, actor, async (change) => {
        await change.requireOver(id)
        const before = await write()
        await change.record({ ...about('deleted', id), before: presentAdministered(before) })
        return before
      }),
    )
  }

  /** For what happens outside the database: whether it may happen, and that it does. */
  const announce = (actor: Actor, id: string, event: AuditEvent): Promise<void> =>
    changes.change(actor, async (change) => {
      await change.requireOver(id)
      await change.record(event)
    })

  async function listSessions(
    id: string,
    page: { limit: number; before: ListPosition | undefined },
  ): Promise<SessionPage> {
    await find(id)
    return sessions.list(id, page)
  }

  async function endSession(actor: Actor, id: string, sessionId: string): Promise<void> {
    const session = (await sessions.all(id)).find((living) => living.id === sessionId)
    if (!session) throw new AppError('not_found', 404, 'There is no such session.')
    await announce(actor, id, { ...about('session_ended', id), before: presentSession(session) })
    await sessions.end(id, sessionId)
  }

  async function signOut(actor: Actor, id: string): Promise<void> {
    await find(id)
    await announce(actor, id, about('signed_out', id))
    await sessions.endAll(id)
  }

  async function sendResetCode(actor: Actor, id: string): Promise<void> {
    const account = await find(id)
    if (account.status !== 'active') throw new AppError('conflict', 409, 'A disabled account gets no reset code.')
    await changes.change(actor, async (change) => {
      await change.requireOver(id)
      await passwordReset.requestFor(change.executor, account)
      await change.record(about('password_reset_requested', id))
    })
  }

  return {
    /** A page of accounts, as Accounts.search has them. */
    list: accounts.search,

    /** Throws not_found (404). */
    find,

    /** Throws bad_request (400), invalid_password (400), conflict (409). */
    create,

    /**
     * Changes an account; a new password and being disabled end every session and token of it. `mayChange` sees the
     * account as it is when it is changed, and throws to leave it so.
     * Throws bad_request (400), invalid_password (400), forbidden (403) for an account that holds more than the actor,
     * not_found (404), conflict (409) for a taken name, the last superuser, or one's own credentials.
     */
    change,

    /**
     * Removes an account at once, with every session and token of it. Throws forbidden (403) for an account that holds
     * more than the actor, not_found (404), conflict (409) for the last superuser and for one's own account.
     */
    remove,

    /** A page of the living sessions of an account. Throws not_found (404). */
    listSessions,

    /** Throws not_found (404), forbidden (403) for an account that holds more than the actor. */
    endSession,

    /** Ends every session and token of an account. Throws as endSession does. */
    signOut,

    /** Mails a reset code to the owner. Throws as endSession does, and conflict (409) for a disabled account. */
    sendResetCode,
  }
}

const about = (happening: string, id: string) =>
  ({ action: `account.${happening}`, target: { kind: 'account', id } }) satisfies AuditEvent

const isOwn = ({ kind, id }: Actor, accountId: string): boolean => kind === 'account' && id === accountId

/** An open session must not be enough to take the account over. */
function refuseOwnCredentials({ email, emailVerified, password }: AccountPatch): void {
  const faults = Object.entries({ email, email_verified: emailVerified, password })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => ({ pointer: `/${name}`, message: 'is changed at /api/v1/me, with the present password' }))
  if (faults.length > 0) throw onlyAtMe('Your own credentials are changed at /api/v1/me.', faults)
}

const onlyAtMe = (message: string, faults: { pointer: string; message: string }[] = []) =>
  new AppError('conflict', 409, message, { faults })

/** One event for each thing that has happened; none when everything is as it was. */
async function recordAll({ record }: Change, { before, after }: Rewritten, input: AccountPatch): Promise<void> {
  const happenings = [
    ...(input.password === undefined ? [] : ['password_set']),
    ...(before.status === after.status ? [] : [after.status === 'disabled' ? 'disabled' : 'enabled']),
    ...(isDeepStrictEqual(describing(before), describing(after)) ? [] : ['changed']),
  ]
  const states = { before: presentAdministered(before), after: presentAdministered(after) }
  for (const happening of happenings) await record({ ...about(happening, after.id), ...states })
}

/** What is left of an account without what has an event of its own. */
function describing(account: Account): object {
  const { updated_at: _at, status: _status, has_password: _password, ...rest } = presentAdministered(account)
  return rest
}
