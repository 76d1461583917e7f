import type { Bucket, Ephemeral, Family, GrantKeys, ListMember, Rotation } from './ephemeral.ts'
import * as lua from './ephemeral-scripts.ts'
import { SEAL_KEY } from './journal.ts'
import { lifeMs } from './life.ts'
import { checkRedis, isCluster, type RedisConnection, readAll } from './redis.ts'
import { createRedisSeal } from './redis-seal.ts'
import { unavailableOr } from './unavailable.ts'

type Argument = string | number

/**
 * The ephemeral store on Redis: one command or one script per verb, one round trip each. On a cluster what spans hash tags
 * is sent as one command per key, all at once: still one wait.
 * Every key is written under `prefix`. close() ends the connection.
 */
export function createRedisEphemeral(redis: RedisConnection, { prefix }: { prefix: string }): Ephemeral {
  const at = (key: string): string => prefix + key
  const seal = createRedisSeal(redis, { prefix })
  const put = script(redis, 'putMember', lua.PUT)
  const swap = script(redis, 'swapRecord', lua.SWAP)
  const offer = script(redis, 'offer', lua.OFFER)
  const consumeOnce = script(redis, 'consumeOnce', lua.CONSUME_ONCE)
  const settle = script(redis, 'settle', lua.SETTLE)
  const saveCode = script(redis, 'saveCode', lua.SAVE_CODE)
  const redeemCode = script(redis, 'redeemCode', lua.REDEEM_CODE)
  const startFamily = script(redis, 'startFamily', lua.START_FAMILY)
  const rotateBegin = script(redis, 'rotateBegin', lua.ROTATE_BEGIN)
  const rotateCommit = script(redis, 'rotateCommit', lua.ROTATE_COMMIT)
  const rotate = script(redis, 'rotate', lua.ROTATE)
  const rotateAbort = script(redis, 'rotateAbort', lua.ROTATE_ABORT)
  const revokeGrant = script(redis, 'revokeGrant', lua.REVOKE_GRANT)
  const enlist = script(redis, 'enlistMember', lua.ENLIST_MEMBER)
  const listMembers = script(redis, 'listMembers', lua.LIST_MEMBERS)
  const spend = script(redis, 'spend', lua.SPEND)
  const valueOrSeal = async (key: string): Promise<string | undefined> => {
    if (key === SEAL_KEY) return (await seal.isWhole()) ? '1' : undefined
    const [value] = await readAll(redis, [at(key)])
    return present(value ?? null)
  }

  return {
    kind: 'redis',

    async get(keys) {
      if (keys.length === 0) return []
      if (isCluster(redis) && keys.includes(SEAL_KEY)) return answer(Promise.all(keys.map(valueOrSeal)))
      return (await answer(readAll(redis, keys.map(at)))).map(present)
    },

    async put(key, value, { ttlSeconds, ifAbsent = false, index }) {
      const ttl = lifeMs(ttlSeconds)
      if (index !== undefined) return (await put([at(key), at(index)], [value, ttl, ifAbsent ? 1 : 0])) === 1
      const set = ifAbsent ? redis.set(at(key), value, 'PX', ttl, 'NX') : redis.set(at(key), value, 'PX', ttl)
      return (await answer(set)) === 'OK'
    },

    async swap(key, from, to, { ttlSeconds }) {
      const values = [to, lifeMs(ttlSeconds), ...(from === undefined ? [] : [from])]
      return (await swap([at(key)], values)) === 1
    },

    async putAll(records) {
      if (records.length === 0) return
      if (isCluster(redis)) {
        const set = ({ key, value, ttlSeconds }: (typeof records)[number]) =>
          redis.set(at(key), value, 'PX', lifeMs(ttlSeconds))
        await answer(Promise.all(records.map(set)))
        return
      }
      const pipeline = redis.pipeline()
      for (const { key, value, ttlSeconds } of records) pipeline.set(at(key), value, 'PX', lifeMs(ttlSeconds))
      repliesOf(await answer(pipeline.exec()))
    },

    take: async (key) => present(await answer(redis.getdel(at(key)))),

    async remove(keys) {
      if (keys.length === 0) return 0
      if (!isCluster(redis)) return answer(redis.unlink(keys.map(at)))
      const counts = await answer(Promise.all(keys.map((key) => redis.unlink(at(key)))))
      return counts.reduce((sum, count) => sum + count, 0)
    },

    async offer(key, value, { ttlSeconds, index = key }) {
      await offer([at(key), at(index)], [value, lifeMs(ttlSeconds)])
    },

    async peek(key) {
      const both = redis.pipeline().hmget(at(key), 'v', 's').pttl(at(key))
      const [object, leftMs] = repliesOf(await answer(both.exec()))
      const [value, state] = Array.isArray(object) ? object : []
      if (typeof value !== 'string' || !isState(state)) return undefined
      return { value, state, leftMs: Number(leftMs) }
    },

    async consumeOnce(key) {
      const outcome = await consumeOnce([at(key)], [])
      return outcome === 'won' || outcome === 'lost' ? outcome : 'gone'
    },

    async settle(key, { ttlSeconds }) {
      await settle([at(key)], [lifeMs(ttlSeconds)])
    },

    async saveCode(key, digest, { ttlSeconds }) {
      await saveCode([at(key)], [digest, lifeMs(ttlSeconds)])
    },

    redeemCode: async (key, digest, { maxTries }) => (await redeemCode([at(key)], [digest, maxTries])) === 1,

    async startFamily({ key, index, digest, data, ttlSeconds, settles, deny = key }) {
      const settled = settles ?? { key, ttlSeconds }
      const started = await startFamily(
        [at(key), at(index), at(settled.key), at(deny)],
        [digest, data, lifeMs(ttlSeconds), lifeMs(settled.ttlSeconds)],
      )
      return started === 1
    },

    async readFamily(key, marks) {
      const [stored, ...values] = await answer(readAll(redis, [key, ...marks].map(at)))
      return { family: familyOf(stored), marks: values.map(present) }
    },

    async rotateBegin({ key, sealedKey, grant, digest, leaseId, leaseMs, graceMs }) {
      const keys = [at(key), at(sealedKey), at(grant.index), at(grant.deny)]
      return rotationOf(await rotateBegin(keys, [digest, leaseId, leaseMs, graceMs, lifeMs(grant.denySeconds)]))
    },

    async rotateCommit({ key, sealedKey, index, leaseId, digest, data, sealed, ttlSeconds, graceMs }) {
      const values = [leaseId, digest, data, sealed, lifeMs(ttlSeconds), graceMs]
      return (await rotateCommit([at(key), at(sealedKey), at(index)], values)) === 1
    },

    async rotate({ key, sealedKey, index, presented, digest, data, sealed, ttlSeconds, graceMs }) {
      const values = [presented, digest, data, sealed, lifeMs(ttlSeconds), graceMs]
      return (await rotate([at(key), at(sealedKey), at(index)], values)) === 1
    },

    async rotateAbort({ key, leaseId }) {
      await rotateAbort([at(key)], [leaseId])
    },

    async revokeGrant({ index, deny, denySeconds }: GrantKeys) {
      await revokeGrant([at(index), at(deny)], [lifeMs(denySeconds)])
    },

    async enlist(list, member, value, { ttlSeconds, cap, keep = false }) {
      await enlist([at(list)], [member, value, lifeMs(ttlSeconds), cap, keep ? 1 : 0])
    },

    async listMembers(list, { limit, before }) {
      return membersOf(await listMembers([at(list)], [limit, before?.usedAtMs ?? '+inf', before?.member ?? '']))
    },

    async delist(list, members) {
      if (members.length > 0) await answer(redis.hdel(at(list), ...members))
    },

    async spend(buckets) {
      if (buckets.length === 0) return { ok: true, retryAfterMs: 0 }
      // On a cluster one after the other: those behind an empty one are not asked.
      for (const together of isCluster(redis) ? bySlot(buckets) : [buckets]) {
        const amounts = together.flatMap(({ capacity, perSecond, cost }) => [capacity, perSecond, cost])
        const waitMs = Number(
          await spend(
            together.map(({ key }) => at(key)),
            amounts,
          ),
        )
        if (waitMs > 0) return { ok: false, retryAfterMs: waitMs }
      }
      return { ok: true, retryAfterMs: 0 }
    },

    async check() {
      await answer(checkRedis(redis))
    },

    async close() {
      // QUIT lets the commands under way finish; a server that is gone need not be told.
      await redis.quit().catch(() => undefined)
      // Whoever asks sentinels still hears them.
      redis.disconnect()
    },
  }
}

