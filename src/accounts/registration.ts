/**
 * How people get an account by themselves. In the mode `verified` there is no account before the address is proved, and
 * nobody is told whether there was one: every request does the same, and the mail decides.
 */
import { type AuditSink, owner, type Traces } from '../audit-event.ts'
import { type CodeHolder, invalidCode, type OneTimeCodes, provedAddress } from '../codes/one-time-code.ts'
import type { RegistrationMode } from '../config.ts'
import { AppError } from '../errors.ts'
import { createKeyedDigest } from '../keyed-digest.ts'
import { addressKey } from '../limits/address.ts'
import type { Limits } from '../limits/limits.ts'
import type { Intent } from '../mail/intent.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Outbox } from '../mail/outbox.ts'
import type { Database, Executor } from '../storage/tables.ts'
import type { Account } from './account.ts'
import { difference } from './account-difference.ts'
import { checkAccount } from './account-input.ts'
import type { Accounts, NewAccount } from './accounts.ts'
import type { HashPool } from './hash-pool.ts'
import type { PasswordPolicy } from './password-policy.ts'
import type { PendingRegistration, PendingStore } from './pending-store.ts'
import { presentAccount } from './presentation.ts'

export const REGISTRATION = 'registration'

export interface RegistrationDeps {
  mode: RegistrationMode
  db: Database
  accounts: Pick<Accounts, 'create' | 'findByLogin' | 'revise'>
  pending: PendingStore
  codes: Pick<OneTimeCodes, 'issue' | 'redeem' | 'subjectOf' | 'ttlSeconds'>
  limits: Pick<Limits, 'spend' | 'spendFor'>
  policy: PasswordPolicy
  hashes: Pick<HashPool, 'hash'>
  audit: AuditSink<Executor>
  enqueue: Outbox['add']
  send: Mailer['send']
  pepper: string
}

export interface RegistrationInput {
  email: string
  password: string
  username?: string | undefined
  firstName?: string | undefined
  lastName?: string | undefined
  /** BCP 47; also the language of the mail. */
  locale?: string | undefined
}

export interface Verification {
  email: string
  code: unknown
  /** The caller's address behind the configured proxies. */
  from: string
  traces?: Traces
}

export type Registration = ReturnType<typeof createRegistration>

