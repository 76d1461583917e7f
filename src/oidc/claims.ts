/** What a token or userinfo says about an account (OpenID Connect Core section 5.1). */
import type { Account } from '../accounts/account.ts'
import { CLAIMS_OF_SCOPES } from './scopes.ts'

export type Claims = { sub: string } & Record<string, unknown>

const STANDARD_CLAIMS = new Set(Object.values(CLAIMS_OF_SCOPES).flat())

const withoutEmpty = (claims: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(claims).filter(([, value]) => value !== undefined && value !== null && value !== ''),
  )

/** Every standard claim of an account. `email_verified` is always there: relying parties refuse to guess it. */
export function claimsOf(account: Account): Claims {
  const profile = Object.entries(account.profile).filter(([name]) => STANDARD_CLAIMS.has(name))
  const name = [account.firstName, account.lastName].filter(Boolean).join(' ')
  return {
    ...withoutEmpty({ name, preferred_username: account.username }),
    ...withoutEmpty(Object.fromEntries(profile)), // a name put there as a whole says more than its first and last part
    ...withoutEmpty({ given_name: account.firstName, family_name: account.lastName, locale: account.locale }),
    email: account.email,
    email_verified: account.emailVerified,
    updated_at: Math.floor(account.updatedAt.getTime() / 1000),
    sub: account.id,
  }
}

export interface ClaimsReader {
  /** What the client is registered for: asking for single claims (section 5.5) gets it no more. */
  scopes: readonly string[]
  /**
   * Whether its ID tokens hold the subject and what was asked for by name, the rest being at userinfo, which is what
   * section 5.4 describes for the code flow.
   */
  isLean: boolean
}

/** Claims for one use; the engine leaves out of them what was not granted. */
export function claimsFor(
  account: Account,
  use: string,
  requested: Record<string, unknown>,
  { scopes, isLean }: ClaimsReader,
): Claims {
  const { sub, ...all } = claimsOf(account)
  const registered = new Set(scopes.flatMap((scope) => CLAIMS_OF_SCOPES[scope] ?? []))
  const isWanted = (name: string) => registered.has(name) && (use !== 'id_token' || !isLean || name in requested)
  return { ...Object.fromEntries(Object.entries(all).filter(([name]) => isWanted(name))), sub }
}
