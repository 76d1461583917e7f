/** Visibility groups as the API shows them: every member by name, nothing else leaves. */
import type { GroupMember, VisibilityGroup } from './visibility-group.ts'

export const presentGroup = (group: VisibilityGroup) => ({
  id: group.id,
  key: group.key,
  description: group.description,
  parent: group.parent,
  created_at: group.createdAt.toISOString(),
  updated_at: group.updatedAt.toISOString(),
})

export const presentGroupMember = (member: GroupMember) => ({
  account_id: member.accountId,
  created_at: member.createdAt?.toISOString() ?? null,
})