/**
 * A script as a function of keys and values. ioredis sends its text once per connection and its digest from then on,
 * and sends the text again when a restarted server answers NOSCRIPT.
 */
function script(redis: RedisConnection, name: string, text: string) {
  redis.defineCommand(name, { lua: text })
  // defineCommand adds a method that the types cannot know.
  const run: (this: RedisConnection, keys: number, ...rest: Argument[]) => Promise<unknown> = Reflect.get(redis, name)
  return (keys: readonly string[], values: readonly Argument[]): Promise<unknown> =>
    answer(run.call(redis, keys.length, ...keys, ...values))
}

async function answer<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply
  } catch (error) {
    throw unavailableOr('Redis', error)
  }
}

/** The replies of a pipeline; the first failed command fails them all. */
function repliesOf(results: [error: Error | null, reply: unknown][] | null): unknown[] {
  return (results ?? []).map(([error, reply]) => {
    if (error) throw unavailableOr('Redis', error)
    return reply
  })
}

/** Neighbours whose keys carry the same hash tag. */
function bySlot(buckets: readonly Bucket[]): Bucket[][] {
  const groups: Bucket[][] = []
  for (const bucket of buckets) {
    const group = groups.at(-1)
    if (group?.[0] && tagOf(group[0].key) === tagOf(bucket.key)) group.push(bucket)
    else groups.push([bucket])
  }
  return groups
}

