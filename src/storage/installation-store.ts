/** Facts about the installation itself. */
import type { Executor } from './tables.ts'

/** True for exactly one caller ever, however many processes start at once. */
export async function claimOnce(executor: Executor, key: string): Promise<boolean> {
  const claimed = await executor
    .insertInto('installation')
    .values({ key, value: 'done' })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .returning('key')
    .executeTakeFirst()
  return claimed !== undefined
}
