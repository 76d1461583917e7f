/** What is revoked on one process is dead on every other and at every service, whatever happens in between. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { type CodeFlow, createAnna, createCodeFlow, type TokenResponse } from '../support/code-flow.ts'
import { redisUrl } from '../support/database.ts'
import { listenTo, type StreamListener } from '../support/event-stream.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { basic, send } from '../support/http.ts'
import { startServer, startWorld, type World } from '../support/world.ts'
import { until } from './unavailable.ts'

const REDIRECT_URI = 'https://client.example/cb'
/** No request that begins this long after a revocation was answered is let through. */
const EVERYWHERE_WITHIN_MS = 1_000

async function prepared(world: World): Promise<{ flow: CodeFlow; secret: string; bearer: string }> {
  await createAnna(world)
  const { secret } = await world.core.clients.create({
    id: 'app',
    type: 'web',
    firstParty: true,
    grantTypes: ['authorization_code', 'refresh_token'],
    redirectUris: [REDIRECT_URI],
  })
  const service = await world.core.clients.create({
    id: 'service',
    type: 'machine',
    grantTypes: ['client_credentials'],
    scopes: ['events:read'],
  })
  const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
    form: { grant_type: 'client_credentials', scope: 'events:read' },
    headers: { Authorization: basic('service', service.secret ?? '') },
  })
  const flow = createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI })
  return { flow, secret: secret ?? '', bearer: String(reply.json().access_token) }
}

const claimsOf = ({ access_token }: TokenResponse) =>
  JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString())

for (const [store, env] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`revocation across processes over ${store}`, function () {
    this.timeout(60_000)
    let world: World
    let flow: CodeFlow
    let secret: string
    let bearer: string
    const open: StreamListener[] = []

    before(async () => {
      world = await startWorld({ servers: 2, env })
      ;({ flow, secret, bearer } = await prepared(world))
    })
    afterEach(() => {
      for (const listener of open.splice(0)) listener.close()
    })
    after(() => world?.stop())

    async function listen(address: string, lastEventId?: string): Promise<StreamListener> {
      const place = lastEventId === undefined ? {} : { lastEventId }
      // One that has just been started may have to be asked again.
      for (let tries = 0; ; tries += 1) {
        const listener = await listenTo({ address, issuer: world.issuer, bearer, ...place })
        open.push(listener)
        if (listener.status === 200 || tries === 20) return listener
        await sleep(100)
      }
    }

    it('lets nobody in who comes a second later or more', async () => {
      for (let round = 0; round < 10; round += 1) {
        const tokens = await flow.tokens()
        let isOver = false
        const accepted: number[] = []
        const knocking = (async () => {
          while (!isOver) {
            const begunAt = performance.now()
            if ((await flow.introspect(tokens.access_token, 1)).json().active === true) accepted.push(begunAt)
          }
        })()
        await until(
          () => flow.introspect(tokens.access_token, 1),
          (reply) => reply.json().active === true,
        )
        await flow.revoke(round % 2 === 0 ? tokens.access_token : tokens.refresh_token, 0)
        const revokedAt = performance.now()
        await until(
          () => flow.introspect(tokens.access_token, 1),
          (reply) => reply.json().active === false,
        )
        await sleep(100)
        isOver = true
        await knocking
        const late = accepted.filter((begunAt) => begunAt - revokedAt > EVERYWHERE_WITHIN_MS)
        expect(late, `round ${round}`).to.deep.equal([])
      }
    })

    it('loses nothing while the connection of a listener is cut', async () => {
      const address = world.servers[1]?.address ?? ''
      const proxy = await createFaultProxy(address)
      try {
        const told = new Set<unknown>()
        const wished: string[] = []
        const revoke = async () => {
          const id = `cut-${store}-${wished.length}`
          wished.push(id)
          await world.core.revocation.revokeToken({ jti: id })
        }
        let lastId = ''
        const take = (listener: StreamListener) => {
          for (const { data } of listener.events) told.add(data.id)
          lastId = listener.lastId()
        }
        const first = await listen(proxy.url)
        await first.next('snapshot_end')
        for (let count = 0; count < 20; count += 1) await revoke()
        await first.next('heartbeat')
        await proxy.refuse()
        take(first)
        for (let count = 0; count < 60; count += 1) {
          await revoke()
          await sleep(50)
        }
        await proxy.heal()
        const second = await listen(proxy.url, lastId)
        for (let count = 0; count < 20; count += 1) await revoke()
        await second.next('revoked', ({ id }) => id === wished.at(-1))
        await second.next('heartbeat')
        take(second)
        expect(second.events.map(({ event }) => event)).not.to.include('snapshot_begin')
        expect(wished.filter((id) => !told.has(id))).to.deep.equal([])
      } finally {
        await proxy.close()
      }
    })

    it('has everything again in a process that takes the place of one that was killed', async () => {
      const tokens = await flow.tokens()
      const server = await startServer(world.env, '127.0.0.9')
      try {
        const revoked = await send(server.address, world.issuer, '/oauth2/revoke', {
          form: { token: tokens.refresh_token },
          headers: { Authorization: basic('app', secret) },
        })
        expect(revoked.status, revoked.text).to.equal(200)
      } finally {
        server.process.kill('SIGKILL')
        await once(server.process, 'exit')
      }
      const next = await startServer(world.env, '127.0.0.9')
      try {
        const listener = await listen(next.address)
        await listener.next('revoked', ({ kind, id }) => kind === 'grant' && id === claimsOf(tokens).gid)
      } finally {
        for (const listener of open.splice(0)) listener.close()
        await next.stop()
      }
    })
  })
}

