import { type Follower, type FollowOptions, type Journal, markText, SEAL_KEY } from './journal.ts'
import { lifeMs } from './life.ts'
import type { RedisConnection } from './redis.ts'
import { unavailableOr } from './unavailable.ts'

const STREAM_KEY = 'rev'

/** More than any process falls behind before it asks the durable store anew. */
const KEPT_ENTRIES = 20_000

/** A follower waits longer for its answer than any other command, on a connection of its own. */
const COMMAND_MS = 900

/** KEYS mark · ARGV text rank ttl */
const WRITE_MARK = `
local old = redis.call('GET', KEYS[1])
local rank = old and tonumber(string.match(old, '^%S+ %S+ (%d+)$'))
if rank and rank >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1`

type Pipeline = ReturnType<RedisConnection['pipeline']>
type WriteMark = (this: Pipeline, keys: 1, key: string, text: string, rank: number, ttlMs: number) => Pipeline

/** The journal as a Redis stream beside the keys of the ephemeral store, which have the same prefix. */
export function createRedisJournal(redis: RedisConnection, { prefix }: { prefix: string }): Journal {
  const streamKey = prefix + STREAM_KEY
  const followers = new Set<Follower>()
  redis.defineCommand('writeMark', { lua: WRITE_MARK })

  return {
    async write(marks, entries) {
      if (marks.length + entries.length === 0) return
      const pipeline = redis.pipeline()
      // defineCommand adds a method that the types cannot know.
      const writeMark: WriteMark = Reflect.get(pipeline, 'writeMark')
      for (const mark of marks)
        writeMark.call(pipeline, 1, prefix + mark.key, markText(mark), mark.rank, lifeMs(mark.ttlSeconds))
      for (const entry of entries) pipeline.xadd(streamKey, 'MAXLEN', '~', KEPT_ENTRIES, '*', 'e', entry)
      repliesOf(await answer(pipeline.exec()))
    },

    follow(options) {
      const follower = follow(redis, { ...options, streamKey, sealKey: prefix + SEAL_KEY })
      followers.add(follower)
      return follower
    },

    close() {
      for (const follower of followers) follower.close()
    },
  }
}

function follow(redis: RedisConnection, options: FollowOptions & { streamKey: string; sealKey: string }): Follower {
  const { streamKey, sealKey } = options
  const own = redis.duplicate({ lazyConnect: true, commandTimeout: COMMAND_MS })
  own.on('error', () => {})
  own.on('close', options.onLost)
  // Later connections are made in the background.
  let firstConnection: Promise<void> | undefined = own.connect().finally(() => {
    firstConnection = undefined
  })
  firstConnection.catch(() => {})
  let isClosed = false

  return {
    async end() {
      if (firstConnection) await answer(firstConnection)
      const last = await answer(own.xrevrange(streamKey, '+', '-', 'COUNT', 1))
      return last[0]?.[0] ?? '0-0'
    },

    async read(after, { limit, waitMs }) {
      const pipeline = own.pipeline().get(sealKey)
      pipeline.xread('COUNT', limit, 'BLOCK', waitMs, 'STREAMS', streamKey, after)
      const [seal, reply] = repliesOf(await answer(pipeline.exec()))
      const entries = entriesOf(reply)
      return {
        entries: entries.map(([, text]) => text),
        position: entries.at(-1)?.[0] ?? after,
        isSealed: seal !== null,
      }
    },

    async seal() {
      await answer(own.set(sealKey, '1'))
    },

    isClosed: () => isClosed,

    close() {
      isClosed = true
      own.disconnect()
    },
  }
}

/** [[stream, [[id, [field, value]], …]]], or null when there was nothing. */
function entriesOf(reply: unknown): [id: string, text: string][] {
  const [stream] = Array.isArray(reply) ? reply : []
  const [, entries] = Array.isArray(stream) ? stream : []
  if (!Array.isArray(entries)) return []
  return entries.map(([id, fields]) => [String(id), String(fields?.[1])])
}

async function answer<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply
  } catch (error) {
    throw unavailableOr('Redis', error)
  }
}

function repliesOf(results: [error: Error | null, reply: unknown][] | null): unknown[] {
  return (results ?? []).map(([error, reply]) => {
    if (error) throw unavailableOr('Redis', error)
    return reply
  })
}