export function createRegistration(deps: RegistrationDeps) {
  const { mode, db, accounts, pending, codes, limits, policy, hashes, audit, enqueue, send, pepper } = deps

  async function register(input: RegistrationInput, from: string, traces?: Traces): Promise<Account | undefined> {
    refuseWhenClosed()
    const person = personOf(input)
    checkAccount(person)
    await limits.spend('code-request', { address: from })
    if (mode === 'open') return registerAtOnce({ ...person, password: input.password }, traces ?? { address: from })
    policy.check(input.password, [input.email, input.username ?? ''])
    const passwordHash = await hashes.hash(input.password)
    await keepPending({ ...person, passwordHash, origin: originOf(from) })
    await enqueue(db, { kind: REGISTRATION, email: input.email })
    return undefined
  }

  async function registerAtOnce(input: NewAccount, traces: Traces): Promise<Account> {
    const account = await accounts.create(input, recordCreation(traces))
    await enqueue(db, { kind: REGISTRATION, email: account.email })
    return account
  }

  const recordCreation = (traces: Traces) => (executor: Executor, account: Account) =>
    audit(executor, owner(account.id, traces), {
      action: 'account.created',
      target: { kind: 'account', id: account.id },
      after: presentAccount(account),
    })

  async function resend({ email, from }: { email: string; from: string }): Promise<void> {
    refuseWhenClosed()
    checkAccount({ email })
    await limits.spend('code-request', { address: from })
    await enqueue(db, { kind: REGISTRATION, email })
  }

  /**
   * Somebody else could register an address just after its owner has, and the owner would confirm the wrong password.
   * From the same network a registration replaces the one before; from two, neither password counts, and whoever reads
   * the mail sets one by a password reset.
   */
  async function keepPending(registration: PendingRegistration): Promise<void> {
    const subject = codes.subjectOf(registration.email)
    const isFirst = await pending.saveFirst(subject, registration)
    const before = await pending.find(subject)
    const isContested = before?.passwordHash === null || before?.origin !== registration.origin
    const replacement = { ...registration, passwordHash: isContested ? null : registration.passwordHash }
    // A first registration is kept already: this only makes it cost what a repeated one does.
    if (isFirst) await pending.saveFirst(subject, replacement)
    else await pending.replace(subject, replacement)
  }

  /** Beyond three mails in an hour nothing is sent; the newest code still lives. */
  const deliver = ({ email = '' }: Pick<Intent, 'email'>): Promise<void> =>
    limits.spendFor('code-mail', { identifier: `${REGISTRATION} ${email}` }, async () => {
      const account = await accounts.findByLogin(email)
      if (account) return account.status === 'active' ? tellOwner(account) : undefined
      const registration = await pending.find(codes.subjectOf(email))
      if (registration) await sendCode(registration)
    })

  /** An account of the mode `open` may still have to prove its address; everybody else hears that it is taken. */
  async function tellOwner({ email: address, emailVerified, locale }: Account): Promise<void> {
    if (mode === 'open' && !emailVerified) return sendCode({ email: address, locale })
    await send({ to: { address }, template: 'registration-notice', locale, data: {} })
  }

  const sendCode = ({ email: address, locale }: { email: string; locale?: string | undefined }): Promise<void> =>
    codes.issue(holderOf(address), (code) =>
      send({
        to: { address },
        template: 'registration-code',
        locale,
        data: { code, lifeMinutes: codes.ttlSeconds / 60 },
      }),
    )

  async function verify({ email, code, from, traces = { address: from } }: Verification): Promise<Account> {
    refuseWhenClosed()
    await limits.spend('code-attempt', { address: from })
    if (!(await codes.redeem(holderOf(email), code))) throw invalidCode()
    const subject = codes.subjectOf(email)
    const registration = await pending.find(subject)
    if (registration) {
      const account = await createProved(registration, traces)
      await pending.remove(subject)
      return account
    }
    const account = await accounts.findByLogin(email)
    if (!account) throw invalidCode()
    const { id } = account
    return accounts.revise(
      id,
      { emailVerified: true },
      {
        settle: provedAddress(email),
        async around(executor, write) {
          const rewritten = await write()
          await audit(executor, owner(id, traces), {
            action: 'account.email_verified',
            target: { kind: 'account', id },
            ...difference(rewritten.before, rewritten.after),
          })
          return rewritten
        },
      },
    )
  }

  /** A username that was taken meanwhile is no reason to lose the account: it can be chosen anew. */
  async function createProved(registration: PendingRegistration, traces: Traces): Promise<Account> {
    const { origin: _, username, ...person } = registration
    const proved = { ...person, emailVerified: true }
    const record = recordCreation(traces)
    if (username === undefined) return accounts.create(proved, record)
    try {
      return await accounts.create({ ...proved, username }, record)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'conflict') throw error
      return accounts.create(proved, record)
    }
  }

  const holderOf = (address: string): CodeHolder => ({
    purpose: REGISTRATION,
    subject: codes.subjectOf(address),
    address,
  })

  const originDigest = createKeyedDigest(pepper, 'registration origin')
  const originOf = (from: string): string => originDigest(addressKey(from)).toString('base64url')

  function refuseWhenClosed(): void {
    if (mode === 'closed') throw new AppError('registration_closed', 403, 'Nobody can register here by themselves.')
  }

  return {
    mode,

    /**
     * In the mode `verified` answers undefined for every address, after the same work; in the mode `open` the account,
     * whose address is not proved yet. Throws bad_request (400), invalid_password (400), rate_limited (429) by the
     * caller's address, registration_closed (403), conflict (409) in the mode `open` only, Unavailable (503).
     */
    register,

    /**
     * Wishes for the mail once more: the same work for every address, whether or not somebody has registered it.
     * Throws bad_request (400), rate_limited (429), registration_closed (403), Unavailable (503).
     */
    resend,

    /** Run by the outbox worker: a code for who can become an account, a notice for who is one. */
    deliver,

    /**
     * Proves the address by its code and makes the account, without a password when its registration was contested.
     * Throws invalid_code (400) whatever was wrong, conflict (409) when the address has been taken meanwhile,
     * rate_limited (429), registration_closed (403), Unavailable (503).
     */
    verify,
  }
}

/** Exactly what people may say about themselves, whatever else a request holds. */
const personOf = ({ email, username, firstName, lastName, locale }: RegistrationInput) => ({
  ...known({ username, firstName, lastName, locale }),
  email,
})

type Known<T> = { [Member in keyof T]?: Exclude<T[Member], undefined> }

const known = <T extends object>(members: T): Known<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Known<T> // members stay as they are