const tagOf = (key: string): string => /\{(.+?)\}/.exec(key)?.[1] ?? key

const present = <T>(value: T | null): T | undefined => value ?? undefined

const isState = (value: unknown): value is 'fresh' | 'taken' | 'done' =>
  value === 'fresh' || value === 'taken' || value === 'done'

/** Current and previous digest, lease, two instants and data, as the scripts write them. */
const FAMILY = /^(\S+) (\S+) \S+ \d+ \d+ (.*)$/s

function familyOf(stored: string | null | undefined): Family | undefined {
  const [, current, previous, data] = FAMILY.exec(stored ?? '') ?? []
  if (current === undefined || data === undefined) return undefined
  return { current, previous: previous === '-' ? undefined : previous, data }
}

/** A flat reply of member, last use and value, over and over. */
function membersOf(reply: unknown): ListMember[] {
  if (!Array.isArray(reply)) throw unexpected('listMembers')
  return Array.from({ length: reply.length / 3 }, (_, place) => {
    const [member, usedAtMs, value] = reply.slice(3 * place)
    return { member: String(member), usedAtMs: Number(usedAtMs), value: String(value) }
  })
}

function rotationOf(reply: unknown): Rotation {
  const [outcome, detail] = Array.isArray(reply) ? reply : []
  switch (outcome) {
    case 'won':
      return { outcome, data: String(detail) }
    case 'busy':
      return { outcome, retryMs: Number(detail) }
    case 'replay':
      return { outcome, sealed: String(detail) }
    case 'reuse':
    case 'gone':
      return { outcome }
    default:
      throw unexpected('rotateBegin')
  }
}

const unexpected = (verb: string): Error => new Error(`Redis gave an unexpected reply to ${verb}.`)
