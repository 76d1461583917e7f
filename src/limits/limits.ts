/**
 * Every budget of the server in one table, and the one way to spend from them. A budget that is not there because the
 * store does not answer is 503, never an open door. Keys are keyed digests: neither addresses nor logins lie in the
 * store.
 */
import { AppError } from '../errors.ts'
import { createKeyedDigest } from '../keyed-digest.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { addressKey } from './address.ts'

export interface Budget {
  /** What is counted: each address, login or client has a bucket of its own; `everybody` shares one. */
  per: 'address' | 'identifier' | 'client' | 'everybody'
  capacity: number
  perSecond: number
  /** A success gives back what a run of failures has spent. */
  untilSuccess?: true
}

export type BudgetName =
  | 'sign-in'
  | 'known-device'
  | 'client-authentication'
  | 'own-password'
  | 'code-request'
  | 'code-attempt'
  | 'code-mail'
  | 'short-code'
  | 'code-failure'
export type Budgets = Readonly<Record<BudgetName, readonly Budget[]>>

const HOUR = 3600
const DAY = 24 * HOUR

// A stranger can slow an owner down but not lock him out: after ten failures in a row one attempt is free every 30 s,
// after twenty every 5 min, after thirty every hour. NIST SP 800-63B section 3.2.2 allows 100 in a row.
const RUN_OF_FAILURES: readonly Budget[] = [
  { per: 'identifier', capacity: 10, perSecond: 1 / 30, untilSuccess: true },
  { per: 'identifier', capacity: 20, perSecond: 1 / 300, untilSuccess: true },
  { per: 'identifier', capacity: 30, perSecond: 1 / 3600, untilSuccess: true },
]

/** Spent in this order; the first that is exhausted answers, and those behind it stay untouched. */
export const BUDGETS: Budgets = {
  'sign-in': [
    { per: 'address', capacity: 20, perSecond: 20 / 60 },
    { per: 'client', capacity: 1000, perSecond: 100 },
    ...RUN_OF_FAILURES,
  ],
  // A device that its owner has signed in on before is counted apart from everybody else who tries that login.
  'known-device': RUN_OF_FAILURES,
  // Spent by failures only.
  'client-authentication': [
    { per: 'address', capacity: 60, perSecond: 1 },
    { per: 'client', capacity: 120, perSecond: 2 },
  ],
  // Somebody who is signed in proves it once more: a session that was taken over must not become the password.
  'own-password': RUN_OF_FAILURES,
  // Asking for a mailed code: registration, password reset, another e-mail address.
  'code-request': [{ per: 'address', capacity: 20, perSecond: 20 / HOUR }],
  'code-attempt': [{ per: 'address', capacity: 20, perSecond: 20 / HOUR }],
  // What somebody is mailed at most: in no hour more than three, whoever asks for it.
  'code-mail': [{ per: 'identifier', capacity: 3, perSecond: 1 / HOUR }],
  // Five tries at each of five codes a day are 25 of a million. Further codes are long, so nobody is locked out.
  'short-code': [{ per: 'identifier', capacity: 5, perSecond: 1 / DAY }],
  // Budgets of one account do not stop a guess at each of many. In no day more than 10,000 guesses go wrong, so one
  // takeover is to be expected in a hundred days of attack at full rate; beyond it codes are long.
  'code-failure': [{ per: 'everybody', capacity: 5000, perSecond: 5000 / DAY }],
}

export interface Spender {
  /** As the server sees it behind the configured proxies. */
  address?: string
  /** The login as submitted, whether or not such an account exists. */
  identifier?: string
  client?: string
}

export interface LimitsOptions {
  /** Keys the digests. */
  pepper: string | Buffer
  /** Sign-ins one address may try per minute, and at once. Default 20. */
  signInsPerMinutePerAddress?: number
  /** Mailed codes that one address may ask for per hour, and attempts at codes. Default 20. */
  codesPerHourPerAddress?: number
  budgets?: Partial<Budgets>
}

