import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { Unavailable } from '../errors.ts'
import { parseRedisUrl, placeOf, type RedisAddress } from './redis-url.ts'
import { reasonOf, unavailableOr } from './unavailable.ts'

/** To one server, to the primary that sentinels know, or to a cluster. */
export type RedisConnection = Redis | Cluster

export const isCluster = (redis: RedisConnection): redis is Cluster => redis instanceof Cluster

export interface OpenRedisOptions {
  /** Told every command sent; of a pipeline only the first is a round trip. For counting. */
  onCommand?: (command: { name: string; isRoundTrip: boolean }) => void
  /** How long to wait for a server that is not up yet. */
  readyMs?: number
}

const NODE_OPTIONS = {
  connectTimeout: 1_000,
  commandTimeout: 300,
  // A peer that is silent although asked is gone, even when TCP does not know it yet.
  socketTimeout: 1_000,
  // A command cut off may have run. Sent again, it would make the winner of a race its loser: the caller decides.
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
} satisfies RedisOptions

const retryDelayMs = (attempt: number): number => Math.min(50 * attempt, 500)

const SERVER_OPTIONS = {
  ...NODE_OPTIONS,
  lazyConnect: true,
  enableOfflineQueue: false,
  retryStrategy: retryDelayMs,
  // A demoted primary: its successor answers under the same name.
  reconnectOnError: (error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions

/**
 * Opens a connection to Redis and waits, bounded, until it is ready.
 * From then on every command answers or fails within 300 ms; reconnecting goes on in the background.
 * @throws Unavailable with place and reason in `detail` when it is not ready in time.
 * @throws ConfigError when the URL is none.
 */
export async function openRedis(url: string, options: OpenRedisOptions = {}): Promise<RedisConnection> {
  const address = parseRedisUrl(url)
  const redis = connectionTo(address)
  // Of a cluster every node at once: nothing waits in a queue for a connection that is first asked for by a command.
  if (isCluster(redis)) redis.on('+node', (node: Redis) => node.options.readOnly || node.connect().catch(() => {}))
  await untilReady(redis, placeOf(address), options.readyMs ?? 5_000)
  if (options.onCommand) count(redis, options.onCommand)
  return redis
}

/** Commands of one turn of the event loop leave in one write: the system call costs more than they do. */
class OneWriteATurn extends Redis {
  #isCorked = false
  #isWanted = true

  /** Whether nobody has closed it. */
  isWanted(): boolean {
    return this.#isWanted
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.#isWanted = false
    super.disconnect(reconnect)
  }

  override sendCommand(...sent: Parameters<Redis['sendCommand']>): unknown {
    if (sent[0].name === 'quit') this.#isWanted = false
    const { stream } = this
    if (!this.#isCorked && stream) {
      this.#isCorked = true
      stream.cork()
      // Immediates run when everything that arrived in this turn has been read.
      setImmediate(() => {
        this.#isCorked = false
        stream.uncork()
      })
    }
    return super.sendCommand(...sent)
  }
}

function connectionTo(address: RedisAddress): RedisConnection {
  if (address.kind === 'single') return new OneWriteATurn(address.url, SERVER_OPTIONS)
  const { username, password, isTls } = address
  const login = { username, password, ...(isTls ? { tls: {} } : {}) }
  if (address.kind === 'cluster') {
    const cluster = new Cluster(address.nodes, {
      lazyConnect: true,
      enableOfflineQueue: false,
      redisOptions: { ...NODE_OPTIONS, ...login },
      clusterRetryStrategy: retryDelayMs,
      maxRedirections: 4,
      // As with one server: what failed may have run, so it is not sent again. A redirected command has not run.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      retryDelayOnTryAgain: 50,
      // The certificate names the host, not its address.
      ...(isTls ? { dnsLookup: (host, answer) => answer(null, host) } : {}),
    })
    keepLookingForPrimaries(cluster)
    return cluster
  }
  const redis = new OneWriteATurn({
    ...SERVER_OPTIONS,
    ...login,
    sentinels: address.sentinels,
    name: address.master,
    db: address.db,
    sentinelUsername: address.sentinelLogin.username,
    sentinelPassword: address.sentinelLogin.password,
    ...(isTls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
    sentinelRetryStrategy: retryDelayMs,
    // A primary cut off from its sentinels does not know that it is one no more.
    failoverDetector: true,
  })
  keepConnecting(redis, () => redis.isWanted())
  return redis
}

/**
 * How soon a successor is found by whom no other node has told of it. ioredis' own interval goes on for ever, and the process
 * with it, when the connection is closed while a look is under way.
 */
function keepLookingForPrimaries(cluster: Cluster): void {
  const looking = setInterval(() => {
    if (cluster.status === 'ready') cluster.refreshSlotsCache()
  }, 1_000)
  looking.unref()
  cluster.on('end', () => clearInterval(looking))
}

/**
 * A failover that is announced while a client is still looking for the primary ends it for good, although nobody has
 * closed it: ioredis lets the detector of an earlier attempt stop the present one. It begins anew.
 */
export function keepConnecting(redis: Redis, isWanted: () => boolean): void {
  redis.on('end', () => {
    if (isWanted()) setTimeout(() => isWanted() && redis.connect().catch(() => {}), retryDelayMs(1)).unref()
  })
}

async function untilReady(redis: RedisConnection, name: string, readyMs: number): Promise<void> {
  let reason: unknown = new Error('no answer')
  const fail = (error: Error) => {
    // Of a cluster the nodes know better than the summary.
    reason = 'lastNodeError' in error ? (error.lastNodeError ?? error) : error
    // A refused password cannot be waited for.
    if (/^(WRONGPASS|NOAUTH|ERR invalid password)/.test(reasonOf(reason))) reject(reason)
  }
  redis.on('error', fail)
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(reason), readyMs)
  redis.once('ready', () => primariesReady(redis).then(resolve))
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

/** Resolves when the connections to all primaries are there; to one that is away there is none. */
async function primariesReady(redis: RedisConnection): Promise<void> {
  if (!isCluster(redis)) return
  const connecting = redis.nodes('master').filter(({ status }) => status !== 'ready')
  await Promise.all(
    connecting.map((node) => new Promise<void>((resolve) => node.once('ready', resolve).once('end', resolve))),
  )
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

/**
 * Opens a second connection to the same Redis that only listens. It reconnects for ever and never throws. What is
 * published on a cluster is heard at every node, so one is enough.
 */
export function openSubscriber(redis: RedisConnection, { onMessage, onReady }: SubscriberEvents): Subscriber {
  const channels = new Set<string>()
  let listening: Redis | undefined
  let isClosed = false

  function listen(): void {
    const { status } = listening ?? {}
    if (channels.size === 0 || status !== 'ready') return
    listening?.subscribe(...channels).then(onReady, () => setTimeout(listen, 1_000).unref())
  }

  function connect(): void {
    if (isClosed) return
    const node = isCluster(redis) ? anyOf(redis.nodes('master')) : redis
    // Silence is what a listener hears most, so TCP has to tell when the peer is gone.
    listening = node?.duplicate({ lazyConnect: true, autoResubscribe: false, keepAlive: 5_000 })
    listening?.on('error', () => {})
    listening?.on('ready', listen)
    listening?.on('message', onMessage)
    // Of a cluster: the node is gone, and another one will do.
    listening?.on('end', retryLater)
    if (listening) listening.connect().catch(() => {})
    else retryLater()
  }
  const retryLater = () => setTimeout(connect, 500).unref()

  connect()
  return {
    subscribe(channel) {
      channels.add(channel)
      listen()
    },
    close() {
      isClosed = true
      listening?.disconnect()
    },
  }
}

const anyOf = <T>(items: readonly T[]): T | undefined => items[Math.floor(Math.random() * items.length)]

/** Values by key. On a cluster, where the keys lie in many slots, they are asked for one by one, all at once. */
export async function readAll(redis: RedisConnection, keys: readonly string[]): Promise<(string | null)[]> {
  if (!isCluster(redis)) return redis.mget([...keys])
  // Not GET, for which a key of another kind is an error and not nothing.
  const values = await Promise.all(keys.map((key) => redis.mget(key)))
  return values.map(([value]) => value ?? null)
}

/** Answers when Redis answers, and a cluster when it says of itself that it serves all its slots. */
export async function checkRedis(redis: RedisConnection): Promise<void> {
  if (!isCluster(redis)) return void (await redis.ping())
  const info = linesOf(String(await redis.cluster('INFO')))
  if (info.get('cluster_state') !== 'ok') throw new Error('CLUSTERDOWN The cluster does not serve all its slots')
}

function count(redis: RedisConnection, onCommand: NonNullable<OpenRedisOptions['onCommand']>): void {
  const send: Redis['sendCommand'] = redis.sendCommand.bind(redis)
  redis.sendCommand = (command: Parameters<typeof send>[0], stream: Parameters<typeof send>[1]) => {
    onCommand({ name: command.name, isRoundTrip: !command.pipelineIndex })
    return send(command, stream)
  }
}

const linesOf = (text: string): Map<string, string> =>
  new Map(
    text
      .split('\r\n')
      .map((line) => line.split(':', 2))
      .flatMap(([name, value]) => (name && value !== undefined ? [[name, value]] : [])),
  )

/** The server's own words about itself, as a map of INFO's lines. */
async function infoOf(redis: Redis): Promise<Map<string, string>> {
  try {
    return linesOf(await redis.info())
  } catch (error) {
    throw unavailableOr('Redis', error)
  }
}

/** "Redis 7.0.15", "Redis 7.0.15, a cluster of 3". */
export async function redisVersion(redis: RedisConnection): Promise<string> {
  const primaries = primariesOf(redis)
  const info = primaries[0] && (await infoOf(primaries[0]))
  const version = `Redis ${info?.get('redis_version') ?? '(version unknown)'}`
  return isCluster(redis) ? `${version}, a cluster of ${primaries.length}` : version
}

const primariesOf = (redis: RedisConnection): Redis[] => (isCluster(redis) ? redis.nodes('master') : [redis])

/**
 * Why this server, or one of the cluster's primaries, must not hold tokens in production, one line each; empty when it may.
 * Read from INFO, because managed services forbid CONFIG.
 */
export async function redisFaults(redis: RedisConnection): Promise<string[]> {
  const found = await Promise.all(
    primariesOf(redis).map(async (primary) => {
      const name = isCluster(redis) ? `Redis at ${primary.options.host}:${primary.options.port}` : 'Redis'
      return serverFaults(name, await infoOf(primary))
    }),
  )
  return found.flat()
}

function serverFaults(name: string, info: Map<string, string>): string[] {
  const faults: string[] = []
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '').split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2))
    faults.push(`${name} must be 6.2 or newer, it is ${info.get('redis_version')}`)
  // Measured: without AOF every acknowledged write of the last minutes is lost with the process.
  if (info.get('aof_enabled') !== '1') faults.push(`${name} must persist with AOF (appendonly yes)`)
  const policy = info.get('maxmemory_policy')
  if (policy !== 'noeviction') faults.push(`${name} must not evict keys (maxmemory-policy noeviction), it is ${policy}`)
  if (info.get('role') !== 'master') faults.push(`${name} must be a primary, it is a ${info.get('role')}`)
  return faults
}