describe('revocation while Redis fails', function () {
  this.timeout(60_000)
  let world: World
  let flow: CodeFlow
  let proxy: FaultProxy
  let redis: Redis

  before(async () => {
    redis = new Redis(redisUrl())
    proxy = await createFaultProxy(redisUrl())
    // Behind the proxy is one server, whatever the others of this run keep their things on.
    world = await startWorld({ servers: 1, redisUrl: redisUrl() })
    ;({ flow } = await prepared(world))
    // One more process, whose own way to Redis can be broken.
    world.servers.push(await startServer({ ...world.env, USHER_REDIS_URL: proxy.url }, '127.0.0.2'))
  })
  after(async () => {
    await proxy?.heal()
    await world?.stop()
    await proxy?.close()
    redis?.disconnect()
  })

  const isActive = async (tokens: TokenResponse, server: number) =>
    (await flow.introspect(tokens.access_token, server)).json().active

  it('a flushed Redis revives no token on any process, nor on one that starts then', async () => {
    const [alive, one, other] = [await flow.tokens(), await flow.tokens(), await flow.tokens()]
    await flow.revoke(one.access_token, 0)
    await flow.revoke(other.refresh_token, 1)
    const keys = await redis.keys(`${world.config.redisPrefix}*`)
    await redis.unlink(keys)
    const newcomer = await startServer(world.env, '127.0.0.3')
    world.servers.push(newcomer)
    const last = world.servers.length - 1
    for (let round = 0; round < 20; round += 1) {
      for (const server of [0, 1, last]) {
        expect(await isActive(one, server), `server ${server}`).to.equal(false)
        expect(await isActive(other, server), `server ${server}`).to.equal(false)
        expect(await isActive(alive, server), `server ${server}`).to.equal(true)
      }
      await sleep(50)
    }
  })

  for (const [fault, provoke] of [
    ['frozen', () => proxy.stall()],
    ['lost in silence', () => proxy.lose()],
    ['cut', () => proxy.cut()],
    ['shut', () => proxy.refuse()],
  ] as const) {
    it(`a process whose way to Redis is ${fault} lets nobody in who comes a second later, and goes on afterwards`, async () => {
      const [alive, doomed] = [await flow.tokens(), await flow.tokens()]
      await until(
        () => flow.introspect(doomed.access_token, 1),
        (reply) => reply.json().active === true,
      )
      await provoke()
      try {
        expect((await flow.revoke(doomed.access_token, 0)).status).to.equal(200)
        const revokedAt = performance.now()
        let late = 0
        for (let begunAt = revokedAt; begunAt - revokedAt < 2_500; begunAt = performance.now()) {
          const reply = await flow.introspect(doomed.access_token, 1)
          expect(reply.status).to.be.oneOf([200, 503])
          if (begunAt - revokedAt > EVERYWHERE_WITHIN_MS) {
            late += 1
            expect(reply.json().active, reply.text).not.to.equal(true)
          }
          await sleep(20)
        }
        expect(late, 'who came later').to.be.greaterThan(0)
      } finally {
        await proxy.heal()
      }
      const reply = await until(
        () => flow.introspect(doomed.access_token, 1),
        ({ status }) => status === 200,
      )
      expect(reply.json().active).to.equal(false)
      await until(
        () => flow.introspect(alive.access_token, 1),
        ({ status }) => status === 200,
      )
      expect(await isActive(alive, 1)).to.equal(true)
    })
  }
})
