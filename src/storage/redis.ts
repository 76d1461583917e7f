import { Redis } from 'ioredis'
import { Unavailable } from '../errors.ts'
import { reasonOf, unavailableOr } from './unavailable.ts'

export type RedisConnection = Redis

export interface OpenRedisOptions {
  /** Told every command sent; of a pipeline only the first is a round trip. For counting. */
  onCommand?: (command: { name: string; isRoundTrip: boolean }) => void
  /** How long to wait for a server that is not up yet. */
  readyMs?: number
}

/**
 * Opens a connection to Redis and waits, bounded, until it is ready.
 * From then on every command answers or fails within 300 ms; reconnecting goes on in the background.
 * @throws Unavailable with host and reason in `detail` when it is not ready in time.
 */
export async function openRedis(url: string, options: OpenRedisOptions = {}): Promise<RedisConnection> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 1_000,
    commandTimeout: 300,
    // A peer that is silent although asked is gone, even when TCP does not know it yet.
    socketTimeout: 1_000,
    // A command cut off may have run. Sent again, it would make the winner of a race its loser: the caller decides.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    retryStrategy: (attempt) => Math.min(50 * attempt, 500),
    // A demoted primary: its successor answers under the same name.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  })
  await untilReady(redis, `Redis at ${redis.options.host}:${redis.options.port}`, options.readyMs ?? 5_000)
  if (options.onCommand) count(redis, options.onCommand)
  return redis
}

async function untilReady(redis: Redis, name: string, readyMs: number): Promise<void> {
  let reason: unknown = new Error('no answer')
  // Kept for good: without a listener ioredis prints every connection error.
  redis.on('error', (error) => {
    reason = error
  })
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(reason), readyMs)
  redis.once('ready', resolve)
  // A refused password cannot be waited for.
  redis.on('error', (error) => /^(WRONGPASS|NOAUTH|ERR invalid password)/.test(error.message) && reject(error))
  try {
    redis.connect().catch(() => {})
    await ready
  } catch (error) {
    redis.disconnect()
    throw new Unavailable(`${name} (${reasonOf(error)})`, error)
  } finally {
    clearTimeout(timer)
  }
}

export interface Subscriber {
  /** Listens to one more channel, also after every reconnection. */
  subscribe(channel: string): void
  close(): void
}

export interface SubscriberEvents {
  onMessage(channel: string): void
  /** It listens now, for the first time or again. */
  onReady(): void
}

/** Opens a second connection to the same Redis that only listens. It reconnects for ever and never throws. */
export function openSubscriber(redis: RedisConnection, { onMessage, onReady }: SubscriberEvents): Subscriber {
  const channels = new Set<string>()
  // Silence is what a listener hears most, so TCP has to tell when the peer is gone.
  const listening = redis.duplicate({ lazyConnect: true, autoResubscribe: false, keepAlive: 5_000 })
  const listen = () => {
    if (channels.size === 0 || listening.status !== 'ready') return
    listening.subscribe(...channels).then(onReady, () => setTimeout(listen, 1_000).unref())
  }
  listening.on('error', () => {})
  listening.on('ready', listen)
  listening.on('message', onMessage)
  listening.connect().catch(() => {})
  return {
    subscribe(channel) {
      channels.add(channel)
      listen()
    },
    close: () => listening.disconnect(),
  }
}

function count(redis: Redis, onCommand: NonNullable<OpenRedisOptions['onCommand']>): void {
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (command, stream) => {
    onCommand({ name: command.name, isRoundTrip: !command.pipelineIndex })
    return send(command, stream)
  }
}

/** The server's own words about itself, as a map of INFO's lines. */
async function infoOf(redis: RedisConnection): Promise<Map<string, string>> {
  try {
    const lines = (await redis.info()).split('\r\n').map((line) => line.split(':', 2))
    return new Map(lines.flatMap(([name, value]) => (name && value !== undefined ? [[name, value]] : [])))
  } catch (error) {
    throw unavailableOr('Redis', error)
  }
}

/** "Redis 7.0.15". */
export const redisVersion = async (redis: RedisConnection): Promise<string> =>
  `Redis ${(await infoOf(redis)).get('redis_version') ?? '(version unknown)'}`

/**
 * Why this server must not hold tokens in production, one line each; empty when it may.
 * Read from INFO, because managed services forbid CONFIG.
 */
export async function redisFaults(redis: RedisConnection): Promise<string[]> {
  const info = await infoOf(redis)
  const faults: string[] = []
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '').split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2))
    faults.push(`Redis must be 6.2 or newer, it is ${info.get('redis_version')}`)
  // Measured: without AOF every acknowledged write of the last minutes is lost with the process.
  if (info.get('aof_enabled') !== '1') faults.push('Redis must persist with AOF (appendonly yes)')
  const policy = info.get('maxmemory_policy')
  if (policy !== 'noeviction') faults.push(`Redis must not evict keys (maxmemory-policy noeviction), it is ${policy}`)
  if (info.get('role') !== 'master') faults.push(`Redis must be a primary, it is a ${info.get('role')}`)
  return faults
}
