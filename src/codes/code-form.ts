/** What codes look like: six digits, or 128 bits as hexadecimal when six digits would be guessed. */
import { randomBytes, randomInt } from 'node:crypto'

export type CodeForm = 'short' | 'long'

/** randomInt draws without the bias of a remainder. */
export const drawCode = (form: CodeForm): string =>
  form === 'short' ? String(randomInt(1_000_000)).padStart(6, '0') : randomBytes(16).toString('hex')

/** Far above what somebody types, blanks and dashes included. */
const MAX_TYPED = 100

/** A code as typed: blanks and dashes between its characters do not count. Undefined when it can be none. */
export function readCode(typed: unknown): { code: string; form: CodeForm } | undefined {
  if (typeof typed !== 'string' || typed.length > MAX_TYPED) return undefined
  const code = typed.replaceAll(/[\s-]/g, '').toLowerCase()
  if (/^[0-9]{6}$/.test(code)) return { code, form: 'short' }
  return /^[0-9a-f]{32}$/.test(code) ? { code, form: 'long' } : undefined
}
