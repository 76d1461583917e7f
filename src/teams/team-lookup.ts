import { isUuid } from '../ids.ts'
import type { Executor } from '../storage/tables.ts'
import { noTeam, type Team } from './team.ts'
import type { TeamStore } from './team-store.ts'

/** Throws not_found (404), also for what can be no id. */
export async function existingTeam(store: TeamStore, executor: Executor, id: string): Promise<Team> {
  const team = isUuid(id) ? await store.findById(executor, id) : undefined
  if (!team) throw noTeam()
  return team
}
