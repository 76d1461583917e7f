import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { Unavailable } from '../../src/errors.ts'
import type { Ephemeral } from '../../src/storage/ephemeral.ts'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { keepConnecting, openRedis, type RedisConnection, redisFaults, redisVersion } from '../../src/storage/redis.ts'
import { startOwnRedis } from '../services.ts'
import { freshRedisPrefix, redisUrl, temporaryDirectory } from '../support/database.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'

const GRANT = { index: 'g:{x}', deny: 'rv:g:{x}', denySeconds: 60 }
const FAMILY = { key: 'f:{x}', index: GRANT.index, digest: 'one', data: 'd', ttlSeconds: 60 }
const LEASE = { key: 'f:{x}', sealedKey: 's:{x}', index: GRANT.index, leaseId: 'l' }
const BEGIN = { ...LEASE, grant: GRANT, digest: 'one', leaseMs: 5_000, graceMs: 10_000 }
const COMMIT = { ...LEASE, digest: 'two', data: 'e', sealed: 'secret answer', ttlSeconds: 60, graceMs: 10_000 }

/** Every verb of the store once, in an order in which each finds what it needs. */
const VERBS: [name: string, run: (store: Ephemeral) => Promise<unknown>][] = [
  ['check', (store) => store.check()],
  ['put', (store) => store.put('a', 'secret value', { ttlSeconds: 60 })],
  ['put if absent', (store) => store.put('a', 'x', { ttlSeconds: 60, ifAbsent: true })],
  ['put into an index', (store) => store.put('gr:{x}', 'x', { ttlSeconds: 60, index: GRANT.index })],
  ['putAll', (store) => store.putAll(['b', 'c'].map((key) => ({ key, value: 'x', ttlSeconds: 60 })))],
  ['get', (store) => store.get(['a', 'b', 'c'])],
  ['take', (store) => store.take('a')],
  ['remove', (store) => store.remove(['b', 'c'])],
  ['offer', (store) => store.offer('c:{x}', 'x', { ttlSeconds: 60, index: GRANT.index })],
  ['peek', (store) => store.peek('c:{x}')],
  ['consumeOnce', (store) => store.consumeOnce('c:{x}')],
  ['settle', (store) => store.settle('c:{x}', { ttlSeconds: 60 })],
  ['startFamily', (store) => store.startFamily(FAMILY)],
  ['readFamily', (store) => store.readFamily(FAMILY.key, ['rv:g:{x}', 'nb:all'])],
  ['rotateBegin', (store) => store.rotateBegin(BEGIN)],
  ['rotateAbort', (store) => store.rotateAbort({ key: FAMILY.key, leaseId: 'other' })],
  ['rotateCommit', (store) => store.rotateCommit(COMMIT)],
  ['rotate', (store) => store.rotate({ ...COMMIT, presented: 'two' })],
  ['revokeGrant', (store) => store.revokeGrant(GRANT)],
  ['spend', (store) => store.spend(['tb:x', 'tb:y'].map((key) => ({ key, capacity: 5, perSecond: 1, cost: 1 })))],
]

const failureOf = (run: () => Promise<unknown>): Promise<unknown> =>
  run().then(
    () => undefined,
    (error) => error,
  )

