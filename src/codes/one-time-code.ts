/**
 * One-time codes that are mailed: what proves that somebody reads an address. A code belongs to one purpose, one subject
 * and one address; who may ask for it and what it opens is decided by the rooms that use it.
 */
import { AppError } from '../errors.ts'
import { createKeyedDigest } from '../keyed-digest.ts'
import type { Limits } from '../limits/limits.ts'
import { drawCode, readCode } from './code-form.ts'
import type { CodeStore } from './code-store.ts'

/** One answer for whatever was wrong with a code. */
export const invalidCode = () => new AppError('invalid_code', 400, 'The code is wrong, used or expired.')

/** For the write that a code opens: what it proves is this address, and the account may have got another meanwhile. */
export const provedAddress =
  (address: string) =>
  (before: { email: string }): Record<string, never> => {
    if (before.email.toLowerCase() !== address.toLowerCase()) throw invalidCode()
    return {}
  }

export type CodePurpose = 'registration' | 'password-reset' | 'email-change'

export interface CodeHolder {
  purpose: CodePurpose
  /** The account's id, or what stands in for an account that there is not: subjectOf(address). */
  subject: string
  /** Where the code is mailed to. */
  address: string
}

export interface OneTimeCodesDeps {
  store: CodeStore
  limits: Pick<Limits, 'trySpend' | 'isExhausted' | 'giveBack'>
  /** Kept outside the store: a million plain digests fall to a dictionary at once. */
  pepper: string
}

export type OneTimeCodes = ReturnType<typeof createOneTimeCodes>

export function createOneTimeCodes({ store, limits, pepper }: OneTimeCodesDeps) {
  const digest = createKeyedDigest(pepper, 'one-time-code')
  const mac = (...parts: string[]): string => digest(...parts).toString('base64url')
  const keyOf = ({ purpose, subject }: Pick<CodeHolder, 'purpose' | 'subject'>) => mac('holder', purpose, subject)
  const digestOf = ({ purpose, subject, address }: CodeHolder, code: string) =>
    mac('code', purpose, subject, address.toLowerCase(), code)

  const ownBudget = ({ purpose, subject }: CodeHolder) => ({ identifier: `${purpose} ${subject}` })

  async function issue(holder: CodeHolder, hand: (code: string) => Promise<void>): Promise<void> {
    const isWithinDay = await limits.trySpend('short-code', ownBudget(holder))
    const form = isWithinDay && !(await limits.isExhausted('code-failure', {})) ? 'short' : 'long'
    const code = drawCode(form)
    await store.save(keyOf(holder), form, digestOf(holder, code))
    try {
      await hand(code)
    } catch (error) {
      // A mail server that is away must neither use up the short codes of a day nor leave codes to guess at.
      await store.drop(keyOf(holder))
      if (isWithinDay) await limits.giveBack('short-code', ownBudget(holder))
      throw error
    }
  }

  return {
    /** How long a code lives. */
    ttlSeconds: store.ttlSeconds,

    /** The same for one address however its case, and nothing that could be read back. */
    subjectOf: (address: string): string => mac('nobody', address.toLowerCase()),

    /**
     * Draws a code that replaces any earlier one of this purpose and subject, and hands it over: six digits, or 32
     * hexadecimal ones when the subject has had its short codes of the day or too many guesses go wrong everywhere.
     * A code that could not be handed over is withdrawn. Throws what `hand` throws, Unavailable.
     */
    issue,

    /**
     * True once, for the newest code of exactly this purpose, subject and address, within its life and its tries.
     * `typed` is taken as it came; what can be no code is no try. Throws Unavailable.
     */
    async redeem(holder: CodeHolder, typed: unknown): Promise<boolean> {
      const read = readCode(typed)
      if (!read) return false
      const { code, form } = read
      // Reserved before the code is looked at: with the budget spent, no short guess is evaluated at all.
      if (form === 'short' && !(await limits.trySpend('code-failure', {}))) return false
      const isRight = await store.redeem(keyOf(holder), form, digestOf(holder, code))
      if (isRight && form === 'short') await giveBackFailure()
      return isRight
    },

    /** Ends a code that must not be redeemed any more. */
    drop: (purpose: CodePurpose, subject: string): Promise<void> => store.drop(keyOf({ purpose, subject })),
  }

  /** Best effort: the code has been spent, and whoever had it right is through. */
  async function giveBackFailure(): Promise<void> {
    try {
      await limits.giveBack('code-failure', {})
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
  }
}
