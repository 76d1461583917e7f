/** A process whose only connection is closed at the very moment at which it looks for the primaries of its cluster. */
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { isCluster, openRedis } from '../../src/storage/redis.ts'

const redis = await openRedis(process.argv[2] ?? '')
if (!isCluster(redis)) throw new Error('a cluster is needed')
const store = createRedisEphemeral(redis, { prefix: 'closing:' })
const look = redis.refreshSlotsCache.bind(redis)
// Until then nothing else may keep the process alive, or end it.
const waiting = setInterval(() => {}, 1_000)
redis.refreshSlotsCache = (callback) => {
  redis.refreshSlotsCache = look
  look(callback)
  clearInterval(waiting)
  void store.close()
}