describe('the connection to Redis', () => {
  it('costs exactly one round trip per verb', async () => {
    let trips = 0
    const names: string[] = []
    const redis = await openRedis(redisUrl(), {
      onCommand: ({ name, isRoundTrip }) => {
        names.push(name)
        if (isRoundTrip) trips += 1
      },
    })
    const store = createRedisEphemeral(redis, { prefix: freshRedisPrefix() })
    for (const round of ['first', 'second']) {
      for (const [name, run] of VERBS) {
        trips = 0
        await run(store)
        expect(trips, `${name}, ${round} time`).to.equal(1)
      }
    }
    expect(names).not.to.include('multi')
    await store.close()
  })

  it('is bounded in every direction', async () => {
    const redis = await openRedis(redisUrl())
    expect(redis.options).to.include({ commandTimeout: 300, enableOfflineQueue: false, maxRetriesPerRequest: 0 })
    redis.disconnect()
  })

  it('sends a script again to a server that has forgotten it', async () => {
    const own = await startOwnRedis(await temporaryDirectory('redis'))
    try {
      const redis = await openRedis(own.url)
      const store = createRedisEphemeral(redis, { prefix: freshRedisPrefix() })
      await store.startFamily(FAMILY)
      await redis.script('FLUSH')
      expect(await store.startFamily(FAMILY)).to.equal(true)
      await store.close()
    } finally {
      await own.stop()
    }
  })

  describe('that breaks', () => {
    let proxy: FaultProxy
    let redis: RedisConnection
    let store: Ephemeral

    beforeEach(async () => {
      proxy = await createFaultProxy(redisUrl())
      redis = await openRedis(proxy.url)
      store = createRedisEphemeral(redis, { prefix: freshRedisPrefix() })
      for (const [, run] of VERBS) await run(store)
    })
    afterEach(async () => {
      redis.disconnect()
      await proxy.close()
    })

    it('makes every verb unavailable when nothing answers any more, and the next ones work after it is back', async () => {
      proxy.stall()
      const failures = await Promise.all(VERBS.map(([, run]) => failureOf(() => run(store))))
      for (const [i, failure] of failures.entries()) expect(failure, VERBS[i]?.[0]).to.be.instanceOf(Unavailable)
      await proxy.heal()
      await untilAvailable(store)
    })

    it('makes every verb unavailable when nobody listens any more, and the next ones work after it is back', async () => {
      await proxy.refuse()
      for (const [name, run] of VERBS) expect(await failureOf(() => run(store)), name).to.be.instanceOf(Unavailable)
      await proxy.heal()
      await untilAvailable(store)
    })

    it('does not send a command again whose answer was lost', async () => {
      await store.offer('c:once', 'x', { ttlSeconds: 60 })
      proxy.stall()
      const outcome = failureOf(() => store.consumeOnce('c:once'))
      proxy.cut()
      expect(await outcome).to.be.instanceOf(Unavailable)
      await untilAvailable(store)
      expect((await store.peek('c:once'))?.state).to.equal('fresh')
    })
  })

  it('is refused in one line that names the host and not the password', async () => {
    const proxy = await createFaultProxy(redisUrl())
    await proxy.close()
    const url = new URL(proxy.url)
    url.password = 'hunter2'
    const failure = await failureOf(() => openRedis(url.href, { readyMs: 200 }))
    expect(failure)
      .to.be.instanceOf(Unavailable)
      .with.property('detail')
      .that.matches(/^Redis at 127\.0\.0\.1:\d+ \(.*ECONNREFUSED.*\)/)
    expect(JSON.stringify(everythingIn(failure))).not.to.match(/hunter2/)
  })

  it('waits for a server that comes up a little later', async () => {
    const proxy = await createFaultProxy(redisUrl())
    await proxy.refuse()
    const opening = openRedis(proxy.url)
    await sleep(150)
    await proxy.heal()
    const redis = await opening
    expect(await redisVersion(redis)).to.match(/^Redis \d+\.\d+/)
    redis.disconnect()
    await proxy.close()
  })
})

describe('the durability of Redis', () => {
  const cases: [name: string, flags: string[], faults: RegExp[]][] = [
    ['accepts a primary with AOF that never evicts', ['--appendonly', 'yes'], []],
    ['refuses one without AOF', ['--appendonly', 'no'], [/AOF/]],
    ['refuses one that evicts', ['--appendonly', 'yes', '--maxmemory-policy', 'allkeys-lru'], [/evict.*allkeys-lru/]],
    ['refuses a replica', ['--appendonly', 'yes', '--replicaof', '127.0.0.1 1'], [/primary.*slave/]],
  ]
  for (const [name, flags, expected] of cases) {
    it(name, async () => {
      const own = await startOwnRedis(await temporaryDirectory('redis'), flags)
      try {
        const redis = await openRedis(own.url)
        const faults = await redisFaults(redis)
        expect(faults).to.have.length(expected.length)
        for (const [i, pattern] of expected.entries()) expect(faults[i]).to.match(pattern)
        redis.disconnect()
      } finally {
        await own.stop()
      }
    })
  }

  it('makes a full server unavailable, and repeats no value in the error', async () => {
    const own = await startOwnRedis(await temporaryDirectory('redis'), ['--maxmemory', '3mb'])
    try {
      const store = createRedisEphemeral(await openRedis(own.url), { prefix: 't:' })
      const fill = async () => {
        for (let i = 0; i < 200; i += 1) await store.put(`k${i}`, 'x'.repeat(50_000), { ttlSeconds: 60 })
      }
      const failure = await failureOf(fill)
      expect(failure).to.be.instanceOf(Unavailable)
      expect(JSON.stringify(everythingIn(failure))).not.to.match(/xxx/)
      expect(await store.get(['k0'])).to.deep.equal(['x'.repeat(50_000)])
      await store.close()
    } finally {
      await own.stop()
    }
  })

  it('begins anew when it has ended although nobody closed it, and stays closed when somebody did', async () => {
    const redis = new Redis(redisUrl(), { lazyConnect: true })
    redis.on('error', () => {})
    let isWanted = true
    keepConnecting(redis, () => isWanted)
    try {
      await redis.connect()
      const ready = once(redis, 'ready')
      redis.disconnect() // as the client does by itself
      await ready
      expect(await redis.ping()).to.equal('PONG')
      isWanted = false
      redis.disconnect()
      await sleep(300)
      expect(redis.status).to.equal('end')
    } finally {
      isWanted = false
      redis.disconnect()
    }
  })
})

/** Mocha's timeout is the bound: a store that stays unavailable fails the test. */
async function untilAvailable(store: Ephemeral): Promise<void> {
  while ((await failureOf(() => store.check())) !== undefined) await sleep(20)
}

/** An error with its causes as a log could show it. */
function everythingIn(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  return { ...error, message: error.message, stack: error.stack, cause: everythingIn(error.cause) }
}
