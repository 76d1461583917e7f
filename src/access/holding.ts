/** What an account holds, and the parts it is put together from, as they are read and remembered. */

/** The resource of each permission, by key. */
export type HeldPermissions = ReadonlyMap<string, string | null>

export interface AccountPart {
  isActive: boolean
  permissions: HeldPermissions
  roleIds: readonly string[]
  teamIds: readonly string[]
}

export interface TeamPart {
  /** The team itself among them. */
  ancestorIds: ReadonlySet<string>
  /** Of the team and those above it. */
  roleIds: readonly string[]
}

export interface RolePart {
  /** The role itself among them. */
  includedIds: ReadonlySet<string>
  roleKeys: readonly string[]
  permissions: HeldPermissions
}

/** The resources of one audience. */
export interface ResourceServerPart {
  /** Whether tokens for it carry permissions. */
  hasClaim: boolean
  resourceIds: ReadonlySet<string>
}

export interface Holding {
  permissions: HeldPermissions
  /** Sorted. */
  roles: readonly string[]
}
