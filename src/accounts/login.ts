/** What people type to name their account: an e-mail address or a username. Only the first contains an @. */

const MAX_LOGIN_LENGTH = 254

/**
 * The form under which a login is looked up and counted: NFKC, without blanks around it.
 * Undefined when it can belong to no account; a NUL or half a surrogate pair would otherwise be an error of the
 * database instead of a wrong password.
 */
export function normaliseLogin(login: string): string | undefined {
  if (login.length > MAX_LOGIN_LENGTH || !isStorableText(login)) return undefined
  const normal = login.normalize('NFKC').trim()
  return normal === '' || normal.length > MAX_LOGIN_LENGTH ? undefined : normal
}

/** Whether PostgreSQL can hold the text: no NUL, no half of a surrogate pair. */
export const isStorableText = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

const USERNAME = /^[^\s@\p{C}]{1,64}$/u

/** 1 to 64 code points, neither blank nor control character, no @, in NFKC. */
export const isUsername = (value: unknown): value is string =>
  typeof value === 'string' && USERNAME.test(value) && value === value.normalize('NFKC')
