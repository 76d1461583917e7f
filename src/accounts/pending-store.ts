/** Registrations that wait for the proof of their address. They are no accounts, and after a day they are nothing. */
import type { Ephemeral } from '../storage/ephemeral.ts'

export interface PendingRegistration {
  email: string
  /** Null when two networks have asked for the address: then nobody's password counts. */
  passwordHash: string | null
  username?: string
  firstName?: string
  lastName?: string
  locale?: string
  /** The network it came from, as a keyed digest. */
  origin: string
}

const ONE_DAY_SECONDS = 86_400

export type PendingStore = ReturnType<typeof createPendingStore>

/** Keyed by what stands for the address, so that no list of addresses lies in the store's keys. */
export function createPendingStore(ephemeral: Ephemeral, { ttlSeconds = ONE_DAY_SECONDS } = {}) {
  const keyOf = (subject: string) => `pending:{${subject}}`

  return {
    /** Keeps the first registration of an address; false, and nothing is done, when there is one. */
    saveFirst: (subject: string, pending: PendingRegistration): Promise<boolean> =>
      ephemeral.put(keyOf(subject), JSON.stringify(pending), { ttlSeconds, ifAbsent: true }),

    async replace(subject: string, pending: PendingRegistration): Promise<void> {
      await ephemeral.put(keyOf(subject), JSON.stringify(pending), { ttlSeconds })
    },

    async find(subject: string): Promise<PendingRegistration | undefined> {
      const [value] = await ephemeral.get([keyOf(subject)])
      return value === undefined ? undefined : JSON.parse(value)
    },

    async remove(subject: string): Promise<void> {
      await ephemeral.remove([keyOf(subject)])
    },
  }
}
