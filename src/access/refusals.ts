/** What several use cases of this room refuse alike. */
import { AppError } from '../errors.ts'

export type Noun = 'account' | 'permission' | 'resource' | 'role'

export const notFound = (noun: Noun): AppError => new AppError('not_found', 404, `There is no such ${noun}.`)

export const keyTaken = (noun: Noun, key: string): AppError =>
  new AppError('conflict', 409, `There is a ${noun} with the key ${key} already.`, {
    faults: [{ pointer: '/key', message: 'is taken' }],
  })

/** For a key that stands in a body and names nothing. */
export const unknownKey = (noun: Noun, key: string, pointer = `/${noun}`): AppError =>
  new AppError('bad_request', 400, `There is no ${noun} ${key}.`, {
    faults: [{ pointer, message: `names the unknown ${noun} ${key}` }],
  })

export const lastSuperuser = (): AppError =>
  new AppError('conflict', 409, 'This is the last superuser. Make somebody else one first.')

/** Who holds what is to be removed. */
export interface Usage {
  /** Keys of roles. */
  roles: readonly string[]
  /** Keys of teams. */
  teams: readonly string[]
  accounts: { count: number; ids: readonly string[] }
}

export const MAX_NAMED = 20

export const isUsed = ({ roles, teams, accounts }: Usage): boolean => roles.length + teams.length + accounts.count > 0

/** Says what the removal would touch. */
export function inUse(noun: Noun, { roles, teams, accounts }: Usage): AppError {
  const { count, ids } = accounts
  const faults = [
    ...named('role', roles),
    ...named('team', teams),
    ...(count === 0 ? [] : [{ pointer: '', message: `is held by ${plural(count, 'account')}: ${listed(ids, count)}` }]),
  ]
  return new AppError('in_use', 409, `The ${noun} is in use. With force=true it is taken from everybody.`, { faults })
}

function named(holder: 'role' | 'team', keys: readonly string[]) {
  const faults = keys.slice(0, MAX_NAMED).map((key) => ({ pointer: '', message: `is held by the ${holder} ${key}` }))
  const more = keys.length - MAX_NAMED
  return more > 0 ? [...faults, { pointer: '', message: `is held by ${plural(more, `more ${holder}`)}` }] : faults
}

const listed = (ids: readonly string[], count: number): string =>
  [...ids, ...(count > ids.length ? ['…'] : [])].join(', ')

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
