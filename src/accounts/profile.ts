/** What people may change about themselves: a merge patch (RFC 7396) of names, profile and attributes. */
import { type AuditSink, owner, type Traces } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import type { Executor } from '../storage/tables.ts'
import type { Account } from './account.ts'
import { difference } from './account-difference.ts'
import type { AccountInput } from './account-input.ts'
import type { Accounts } from './accounts.ts'

/** Members left out stay as they are; null takes the value away. */
export interface ProfilePatch {
  username?: string | null | undefined
  firstName?: string | null | undefined
  lastName?: string | null | undefined
  locale?: string | null | undefined
  profile?: Record<string, unknown> | undefined
  attributes?: Record<string, unknown> | undefined
}

const MAX_DEPTH = 16

export type Profile = ReturnType<typeof createProfile>

export interface ProfileDeps {
  accounts: Pick<Accounts, 'change'>
  audit: AuditSink<Executor>
}

export function createProfile({ accounts, audit }: ProfileDeps) {
  return {
    /**
     * Changes a profile. `mayChange` sees the account as it is when it is changed, and throws to leave it so.
     * Throws bad_request (400) with a fault per member, conflict (409) for a taken username, not_found (404).
     */
    change: (
      id: string,
      patch: ProfilePatch,
      mayChange: (before: Account) => void,
      traces?: Traces,
    ): Promise<Account> =>
      accounts.change(
        id,
        (before) => {
          mayChange(before)
          return changesOf(before, patch)
        },
        async (executor, after, before) => {
          const changed = difference(before, after)
          if (!changed) return
          const target = { kind: 'account', id } as const
          await audit(executor, owner(id, traces), { action: 'account.profile_changed', target, ...changed })
        },
      ),
  }
}

const NAMES = ['username', 'firstName', 'lastName', 'locale'] as const

function changesOf(before: Account, patch: ProfilePatch): AccountInput {
  const changes: AccountInput = {}
  for (const name of NAMES) {
    const value = patch[name]
    if (value !== undefined) changes[name] = value
  }
  if (patch.profile) changes.profile = mergedProfile(before.profile, patch.profile)
  if (patch.attributes) changes.attributes = mergePatch(before.attributes, patch.attributes)
  return changes
}

/** Whether a telephone number is verified is not for its owner to say. */
function mergedProfile(before: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  if ('phone_number_verified' in patch) {
    const faults = [{ pointer: '/profile/phone_number_verified', message: 'cannot be set' }]
    throw new AppError('bad_request', 400, 'This claim cannot be set.', { faults })
  }
  return mergeClaims(before, patch)
}

/** Merges the claims of a profile; another telephone number is not verified unless the patch says so. */
export function mergeClaims(before: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  const after = mergePatch(before, patch)
  const isOtherNumber = after.phone_number !== before.phone_number
  if (isOtherNumber && !('phone_number_verified' in patch)) delete after.phone_number_verified
  return after
}

/** RFC 7396 section 2. Throws bad_request (400) when it is nested too deeply. */
export function mergePatch(target: unknown, patch: Record<string, unknown>, depth = 1): Record<string, unknown> {
  if (depth > MAX_DEPTH) throw new AppError('bad_request', 400, 'The body is nested too deeply.')
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else result[name] = isObject(value) ? mergePatch(result[name], value, depth + 1) : checkedDepth(value, depth + 1)
  }
  return result
}

/** Lists are replaced as a whole (RFC 7396 section 1), and are no way around the depth. */
function checkedDepth(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new AppError('bad_request', 400, 'The body is nested too deeply.')
  if (Array.isArray(value) || isObject(value)) for (const inner of Object.values(value)) checkedDepth(inner, depth + 1)
  return value
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
