/** What a change has made of an account, for those who look at changes. */
import { isDeepStrictEqual } from 'node:util'
import type { Account } from './account.ts'
import { presentAccount } from './presentation.ts'

type Presented = Partial<ReturnType<typeof presentAccount>>

/** Only the members that differ, before and after; undefined when none does. */
export function difference(before: Account, after: Account): { before: Presented; after: Presented } | undefined {
  const [was, is] = [Object.entries(presentAccount(before)), new Map(Object.entries(presentAccount(after)))]
  const changed = was.filter(([name, value]) => name !== 'updated_at' && !isDeepStrictEqual(value, is.get(name)))
  if (changed.length === 0) return undefined
  return {
    before: Object.fromEntries(changed),
    after: Object.fromEntries(changed.map(([name]) => [name, is.get(name)])),
  }
}
