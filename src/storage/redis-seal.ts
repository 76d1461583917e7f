/**
 * The seal says that Redis has lost nothing that was written since it was set. Of a cluster every primary can be lost
 * alone, so each has a seal of its own, in the first of its slots; when slots move to a new primary it has none yet, and
 * is taken for one that has lost everything, which costs a rewriting of the marks.
 */
import { SEAL_KEY } from './journal.ts'
import { isCluster, type RedisConnection, readAll } from './redis.ts'
import { firstSlots, tagOf } from './redis-slots.ts'

export function createRedisSeal(redis: RedisConnection, { prefix }: { prefix: string }) {
  const keys = (): string[] =>
    isCluster(redis) ? firstSlots(redis).map((slot) => `${prefix}${SEAL_KEY}:{${tagOf(slot)}}`) : [prefix + SEAL_KEY]

  return {
    /** Of a single Redis the one key, to be read together with others. */
    key: prefix + SEAL_KEY,

    /** On a cluster whose primaries are not known nothing is whole. */
    async isWhole(): Promise<boolean> {
      const seals = await readAll(redis, keys())
      return seals.length > 0 && seals.every((seal) => seal !== null)
    },

    async set(): Promise<void> {
      await Promise.all(keys().map((key) => redis.set(key, '1')))
    },
  }
}
