/** Who may administer the access model, and what its routes say alike in the description of the API. */
import type { Need } from '../http/gatekeeper.ts'
import { KEY_CURSOR } from '../http/pagination.ts'
import type { Parameter } from '../http/route.ts'
import { PERMISSIONS_ADMIN } from './permission.ts'

export const ADMIN: Need = { permissions: [PERMISSIONS_ADMIN] }

export const BY_KEY = { cursor: KEY_CURSOR, search: 'What keys begin with, in upper or lower case alike.' }
export const IN_ORDER = 'In the order of their keys.'
export const CEILING = 'It would give, take or change permissions that you do not hold; they are named.'
export const KEY_TAKEN = 'The key is taken.'
export const LINK = 'Repeatable: 201 when it is new, 200 when it was there already.'
export const FORCE: Parameter = {
  description: 'Take it from everybody who has it.',
  schema: { enum: ['true', 'false'] },
}

/** A parameter of the path that is an id. */
export const idOf = (description: string): Parameter => ({ description, schema: { type: 'string', format: 'uuid' } })
