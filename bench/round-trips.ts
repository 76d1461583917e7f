/**
 * How often a request goes to a store and back: counted on the wire, between a server process of its own and the real
 * stores, one request at a time. A pipeline or a script counts once; what the server does by itself (following the
 * journal, the beat of its workers) is measured while nobody asks, and taken off.
 */
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, createClient } from './client.ts'
import { freePort, type Measured } from './process.ts'
import { startUsher } from './targets.ts'
import type { Request } from './wrk.ts'

export interface Trips {
  redis: number
  sql: number
}

interface CountingProxy {
  url: string
  count(): number
  close(): void
}

export interface TripCounter {
  server: Measured
  /** The mean over so many requests. */
  of(requests: readonly Request[]): Promise<Trips>
  /** The same for work that makes its own requests; answers how many it made. */
  during(work: (server: Measured) => Promise<number>): Promise<Trips>
  stop(): Promise<void>
}

const REQUESTS = 300
const IDLE_MS = 3_000

/** A server as it is measured, behind proxies that count. */
export async function startTripCounter(env: Record<string, string>): Promise<TripCounter> {
  const redis = await startProxy(env.USHER_REDIS_URL ?? '', countRedis)
  const sql = await startProxy(env.USHER_DATABASE_URL ?? '', countSql)
  const port = String(await freePort())
  const server = await startUsher({
    ...env,
    USHER_PORT: port,
    USHER_REDIS_URL: redis.url,
    USHER_DATABASE_URL: sql.url,
  })
  const client = createClient()

  async function during(work: (server: Measured) => Promise<number>): Promise<Trips> {
    const counts = () => ({ redis: redis.count(), sql: sql.count(), at: performance.now() })
    const begun = counts()
    await sleep(IDLE_MS)
    const idle = counts()
    const requests = await work(server)
    const end = counts()
    const perRequest = (name: 'redis' | 'sql'): number => {
      const perMs = (idle[name] - begun[name]) / (idle.at - begun.at)
      const own = end[name] - idle[name] - perMs * (end.at - idle.at)
      return Math.max(0, own) / requests
    }
    return { redis: perRequest('redis'), sql: perRequest('sql') }
  }

  return {
    server,
    during,
    async of(requests) {
      const asked = Array.from({ length: REQUESTS }, (_, place) => requests[place % requests.length])
      const all = async () => {
        for (const request of asked) if (request) await ask(client, server.address, request)
        return asked.length
      }
      await all() // what is kept is then warm, as under load
      return during(all)
    },
    async stop() {
      client.destroy()
      await server.stop()
      redis.close()
      sql.close()
    },
  }
}

/** Called with every piece that goes to the store; answers how many round trips begin with it. */
type Counter = () => { sent(chunk: Buffer): number; answered(): void }

async function startProxy(url: string, counter: Counter): Promise<CountingProxy> {
  const { hostname, port } = new URL(url)
  const open = new Set<Socket>()
  let total = 0
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    const { sent, answered } = counter()
    for (const socket of [near, far]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => socket.destroy())
    }
    near.on('data', (chunk) => {
      total += sent(chunk)
      far.write(chunk)
    })
    far.on('data', (chunk) => {
      answered()
      near.write(chunk)
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  const own = await freePort()
  await new Promise<void>((resolve) => server.listen(own, '127.0.0.1', resolve))
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String(own)
  return {
    url: through.href,
    count: () => total,
    close() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

/** What is sent before anything was answered is one round trip. */
const countRedis: Counter = () => {
  let isWaiting = false
  return {
    sent() {
      if (isWaiting) return 0
      isWaiting = true
      return 1
    },
    answered() {
      isWaiting = false
    },
  }
}

/** Of the messages of the protocol, Query and Sync are those that are answered. */
const countSql: Counter = () => {
  let rest = Buffer.alloc(0)
  let isStarted = false
  return {
    sent(chunk) {
      rest = Buffer.concat([rest, chunk])
      let asked = 0
      for (;;) {
        const header = isStarted ? 1 : 0 // the first message has no type
        if (rest.length < header + 4) return asked
        const length = header + rest.readUInt32BE(header)
        if (rest.length < length) return asked
        if (isStarted && (rest[0] === 0x51 || rest[0] === 0x53)) asked += 1
        rest = rest.subarray(length)
        isStarted = true
      }
    },
    answered() {},
  }
}
