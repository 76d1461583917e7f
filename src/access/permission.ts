/** A permission: the right to one operation on one kind of object, named by its key (NIST RBAC, INCITS 359). */
import { AppError } from '../errors.ts'

export interface Permission {
  id: string
  key: string
  description: string
  /** The key of what it is about. */
  resource: string | null
  createdAt: Date
  updatedAt: Date
}

/** Members left out stay as they are. */
export interface PermissionInput {
  key: string
  description?: string
  /** The key of a resource; null for none. */
  resource?: string | null
}

/** Everything; held by superusers. */
export const ALL_ALL = 'all_all'
export const PERMISSIONS_ADMIN = 'permissions_admin'
export const ACCOUNTS_ADMIN = 'accounts_admin'
export const TEAMS_ADMIN = 'teams_admin'
export const CLIENTS_ADMIN = 'clients_admin'
export const AUDIT_READ = 'audit_read'

/** These are there in every installation and cannot be deleted. */
export const BASE_PERMISSIONS: readonly Required<Pick<PermissionInput, 'key' | 'description'>>[] = [
  { key: ALL_ALL, description: 'Everything' },
  { key: PERMISSIONS_ADMIN, description: 'Administer permissions, roles, resources and their assignment' },
  { key: ACCOUNTS_ADMIN, description: 'Administer accounts and their sessions' },
  { key: TEAMS_ADMIN, description: 'Administer teams and visibility groups' },
  { key: CLIENTS_ADMIN, description: 'Administer clients' },
  { key: AUDIT_READ, description: 'Read the audit events' },
]

export const isBasePermission = (key: string): boolean => BASE_PERMISSIONS.some((base) => base.key === key)

// Keys travel in token claims and policy expressions, so they hold nothing that needs quoting there.
const KEY = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/
const DESCRIPTION = /^\P{Cc}{0,500}$/u

/** Throws AppError bad_request (400) when a key or a description is malformed. */
export function checkKeyAndDescription(input: { key: string; description?: string }): void {
  const faults = []
  if (!KEY.test(input.key)) faults.push({ pointer: '/key', message: 'must be 1 to 100 of A-Z a-z 0-9 _ . : -' })
  const { description = '' } = input
  if (!DESCRIPTION.test(description) || !description.isWellFormed()) {
    faults.push({ pointer: '/description', message: 'must be at most 500 characters on one line' })
  }
  if (faults.length === 0) return
  throw new AppError(
    'bad_request',
    400,
    faults.map(({ pointer, message }) => `${pointer.slice(1)} ${message}`).join('; '),
    {
      faults,
    },
  )
}
