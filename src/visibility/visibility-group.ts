/**
 * A visibility group: a place in one tree of accounts, by which services decide who sees whose things. Every account is in
 * exactly one group; whoever has been put nowhere is in the root.
 */
import { AppError } from '../errors.ts'

export interface VisibilityGroup {
  id: string
  /** Never changes. */
  key: string
  description: string
  /** The key of the group above; null for the root alone. */
  parent: string | null
  createdAt: Date
  updatedAt: Date
}

export interface NewGroup {
  key: string
  description?: string | undefined
  /** Left out: the root. */
  parent?: string | undefined
}

/** Members left out stay as they are. */
export type GroupChanges = Omit<NewGroup, 'key'>

/** As a declarative file describes it. */
export interface GroupDescription extends NewGroup {
  /** Accounts that are in the group; others in it stay. */
  members?: readonly string[] | undefined
}

export interface GroupMember {
  accountId: string
  /** Null in the root, where accounts are without having been put there. */
  createdAt: Date | null
}

export const ROOT = 'root'

/** From the root down. */
export const MAX_GROUP_DEPTH = 16

export const noGroup = () => new AppError('not_found', 404, 'There is no such visibility group.')
