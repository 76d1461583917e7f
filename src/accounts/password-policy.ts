/**
 * Which passwords may be chosen (NIST SP 800-63B section 3.1.1.2): length, a list of common ones and context, no
 * composition rules.
 */
import { AppError } from '../errors.ts'
import { createCommonPasswords } from './common-passwords.ts'
import { localPart } from './mail-address.ts'

/** More is refused before it is normalised or hashed: the cost of a request stays bounded. */
const MAX_PASSWORD_CODE_POINTS = 256
const FLOOR = 8
const SHORTEST_CONTEXT_WORD = 3

/** Why a password is refused. */
type Reason = 'too_long' | 'malformed' | 'too_short' | 'common' | 'contextual'

export interface PasswordPolicy {
  /** The fewest code points a password may have. */
  readonly minLength: number
  /**
   * Throws AppError invalid_password (400) with the reason.
   * @param about the account's own words: e-mail address, username
   * @param pointer the member of the request that holds the password
   */
  check(password: string, about: readonly string[], pointer?: string): void
}

export function createPasswordPolicy(options: { minLength?: number; productName?: string } = {}): PasswordPolicy {
  const minLength = Math.max(options.minLength ?? 15, FLOOR)
  const productName = options.productName ?? 'Usher'
  const common = createCommonPasswords()
  return {
    minLength,
    check(password, about, pointer = '/password') {
      const refuse = (code: Reason, message: string) => refuseAt(pointer, code, message)
      if (isOverlong(password)) refuse('too_long', `A password has at most ${MAX_PASSWORD_CODE_POINTS} characters.`)
      if (!password.isWellFormed()) refuse('malformed', 'The password contains half a character.')
      const normal = normalisePassword(password)
      if ([...normal].length < minLength) refuse('too_short', `A password needs at least ${minLength} characters.`)
      if (common.isMadeOfOne(normal.toLowerCase(), FLOOR)) refuse('common', 'The password is one that many people use.')
      if (isMadeOf(normal, contextWords(productName, about))) {
        refuse('contextual', 'The password is made of your own name or address, or of the name of this service.')
      }
    },
  }
}

/**
 * The form that is hashed: "é" is one password however a keyboard composes it.
 * NIST SP 800-63B section 3.1.1.2: "the verifier SHOULD apply the normalization process for stabilized strings
 * using either the NFKC or NFKD normalization".
 */
export const normalisePassword = (password: string): string => password.normalize('NFKC')

/** Counts no further than it must: a megabyte of password costs no more than the longest allowed. */
export function isOverlong(password: string): boolean {
  if (password.length > 2 * MAX_PASSWORD_CODE_POINTS) return true
  return [...password].length > MAX_PASSWORD_CODE_POINTS
}

const contextWords = (productName: string, about: readonly string[]): string[] =>
  [productName, ...about.flatMap((word) => (word.includes('@') ? [word, localPart(word)] : [word]))]
    .map((word) => word.normalize('NFKC').toLowerCase())
    .filter((word) => word.length >= SHORTEST_CONTEXT_WORD)
    .sort((a, b) => b.length - a.length)

/** A sentence may mention a context word; what is left without it must still be long enough to be a password. */
function isMadeOf(password: string, words: readonly string[]): boolean {
  const folded = password.toLowerCase()
  const rest = words.reduce((text, word) => text.replaceAll(word, ''), folded)
  return rest !== folded && [...rest].length < FLOOR
}

function refuseAt(pointer: string, code: Reason, message: string): never {
  throw new AppError('invalid_password', 400, message, { faults: [{ pointer, message, code }] })
}
