import type { Actor } from '../audit-event.ts'
import type { AccessChanges, Change } from './access-change.ts'

/** Who makes a write: somebody, in a transaction of its own, or whoever makes the change that it becomes a part of. */
export type By = Actor | Change

export type ChangeBy = ReturnType<typeof changingBy>

/** Makes what a use case writes through: a change of its own for an actor, the same change for whoever has begun one. */
export const changingBy =
  ({ change }: Pick<AccessChanges, 'change'>) =>
  <T>(by: By, work: (change: Change) => Promise<T>): Promise<T> =>
    'executor' in by ? work(by) : change(by, work)
