/** What may be written into an account, checked as a whole: every fault is reported, not only the first. */
import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../errors.ts'
import type { Account } from './account.ts'
import type { AccountChanges } from './account-store.ts'
import { isStorableText, isUsername } from './login.ts'
import { isMailAddress } from './mail-address.ts'
import { isAcceptableHash } from './password-hash.ts'

/** Members left out stay as they are; null takes the value away. */
export interface AccountInput {
  email?: string
  /** In clear: checked by the policy and hashed. Not together with passwordHash. */
  password?: string
  /** Made elsewhere, of one of the forms of password-hash.ts and foreign-hash.ts. */
  passwordHash?: string | null
  username?: string | null
  firstName?: string | null
  lastName?: string | null
  /** BCP 47. */
  locale?: string | null
  emailVerified?: boolean
  /** Standard claims by their names, see PROFILE_CLAIMS. */
  profile?: Record<string, unknown>
  attributes?: Record<string, unknown>
  status?: 'active' | 'disabled'
}

/** OpenID Connect Core section 5.1, without those that have a column of their own. */
const PROFILE_CLAIMS: ReadonlySet<string> = new Set([
  'name',
  'middle_name',
  'nickname',
  'preferred_username',
  'profile',
  'picture',
  'website',
  'gender',
  'birthdate',
  'zoneinfo',
  'phone_number',
  'phone_number_verified',
  'address',
])

const MAX_NAME_LENGTH = 200
const MAX_JSON_BYTES = 16_384
/** What is nested deeper nobody has typed, and comparing it would take a stack of its own. */
const MAX_DEPTH = 16

/** Throws AppError bad_request (400) with a fault per member. */
export function checkAccount(input: AccountInput): void {
  const faults = [
    fault('/email', input.email, isMailAddress, 'is not a mail address this server accepts'),
    fault('/username', input.username, isUsername, 'must be 1 to 64 characters without blanks and without @'),
    fault('/first_name', input.firstName, isName, `must be text of 1 to ${MAX_NAME_LENGTH} characters`),
    fault('/last_name', input.lastName, isName, `must be text of 1 to ${MAX_NAME_LENGTH} characters`),
    fault('/locale', input.locale, isLocale, 'is not a BCP 47 language tag'),
    fault('/email_verified', input.emailVerified, isBoolean, 'must be true or false'),
    fault('/status', input.status, isStatus, 'must be active or disabled'),
    fault('/password_hash', input.passwordHash, isHash, 'is of no known form, or its cost cannot be borne'),
    fault('/profile', input.profile, isProfile, `may hold these claims only: ${[...PROFILE_CLAIMS].join(', ')}`),
    fault(
      '/attributes',
      input.attributes,
      isSmallObject,
      `must be an object of at most ${MAX_JSON_BYTES} bytes, not nested deeply`,
    ),
    input.password !== undefined && input.passwordHash != null
      ? { pointer: '/password_hash', message: 'cannot be given together with a password' }
      : undefined,
  ].filter((entry) => entry !== undefined)
  if (faults.length > 0) throw new AppError('bad_request', 400, sentenceOf(faults), { faults })
}

type Fault = { pointer: string; message: string }

/** Null and undefined say nothing about the value, so they are never wrong here. */
const fault = (pointer: string, value: unknown, isRight: (value: unknown) => boolean, message: string) =>
  value === undefined || value === null || isRight(value) ? undefined : { pointer, message }

const sentenceOf = (faults: readonly Fault[]): string =>
  faults.map(({ pointer, message }) => `${pointer.slice(1)} ${message}`).join('; ')

const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
const isStatus = (value: unknown): boolean => value === 'active' || value === 'disabled'
const isHash = (value: unknown): boolean => typeof value === 'string' && isAcceptableHash(value)

const isName = (value: unknown): boolean =>
  typeof value === 'string' && value.length <= MAX_NAME_LENGTH && /^\P{Cc}+$/u.test(value) && isStorableText(value)

function isLocale(value: unknown): boolean {
  try {
    return typeof value === 'string' && Intl.getCanonicalLocales(value).length === 1
  } catch {
    return false
  }
}

const isProfile = (value: unknown): boolean =>
  isSmallObject(value) && Object.keys(Object(value)).every((claim) => PROFILE_CLAIMS.has(claim))

function isSmallObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !isShallow(value)) return false
  const text = JSON.stringify(value)
  // A NUL has no place in jsonb; JSON spells it, and halves of surrogate pairs, as \u escapes.
  return text.length <= MAX_JSON_BYTES && !/\\u(?:0000|d[89a-f])/i.test(text)
}

const isShallow = (value: unknown, depth = 1): boolean =>
  depth <= MAX_DEPTH &&
  (typeof value !== 'object' || value === null || Object.values(value).every((inner) => isShallow(inner, depth + 1)))

/** The columns that an input sets; undefined leaves one as it is. */
export const columnsOf = (input: AccountInput) =>
  ({
    email: input.email,
    email_verified: input.emailVerified,
    username: input.username,
    password_hash: input.passwordHash,
    first_name: input.firstName,
    last_name: input.lastName,
    locale: input.locale,
    status: input.status,
    profile: input.profile && JSON.stringify(input.profile),
    attributes: input.attributes && JSON.stringify(input.attributes),
  }) satisfies AccountChanges

const MEMBERS = [
  'email',
  'emailVerified',
  'username',
  'passwordHash',
  'firstName',
  'lastName',
  'locale',
  'status',
  'profile',
  'attributes',
] as const

/** Whether an account already is what an input says. */
export const isAsDescribed = (account: Account, input: AccountInput): boolean =>
  MEMBERS.every((name) => input[name] === undefined || isDeepStrictEqual(input[name] ?? undefined, account[name]))