export interface Limits {
  /**
   * Takes one from every budget of that name whose dimension is given, before the work it pays for is done.
   * Throws AppError rate_limited (429) with retryAfterSeconds, Unavailable when the store does not answer.
   */
  spend(name: BudgetName, spender: Spender): Promise<void>
  /** As spend, but answers false instead of 429. */
  trySpend(name: BudgetName, spender: Spender): Promise<boolean>
  /** Whether nothing is left. Takes nothing. */
  isExhausted(name: BudgetName, spender: Spender): Promise<boolean>
  /** Spends one for work that is then done, and gives it back when the work fails; with nothing left, does nothing. */
  spendFor(name: BudgetName, spender: Spender, work: () => Promise<void>): Promise<void>
  /** Returns what was spent for something that turned out to cost nothing. */
  giveBack(name: BudgetName, spender: Spender): Promise<void>
  /** Ends the failure run of a login after a success. */
  clear(name: BudgetName, identifier: string): Promise<void>
}

export function createLimits(ephemeral: Ephemeral, options: LimitsOptions): Limits {
  const budgets = { ...BUDGETS, ...addressRates(options), ...options.budgets }

  const digest = createKeyedDigest(options.pepper, 'limits')
  const digestOf = (...parts: string[]): string => digest(...parts).toString('base64url')

  /** Under which keys it counts, in the order of the table; what the spender does not say is not counted. */
  function bucketsOf(name: BudgetName, spender: Spender): (Budget & { key: string })[] {
    const counted = countedForms(spender)
    return budgets[name].flatMap((budget, place) => {
      const { per } = budget
      const value = counted[per]
      return value === undefined ? [] : [{ ...budget, key: `limit:${name}:{${digestOf(name, per, value)}}:${place}` }]
    })
  }

  /** Takes `cost` from every bucket in turn; answers the wait of the first that has not enough. */
  async function take(name: BudgetName, spender: Spender, cost: number): Promise<{ waitMs: number } | undefined> {
    const buckets = bucketsOf(name, spender).map(({ key, capacity, perSecond }) => ({ key, capacity, perSecond, cost }))
    const { ok, retryAfterMs } = await ephemeral.spend(buckets)
    return ok ? undefined : { waitMs: retryAfterMs }
  }

  async function trySpend(name: BudgetName, spender: Spender): Promise<boolean> {
    return (await take(name, spender, 1)) === undefined
  }

  async function giveBack(name: BudgetName, spender: Spender): Promise<void> {
    await take(name, spender, -1)
  }

  return {
    trySpend,
    giveBack,
    async spend(name, spender) {
      const refused = await take(name, spender, 1)
      if (refused) throw rateLimited(refused.waitMs)
    },
    async spendFor(name, spender, work) {
      if (!(await trySpend(name, spender))) return
      try {
        await work()
      } catch (error) {
        await giveBack(name, spender)
        throw error
      }
    },
    async isExhausted(name, spender) {
      if (!(await trySpend(name, spender))) return true
      await giveBack(name, spender)
      return false
    },
    async clear(name, identifier) {
      const run = bucketsOf(name, { identifier }).filter(({ untilSuccess }) => untilSuccess)
      await ephemeral.remove(run.map(({ key }) => key))
    },
  }
}

/** The budgets of an address as the operator has set them. */
function addressRates({ signInsPerMinutePerAddress, codesPerHourPerAddress }: LimitsOptions): Partial<Budgets> {
  const rated = (name: BudgetName, count: number, seconds: number) => ({
    [name]: BUDGETS[name].map((budget) =>
      budget.per === 'address' ? { ...budget, capacity: count, perSecond: count / seconds } : budget,
    ),
  })
  return {
    ...(signInsPerMinutePerAddress === undefined ? {} : rated('sign-in', signInsPerMinutePerAddress, 60)),
    ...(codesPerHourPerAddress === undefined ? {} : rated('code-request', codesPerHourPerAddress, HOUR)),
    ...(codesPerHourPerAddress === undefined ? {} : rated('code-attempt', codesPerHourPerAddress, HOUR)),
  }
}

/** "Anna@Example.org " and "anna@example.org" are one login, so they share a budget. */
const countedForms = ({ address, identifier, client }: Spender): Record<Budget['per'], string | undefined> => ({
  address: address === undefined ? undefined : addressKey(address),
  identifier: identifier?.normalize('NFKC').trim().toLowerCase(),
  client,
  everybody: '',
})

function rateLimited(retryAfterMs: number): AppError {
  // RFC 6585 section 4: "MAY include a Retry-After header indicating how long to wait before making a new request."
  const retryAfterSeconds = Math.max(1, Math.ceil(retryAfterMs / 1000))
  return new AppError('rate_limited', 429, 'Too many attempts. Try again later.', { retryAfterSeconds })
}
