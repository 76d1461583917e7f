import type { Cluster, Redis } from 'ioredis'
import { Unavailable } from '../errors.ts'
import { type Follower, type FollowOptions, type Journal, type Mark, markText } from './journal.ts'
import { lifeMs } from './life.ts'
import { isCluster, keepConnecting, type RedisConnection } from './redis.ts'
import { createRedisSeal } from './redis-seal.ts'
import { primaryOf } from './redis-slots.ts'
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

type WriteMark<Answer> = (keys: 1, key: string, text: string, rank: number, ttlMs: number) => Answer

/** The journal as a Redis stream beside the keys of the ephemeral store, which have the same prefix. */
export function createRedisJournal(redis: RedisConnection, { prefix }: { prefix: string }): Journal {
  const streamKey = prefix + STREAM_KEY
  const followers = new Set<Follower>()
  redis.defineCommand('writeMark', { lua: WRITE_MARK })

  /** Sends everything by a connection, or into a pipeline of one. */
  function send<Answer>(to: RedisConnection | Pipeline, marks: readonly Mark[], entries: readonly string[]): Answer[] {
    // defineCommand adds a method that the types cannot know, and what is sent answers differently in a pipeline.
    const verb = (name: string) => Reflect.get(to, name).bind(to)
    const writeMark: WriteMark<Answer> = verb('writeMark')
    const append: (...rest: (string | number)[]) => Answer = verb('xadd')
    return [
      ...marks.map((mark) => writeMark(1, prefix + mark.key, markText(mark), mark.rank, lifeMs(mark.ttlSeconds))),
      ...entries.map((entry) => append(streamKey, 'MAXLEN', '~', KEPT_ENTRIES, '*', 'e', entry)),
    ]
  }

  return {
    async write(marks, entries) {
      if (marks.length + entries.length === 0) return
      if (isCluster(redis)) return void (await answer(Promise.all(send<Promise<unknown>>(redis, marks, entries))))
      const pipeline = redis.pipeline()
      send(pipeline, marks, entries)
      repliesOf(await answer(pipeline.exec()))
    },

    follow(options) {
      const follower = isCluster(redis)
        ? followOnCluster(redis, { ...options, streamKey, prefix })
        : follow(redis, { ...options, streamKey, prefix })
      followers.add(follower)
      return follower
    },

    close() {
      for (const follower of followers) follower.close()
    },
  }
}

type Pipeline = ReturnType<RedisConnection['pipeline']>
type Options = FollowOptions & { streamKey: string; prefix: string }

function follow(redis: Redis, { streamKey, prefix, onLost }: Options): Follower {
  const own = redis.duplicate({ lazyConnect: true, commandTimeout: COMMAND_MS })
  const seal = createRedisSeal(own, { prefix })
  own.on('error', () => {})
  own.on('close', onLost)
  keepConnecting(own, () => !isClosed)
  // Later connections are made in the background.
  let firstConnection: Promise<void> | undefined = own.connect().finally(() => {
    firstConnection = undefined
  })
  firstConnection.catch(() => {})
  let isClosed = false

  return {
    async end() {
      if (firstConnection) await answer(firstConnection)
      return lastOf(await answer(own.xrevrange(streamKey, '+', '-', 'COUNT', 1)))
    },

    async read(after, { limit, waitMs }) {
      const pipeline = own.pipeline().get(seal.key)
      pipeline.xread('COUNT', limit, 'BLOCK', waitMs, 'STREAMS', streamKey, after)
      const [sealed, reply] = repliesOf(await answer(pipeline.exec()))
      return { ...readingOf(reply, after), isSealed: sealed !== null }
    },

    seal: () => answer(seal.set()),

    isClosed: () => isClosed,

    close() {
      isClosed = true
      own.disconnect()
    },
  }
}

/**
 * The stream lies on one primary, and its follower has a connection of its own there. Whatever happens to that connection
 * or to any node ends it: the follower then begins anew, and marks that a lost primary had not yet passed on are written
 * again.
 */
function followOnCluster(cluster: Cluster, { streamKey, prefix, onLost }: Options): Follower {
  const seal = createRedisSeal(cluster, { prefix })
  let own: Redis | undefined
  let isClosed = false

  function drop(): void {
    onLost()
    own?.disconnect()
    own = undefined
  }
  cluster.on('-node', drop)

  async function connect(): Promise<Redis> {
    const primary = primaryOf(cluster, streamKey)
    if (!primary) throw new Unavailable('Redis')
    const connection = primary.duplicate({
      lazyConnect: true,
      commandTimeout: COMMAND_MS,
      enableOfflineQueue: false,
      retryStrategy: null,
    })
    connection.on('error', () => {})
    connection.on('close', () => connection === own && drop())
    await answer(connection.connect())
    return connection
  }

  /** Asks by the connection of one's own; whoever fails has no connection any more. */
  async function ask<T>(question: (connection: Redis) => Promise<T>): Promise<T> {
    if (!own) throw new Unavailable('Redis')
    try {
      return await answer(question(own))
    } catch (error) {
      drop()
      throw error
    }
  }

  return {
    async end() {
      own?.disconnect()
      own = await connect()
      if (isClosed) drop()
      return ask(async (connection) => lastOf(await connection.xrevrange(streamKey, '+', '-', 'COUNT', 1)))
    },

    read: (after, { limit, waitMs }) =>
      ask(async (connection) => {
        const entries = connection.xread('COUNT', limit, 'BLOCK', waitMs, 'STREAMS', streamKey, after)
        const [isSealed, reply] = await Promise.all([seal.isWhole(), entries])
        return { ...readingOf(reply, after), isSealed }
      }),

    seal: () => answer(seal.set()),

    isClosed: () => isClosed,

    close() {
      isClosed = true
      cluster.off('-node', drop)
      own?.disconnect()
    },
  }
}

const lastOf = (entries: [id: string, fields: string[]][]): string => entries[0]?.[0] ?? '0-0'

function readingOf(reply: unknown, after: string): { entries: string[]; position: string } {
  const entries = entriesOf(reply)
  return { entries: entries.map(([, text]) => text), position: entries.at(-1)?.[0] ?? after }
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
