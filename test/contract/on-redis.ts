/** The contract's two doors over one Redis of any shape. */
import { expect } from 'chai'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { openRedis } from '../../src/storage/redis.ts'
import { freshRedisPrefix, keysWithoutEnd } from '../support/database.ts'
import type { Subject } from './ephemeral.contract.ts'

export async function openOnRedisAt(url: string): Promise<Subject> {
  const prefix = freshRedisPrefix()
  const [redis, another] = await Promise.all([openRedis(url), openRedis(url)])
  const store = createRedisEphemeral(redis, { prefix })
  const other = createRedisEphemeral(another, { prefix })
  return {
    store,
    other,
    close: async () => {
      const endless = await keysWithoutEnd(redis, prefix)
      await Promise.all([store.close(), other.close()])
      // What the whole contract has left behind is the best sample there is.
      expect(endless, 'keys without a TTL').to.deep.equal([])
    },
  }
}
