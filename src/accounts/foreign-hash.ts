/**
 * Password hashes made by other systems, for accounts that were imported. They are verified as they were made, over the
 * bytes as typed, and give way to a hash of ours with the next sign-in. A hash names its own cost, so each form has a
 * bound: what would take minutes or gigabytes is no hash here.
 */
import { createHash } from 'node:crypto'
import { compareSync } from 'bcryptjs'
import { parsePbkdf2 } from './foreign-pbkdf2.ts'
import { parseScrypt } from './foreign-scrypt.ts'

/** Whether a password, as typed, is the one the hash was made of. Blocks: for the hash workers only. */
export type ForeignHash = (typed: string) => boolean

/**
 * bcrypt ($2a$, $2b$, $2y$; also as Django writes it), PBKDF2 of Django, Werkzeug and passlib, scrypt of Django,
 * Werkzeug and PHC strings. Undefined for any other text and for a cost beyond bearing.
 */
export const parseForeignHash = (hash: string): ForeignHash | undefined =>
  parseBcrypt(hash) ?? parsePbkdf2(hash) ?? parseScrypt(hash)

// Cost 14 takes about two seconds; every step more doubles it.
const BCRYPT = /^\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$/
const DJANGO_BCRYPT = /^bcrypt(_sha256)?\$(.+)$/

/** bcrypt looks at 72 bytes only; the hash of ours that follows looks at all of them. */
function parseBcrypt(hash: string): ForeignHash | undefined {
  const [, sha256, inner = hash] = DJANGO_BCRYPT.exec(hash) ?? []
  if (!BCRYPT.test(inner)) return undefined
  return (typed) => compareSync(sha256 ? createHash('sha256').update(typed).digest('hex') : typed, inner)
}
