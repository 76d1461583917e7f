/** A Redis Cluster, and a primary with a replica and sentinels: throw-away, on loopback, from the one server program. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { SLOTS } from '../../src/storage/redis-slots.ts'
import { redisProgram } from '../services.ts'

export type RedisShape = 'cluster' | 'sentinel'

export const isRedisShape = (name: string): name is RedisShape => name === 'cluster' || name === 'sentinel'

export interface Node {
  port: number
  /** As a crash or a lost machine does it. */
  kill(): Promise<void>
  /** Starts it again on the same port and with the same data. */
  restart(): Promise<void>
}

export interface Shape {
  url: string
  /** Of a cluster its primaries; of sentinels the primary and its replica. */
  nodes: Node[]
  stop(): Promise<void>
}

export const startShape = (shape: RedisShape, directory: string): Promise<Shape> =>
  shape === 'cluster' ? startCluster(directory) : startSentinels(directory)

/** Processes are killed here, not machines: what has been written needs no disk to outlive them, and no waiting for one. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'no', '--maxmemory-policy', 'noeviction']

/** Three primaries without replicas: what one of them had is away with it. `flags` are those of redis-server. */
export async function startCluster(directory: string, flags: readonly string[] = []): Promise<Shape> {
  const clustering = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000', ...DURABLE, ...flags]
  const nodes = await Promise.all([0, 1, 2].map(() => startNode(directory, clustering)))
  const [first] = nodes
  const share = Math.ceil(SLOTS / nodes.length)
  await Promise.all(
    nodes.map((node, place) =>
      asking(node.port, async (redis) => {
        const slots = Array.from({ length: SLOTS }, (_, slot) => slot).slice(place * share, (place + 1) * share)
        await redis.cluster('SET-CONFIG-EPOCH', place + 1)
        await redis.cluster('ADDSLOTS', ...slots)
        if (node !== first) await redis.cluster('MEET', '127.0.0.1', first?.port ?? 0)
      }),
    ),
  )
  for (const { port } of nodes) {
    await until(() => asking(port, async (redis) => /cluster_state:ok/.test(String(await redis.cluster('INFO')))))
    // A node that has just been met answers for slots whose owner it knows.
    await until(() => asking(port, async (redis) => (await redis.cluster('SLOTS')).length === nodes.length))
  }
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    stop: async () => void (await Promise.all(nodes.map((node) => node.kill()))),
  }
}

/** A primary, its replica, and three sentinels of which two must agree. */
export async function startSentinels(directory: string): Promise<Shape> {
  const primary = await startNode(directory, DURABLE)
  const replica = await startNode(directory, [...DURABLE, '--replicaof', '127.0.0.1', String(primary.port)])
  const sentinels = await Promise.all([0, 1, 2].map(() => startSentinel(directory, primary.port)))
  for (const { port } of sentinels) {
    // Until they know one another and the replica they cannot elect a successor.
    await until(() =>
      asking(port, async (redis) => {
        const [primaryKnown] = (await redis.call('SENTINEL', 'MASTERS')) as string[][]
        const known = new Map(primaryKnown?.map((name, place, all) => [name, all[place + 1]]))
        return known.get('num-other-sentinels') === '2' && known.get('num-slaves') === '1'
      }),
    )
  }
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/usher`,
    nodes: [primary, replica],
    stop: async () => void (await Promise.all([...sentinels, primary, replica].map((node) => node.kill()))),
  }
}

async function startNode(directory: string, flags: readonly string[]): Promise<Node> {
  const port = await freePortWithBus()
  const home = await mkdtemp(join(directory, 'node-'))
  const where = ['--bind', '127.0.0.1', '--port', String(port), '--dir', home, '--save', '']
  return startProcess(port, [...where, ...flags])
}

async function startSentinel(directory: string, primaryPort: number): Promise<Node> {
  const port = await freePortWithBus()
  const home = await mkdtemp(join(directory, 'sentinel-'))
  const file = join(home, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${home}`,
    `sentinel monitor usher 127.0.0.1 ${primaryPort} 2`,
    'sentinel down-after-milliseconds usher 500',
    'sentinel failover-timeout usher 2000',
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  return startProcess(port, [file, '--sentinel'])
}

async function startProcess(port: number, args: readonly string[]): Promise<Node> {
  let child: ChildProcess | undefined
  const node = {
    port,
    async restart() {
      child = spawn(redisProgram(), args, { stdio: 'ignore' })
      await until(() => asking(port, async (redis) => (await redis.ping()) === 'PONG'))
    },
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
  await node.restart()
  return node
}

async function asking<T>(port: number, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => null, commandTimeout: 2_000 })
  redis.on('error', () => {})
  try {
    await redis.connect()
    return await ask(redis)
  } finally {
    redis.disconnect()
  }
}

/** Resolves when a replica has everything that was answered until now: it is told of a write after whoever wrote it. */
export const untilReplicated = (primary: Node): Promise<void> =>
  until(() =>
    asking(primary.port, async (redis) => {
      await redis.set('t-replicated', '1', 'PX', 60_000)
      return (await redis.wait(1, 1_000)) === 1
    }),
  )

/** Asks until the answer is yes; an error is a no. */
export async function until(ask: () => Promise<boolean>, seconds = 20): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const isSo = await ask().catch((error) => {
      if (performance.now() > deadline) throw error
      return false
    })
    if (isSo) return
    if (performance.now() > deadline) throw new Error(`not so after ${seconds} s`)
    await sleep(50)
  }
}

/** The nodes of a cluster talk to one another at their port + 10000; ports from here are handed out to nobody else. */
let nextPort = 20_000 + (process.pid % 80) * 100

async function freePortWithBus(): Promise<number> {
  for (;;) {
    const port = nextPort++
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
