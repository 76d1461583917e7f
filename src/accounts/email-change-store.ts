/** The new address an account wants, until it is proved. */
import type { Ephemeral } from '../storage/ephemeral.ts'

const ONE_DAY_SECONDS = 86_400

export type EmailChangeStore = ReturnType<typeof createEmailChangeStore>

export function createEmailChangeStore(ephemeral: Ephemeral, { ttlSeconds = ONE_DAY_SECONDS } = {}) {
  const keyOf = (accountId: string) => `email-change:{${accountId}}`

  return {
    /** Replaces the address asked for before. */
    async save(accountId: string, address: string): Promise<void> {
      await ephemeral.put(keyOf(accountId), address, { ttlSeconds })
    },

    async find(accountId: string): Promise<string | undefined> {
      const [address] = await ephemeral.get([keyOf(accountId)])
      return address
    },

    async remove(accountId: string): Promise<void> {
      await ephemeral.remove([keyOf(accountId)])
    },
  }
}
