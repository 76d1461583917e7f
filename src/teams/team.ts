/**
 * A team: accounts that work together. Teams lie below one another, and the roles given to a team reach its members and
 * those of every team below it.
 */
import { AppError } from '../errors.ts'

export interface Team {
  id: string
  /** Never changes. */
  key: string
  description: string
  /** The key of the team above; null at the top. */
  parent: string | null
  createdAt: Date
  updatedAt: Date
}

export interface NewTeam {
  key: string
  description?: string | undefined
  parent?: string | null | undefined
}

/** Members left out stay as they are. */
export type TeamChanges = Omit<NewTeam, 'key'>

/** As a declarative file describes it; members left out stay as they are, lists replace the whole. */
export interface TeamDescription extends NewTeam {
  /** Keys. */
  roles?: readonly string[] | undefined
  members?: readonly { accountId: string; isManager?: boolean | undefined }[] | undefined
}

export interface Member {
  accountId: string
  /** May add and remove members of this team, not of those below. */
  isManager: boolean
  createdAt: Date
}

/** A role as a team holds it. */
export interface TeamRole {
  id: string
  key: string
  description: string
}

/** From the top down; deeper trees describe something else than who works with whom. */
export const MAX_TEAM_DEPTH = 5

export const noTeam = () => new AppError('not_found', 404, 'There is no such team.')
