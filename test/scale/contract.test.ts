/** What the ephemeral store promises, it promises on a cluster and behind sentinels too. */
import { ephemeralContract } from '../contract/ephemeral.contract.ts'
import { openOnRedisAt } from '../contract/on-redis.ts'
import { temporaryDirectory } from '../support/database.ts'
import { startShape } from './redis-shapes.ts'

for (const shape of ['cluster', 'sentinel'] as const) {
  ephemeralContract(`a Redis ${shape}`, async () => {
    const redis = await startShape(shape, await temporaryDirectory(shape))
    const subject = await openOnRedisAt(redis.url).catch(async (error) => {
      await redis.stop()
      throw error
    })
    return { ...subject, close: () => subject.close().finally(redis.stop) }
  })
}
