/** Teams as the API shows them: every member by name, nothing else leaves. */
import type { Member, Team, TeamRole } from './team.ts'

export const presentTeam = (team: Team) => ({
  id: team.id,
  key: team.key,
  description: team.description,
  parent: team.parent,
  created_at: team.createdAt.toISOString(),
  updated_at: team.updatedAt.toISOString(),
})

export const presentMember = (member: Member) => ({
  account_id: member.accountId,
  manager: member.isManager,
  created_at: member.createdAt.toISOString(),
})

export const presentTeamRole = (role: TeamRole) => ({ id: role.id, key: role.key, description: role.description })
