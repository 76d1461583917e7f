/** One address in front of several server processes, as an installation has it: a dead one is passed over. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  port: number
  /** Where connections go, one after the other; may be set at any time. */
  targets: URL[]
  /** Ends all connections and refuses new ones. */
  refuse(): Promise<void>
  heal(): Promise<void>
  close(): Promise<void>
}

export async function createBalancer(): Promise<Balancer> {
  const sockets = new Set<Socket>()
  const targets: Balancer['targets'] = []
  let turn = 0

  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  }

  /** Tries one after the other. */
  async function reach(): Promise<Socket | undefined> {
    for (let tries = 0; tries < targets.length; tries += 1) {
      const target = targets[turn++ % targets.length]
      if (!target) continue
      const socket = connect(Number(target.port), target.hostname)
      const isOpen = await Promise.race([
        once(socket, 'connect').then(() => true),
        once(socket, 'close').then(() => false),
      ]).catch(() => false)
      if (isOpen) return socket
    }
    return undefined
  }

  const server = createServer({ pauseOnConnect: true }, async (client) => {
    keep(client)
    const upstream = await reach()
    if (!upstream || client.destroyed) {
      upstream?.destroy()
      client.destroy()
      return
    }
    keep(upstream)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  const listen = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(0)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The balancer has no port.')
  const { port } = address

  const refuse = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    port,
    targets,
    refuse,
    async heal() {
      if (!server.listening) await listen(port)
    },
    close: refuse,
  }
}
