/** A role: a named set of permissions (NIST RBAC, INCITS 359). */
import { AppError } from '../errors.ts'
import { ALL_ALL, checkKeyAndDescription } from './permission.ts'

export interface Role {
  id: string
  key: string
  description: string
  /** Can be neither deleted nor renamed. */
  isSystem: boolean
  createdAt: Date
  updatedAt: Date
}

/** Members left out stay as they are. */
export interface RoleInput {
  key: string
  description?: string
  /** Keys of permissions; replaces the whole set. */
  permissions?: readonly string[]
  /** Keys of the roles it includes; replaces the whole set. */
  includes?: readonly string[]
}

export const SUPERUSER = 'superuser'
/** Held by every account without being assigned. */
export const USER = 'user'
/** Of requests that nobody has signed in for; held by no account. */
export const NON_REGISTERED = 'non_registered'

export const BASE_ROLES: readonly Required<Omit<RoleInput, 'includes'>>[] = [
  { key: SUPERUSER, description: 'May do everything', permissions: [ALL_ALL] },
  { key: USER, description: 'Every account', permissions: [] },
  { key: NON_REGISTERED, description: 'Whoever has not signed in', permissions: [] },
]

export const isSystemRole = (key: string): boolean => BASE_ROLES.some((role) => role.key === key)

/** Throws AppError bad_request (400), and conflict (409) for a superuser that could no longer do everything. */
export function checkRole(input: RoleInput): void {
  checkKeyAndDescription(input)
  if (input.key === SUPERUSER && input.permissions && !input.permissions.includes(ALL_ALL)) {
    throw new AppError('conflict', 409, `The role ${SUPERUSER} always holds ${ALL_ALL}.`)
  }
}
