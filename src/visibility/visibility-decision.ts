/** Whether one account may see a thing of another, by how widely the thing is shown. Pure; what is stored is asked elsewhere. */

/** `group_and_below`: the group of the owner and the groups below it. */
export const LEVELS = ['owner', 'group', 'group_and_below', 'everyone'] as const
export type Level = (typeof LEVELS)[number]

export interface Place {
  accountId: string
  groupId: string
}

export interface Viewer extends Place {
  /** The groups above the viewer's own, and that one. */
  chain: ReadonlySet<string>
}

/** Owners always see what is theirs. */
export function isVisible(level: Level, viewer: Viewer, owner: Place): boolean {
  if (viewer.accountId === owner.accountId) return true
  switch (level) {
    case 'owner':
      return false
    case 'group':
      return viewer.groupId === owner.groupId
    case 'group_and_below':
      return viewer.chain.has(owner.groupId)
    case 'everyone':
      return true
  }
}
