/**
 * Who is signing in: the one place that checks a password, for the sign-in page and the password grant alike.
 * An account that does not exist costs the same reservations, look-up and hash as one that does.
 */
import { AppError } from '../errors.ts'
import type { Limits } from '../limits/limits.ts'
import type { Account } from './account.ts'
import type { Accounts } from './accounts.ts'
import { type HashPool, hashingUnavailable } from './hash-pool.ts'
import type { KnownDevices } from './known-device.ts'
import { unmatchableHash } from './password-hash.ts'
import { isOverlong } from './password-policy.ts'
import type { NewSignIn, SignInOutcome } from './sign-in.ts'

export interface AuthenticationDeps {
  accounts: Pick<Accounts, 'findByLogin' | 'replaceHash'>
  hashes: Pick<HashPool, 'hash' | 'verify' | 'isFull'>
  limits: Pick<Limits, 'spend' | 'clear'>
  devices: Pick<KnownDevices, 'isGenuine' | 'deviceOf' | 'tokenFor'>
  /** Keeps the history of the account. Never throws. */
  recordSignIn(entry: NewSignIn): Promise<void>
  /** False when the account was deleted and its time of grace is over; within it this brings the account back. */
  restore(account: Account): Promise<boolean>
}

export interface Credentials {
  /** E-mail address or username, as typed. */
  login: string
  password: string
  /** The caller's address behind the configured proxies. */
  from: string
  clientId: string
  userAgent: string
  /** What the device has kept of an earlier sign-in, as it came. */
  device?: string | undefined
}

export type Authentication = ReturnType<typeof createAuthentication>

export function createAuthentication(deps: AuthenticationDeps) {
  const { accounts, hashes, limits, devices, recordSignIn, restore } = deps
  // Fixed for the process: an unknown account verifies against it at the cost of a current hash.
  const nobodysHash = unmatchableHash()

  return {
    /**
     * The account that the credentials belong to. Throws AppError invalid_credentials (401) for every reason why
     * there is none, rate_limited (429) whether or not the account exists, Unavailable (503).
     */
    async authenticate({ login, password, from, clientId, userAgent, device }: Credentials): Promise<Account> {
      // A storm of sign-ins costs the others least when it is turned away before anything is asked of a store.
      if (hashes.isFull()) throw hashingUnavailable()
      const known = await knownDevice(login, device)
      // Reserved before hashing: of 200 parallel guesses no more than the budget are evaluated.
      await limits.spend('sign-in', { address: from, client: clientId, ...(known ? {} : { identifier: login }) })
      if (known) await limits.spend('known-device', { identifier: known.id })
      if (isOverlong(password)) throw invalidCredentials()

      const account = known?.account ?? (await accounts.findByLogin(login))
      const { matches, needsRehash } = await hashes.verify(account?.passwordHash ?? nobodysHash, password)
      // The state is looked at after the hash, so that a disabled account is as slow as a wrong password.
      const outcome = outcomeOf(account, matches)
      if (account && outcome !== 'succeeded') {
        await recordSignIn({ accountId: account.id, outcome, clientId, address: from, userAgent })
      }
      if (!account || outcome !== 'succeeded' || !(await restore(account))) throw invalidCredentials()

      await Promise.all([
        known ? limits.clear('known-device', known.id) : limits.clear('sign-in', login),
        needsRehash && rehash(account, password),
        recordSignIn({ accountId: account.id, outcome, clientId, address: from, userAgent }),
      ])
      return account
    },

    /** What a device should keep of a sign-in, to be told apart from strangers the next time. */
    deviceToken: (accountId: string, presented?: string | undefined): string => devices.tokenFor(accountId, presented),
  }

  /** Only a genuine token has the account looked up before the budget is asked, so strangers learn and save nothing. */
  async function knownDevice(login: string, token: string | undefined) {
    if (!devices.isGenuine(token)) return undefined
    const account = await accounts.findByLogin(login)
    const id = account && devices.deviceOf(token, account.id)
    return account && id !== undefined ? { account, id } : undefined
  }

  /** Best effort: whoever gave the right password is signed in even when this must wait for the next time. */
  async function rehash(account: Account, password: string): Promise<void> {
    if (account.passwordHash === undefined) return
    try {
      await accounts.replaceHash(account.id, { from: account.passwordHash, to: await hashes.hash(password) })
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
  }
}

function outcomeOf(account: Account | undefined, matches: boolean): SignInOutcome {
  if (!account || !matches) return 'wrong_password'
  return account.status === 'active' ? 'succeeded' : 'disabled'
}

const invalidCredentials = () => new AppError('invalid_credentials', 401, 'The login or the password is wrong.')
