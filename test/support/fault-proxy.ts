import { once } from 'node:events'
import { createServer, connect as open, type Socket } from 'node:net'

/** A TCP connection that can break in the ways networks do, between a client under test and a real server. */
export interface FaultProxy {
  /** The URL of the server, with the proxy's address in it. */
  url: string
  /** Passes nothing on in either direction any more, and says so to nobody: a half-open connection. */
  stall(): void
  /** As stall(), but only for the connections there are: their peer is lost, new ones find it. */
  lose(): void
  /** Ends all connections, with whatever was under way in them; new ones work. */
  cut(): void
  /**
   * Withholds the reply to the first request that holds these bytes, and everything after it on that connection.
   * Resolves when the reply has come: then the server has carried the request out, and its sender will never know.
   */
  withholdReplyTo(bytes: string): Promise<void>
  /** Ends all connections and refuses new ones. */
  refuse(): Promise<void>
  /** Passes everything on again, also what waited. */
  heal(): Promise<void>
  close(): Promise<void>
}

export async function createFaultProxy(serverUrl: string): Promise<FaultProxy> {
  const target = new URL(serverUrl)
  const pairs = new Set<readonly [Socket, Socket]>()
  let isStalled = false
  let awaited: { bytes: string; answered(): void } | undefined

  const withhold = ([client, upstream]: readonly [Socket, Socket], { answered }: NonNullable<typeof awaited>) => {
    upstream.removeAllListeners('data')
    upstream.once('data', answered).resume()
    client.pause()
  }

  const server = createServer((client) => {
    const upstream = open(Number(target.port), target.hostname)
    const pair = [client, upstream] as const
    pairs.add(pair)
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on('error', () => {})
      from.on('data', (chunk) => to.write(chunk))
      from.on('close', () => {
        to.destroy()
        pairs.delete(pair)
      })
      if (isStalled) from.pause()
    }
    client.on('data', (chunk) => {
      if (!awaited || !chunk.includes(awaited.bytes)) return
      withhold(pair, awaited)
      awaited = undefined
    })
  })
  const listen = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const cut = (): void => {
    isStalled = false
    for (const socket of [...pairs].flat()) socket.destroy()
  }
  const refuse = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    cut()
    await closed
  }

  await listen(0)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(address.port)
  return {
    url: url.href,
    stall() {
      isStalled = true
      for (const socket of [...pairs].flat()) socket.pause()
    },
    lose() {
      for (const socket of [...pairs].flat()) socket.pause()
    },
    cut,
    withholdReplyTo(bytes) {
      const { promise, resolve } = Promise.withResolvers<void>()
      awaited = { bytes, answered: resolve }
      return promise
    },
    refuse,
    async heal() {
      isStalled = false
      for (const socket of [...pairs].flat()) socket.resume()
      if (!server.listening) await listen(address.port)
    },
    close: refuse,
  }
}
