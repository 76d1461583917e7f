import type { Context } from 'koa'
import { AppError, type Fault } from '../errors.ts'
import type { FormProblem } from './page-data.ts'

const KINDS = new Map<string, FormProblem['kind']>([
  ['bad_request', 'input'],
  ['invalid_password', 'input'],
  ['invalid_code', 'invalid_code'],
  ['invalid_credentials', 'wrong_password'],
  ['conflict', 'conflict'],
  ['rate_limited', 'rate_limited'],
  ['temporarily_unavailable', 'unavailable'],
])

/** Members that can be wrong in one way only, by what is said of them. */
const FAULTS = new Map([
  ['email', 'email'],
  ['first_name', 'name'],
  ['last_name', 'name'],
  ['username', 'username'],
  ['locale', 'locale'],
])

/**
 * Reads an error that the form can be shown again with. Whatever the person at it cannot help is thrown on.
 *
 * @returns the problem, and the status of the page that shows it
 */
export function formProblemOf(ctx: Context, error: unknown): { problem: FormProblem; status: number } {
  const kind = error instanceof AppError ? KINDS.get(error.code) : undefined
  if (!(error instanceof AppError) || kind === undefined) throw error
  const faults = Object.fromEntries(error.faults.flatMap(spoken))
  if (kind === 'input' && Object.keys(faults).length === 0) throw error
  const { retryAfterSeconds, status } = error
  if (retryAfterSeconds !== undefined) ctx.set('Retry-After', String(retryAfterSeconds))
  return { problem: { kind, faults, retryAfterSeconds }, status }
}

/** Fields are named as the members of the API are; a fault without words of its own is none that a form can cause. */
function spoken({ pointer, code }: Fault): [id: string, word: string][] {
  const id = pointer.slice(1)
  const word = code ?? FAULTS.get(id)
  return word === undefined ? [] : [[id, word]]
}
