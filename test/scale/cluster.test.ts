/** Two server processes over a three-node Redis Cluster, and what they say when one of the nodes is lost. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { Unavailable } from '../../src/errors.ts'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { isCluster, openRedis, type RedisConnection, redisFaults, redisVersion } from '../../src/storage/redis.ts'
import { createRedisSeal } from '../../src/storage/redis-seal.ts'
import { firstSlots, primaryOf, SLOTS, slotOf, tagOf } from '../../src/storage/redis-slots.ts'
import { createProbedClient, preparedProbes } from '../faults/probes.ts'
import { expectUnavailable, untilWell } from '../faults/unavailable.ts'
import { type CodeFlow, tokensOf } from '../support/code-flow.ts'
import { freshRedisPrefix, keysWithoutEnd, temporaryDirectory } from '../support/database.ts'
import { send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'
import { type Shape, startCluster, until } from './redis-shapes.ts'
import { itWorksBetweenTwoProcesses } from './smoke.ts'

const LAUNCHER = fileURLToPath(new URL('../../bin/runtime.js', import.meta.url))
const CLOSING_CLIENT = fileURLToPath(new URL('closing-client.ts', import.meta.url))

describe('two processes over a Redis Cluster', function () {
  this.timeout(60_000)
  let shape: Shape
  let world: World

  before(async () => {
    shape = await startCluster(await temporaryDirectory('cluster'))
    world = await startWorld({ servers: 2, redisUrl: shape.url, directRedisUrl: shape.url })
  })
  after(async () => {
    await world?.stop()
    await shape?.stop()
  })

  itWorksBetweenTwoProcesses(() => world)

  it('have left keys on every node, and none without an end', async () => {
    const redis = await openRedis(shape.url)
    for (const node of isCluster(redis) ? redis.nodes('master') : []) expect(await node.dbsize()).to.be.greaterThan(0)
    expect(await keysWithoutEnd(redis, world.env.USHER_REDIS_PREFIX ?? '')).to.deep.equal([])
    redis.disconnect()
  })
})

describe('a Redis Cluster', function () {
  this.timeout(60_000)
  let shape: Shape
  let redis: RedisConnection

  before(async () => {
    shape = await startCluster(await temporaryDirectory('cluster'))
    redis = await openRedis(shape.url)
  })
  after(async () => {
    redis?.disconnect()
    await shape?.stop()
  })

  it('says what it is, and passes the check of durability on every node', async () => {
    expect(await redisVersion(redis)).to.match(/^Redis \d.*, a cluster of 3$/)
    expect(await redisFaults(redis)).to.deep.equal([])
    const [first] = isCluster(redis) ? redis.nodes('master') : []
    await first?.config('SET', 'appendonly', 'no')
    expect(await redisFaults(redis)).to.deep.equal([
      `Redis at 127.0.0.1:${first?.options.port} must persist with AOF (appendonly yes)`,
    ])
    await first?.config('SET', 'appendonly', 'yes')
  })

  it('has the slots that we reckon with', async () => {
    for (const key of ['usher:rev', 'usher:f:{grant}:x', 'a{}b{c}', 'é{ü}', '', tagOf(0), tagOf(SLOTS - 1)]) {
      expect(isCluster(redis) && (await redis.cluster('KEYSLOT', key)), key).to.equal(slotOf(key))
    }
    expect([slotOf(tagOf(0)), slotOf(tagOf(SLOTS - 1))]).to.deep.equal([0, SLOTS - 1])
  })

  it('is whole only while every node is', async () => {
    const prefix = freshRedisPrefix()
    const seal = createRedisSeal(redis, { prefix })
    const store = createRedisEphemeral(redis, { prefix })
    expect(await seal.isWhole()).to.equal(false)
    await seal.set()
    expect(await store.get(['boot', 'nothing'])).to.deep.equal(['1', undefined])
    if (!isCluster(redis)) throw new Error('no cluster')
    expect(firstSlots(redis)).to.have.length(3)
    for (const node of redis.nodes('master')) {
      await node.flushall()
      expect(await store.get(['boot'])).to.deep.equal([undefined])
      await seal.set()
    }
  })

  it('lets a process end that closes its connection while it looks for the primaries', async () => {
    const child = spawn(process.execPath, [LAUNCHER, CLOSING_CLIENT, shape.url], { stdio: 'inherit' })
    const patience = setTimeout(() => child.kill('SIGKILL'), 20_000)
    expect(await once(child, 'exit')).to.deep.equal([0, null])
    clearTimeout(patience)
  })

  it('takes scripts again that a node has forgotten', async () => {
    const store = createRedisEphemeral(redis, { prefix: freshRedisPrefix() })
    for (const round of ['a', 'b']) {
      for (const code of ['1', '2', '3', '4', '5', '6', '7', '8']) {
        await store.offer(`c:{${code}}:${round}`, 'x', { ttlSeconds: 60 })
        expect(await store.consumeOnce(`c:{${code}}:${round}`)).to.equal('won')
      }
      for (const node of isCluster(redis) ? redis.nodes('master') : []) await node.script('FLUSH')
    }
  })

  it('that has keys of one script in different slots says so, and it is no outage', async () => {
    const store = createRedisEphemeral(redis, { prefix: freshRedisPrefix() })
    const spanning = store.put('gr:{one}', 'x', { ttlSeconds: 60, index: 'g:{other}' })
    const failure = await spanning.catch((error: unknown) => error)
    expect(failure).not.to.be.instanceOf(Unavailable)
    expect(String(failure)).to.match(/CROSSSLOT|same slot/)
  })
})

describe('a Redis Cluster that loses a node', function () {
  this.timeout(90_000)
  let shape: Shape
  let world: World
  let flow: CodeFlow

  before(async () => {
    // What the other nodes have stays served: the hardest case, in which some answers are there and some are not.
    shape = await startCluster(await temporaryDirectory('cluster'), ['--cluster-require-full-coverage', 'no'])
    world = await startWorld({ servers: 2, redisUrl: shape.url, directRedisUrl: shape.url })
    flow = await createProbedClient(world)
  })
  after(async () => {
    await world?.stop()
    await shape?.stop()
  })

  it('opens no door meanwhile, and all of it works again when the node is back', async () => {
    const prefix = world.env.USHER_REDIS_PREFIX ?? ''
    const redis = await openRedis(shape.url)
    if (!isCluster(redis)) throw new Error('no cluster')
    const all = await Promise.all(Array.from({ length: 9 }, () => flow.tokens()))
    const portOf = (token: string): number | undefined => {
      const { gid } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
      return primaryOf(redis, `${prefix}gr:{${gid}}`)?.options.port
    }
    // Of a family on the node that is lost: both a token in force and one that has been revoked.
    const lost = portOf(all[0]?.access_token ?? '')
    const there = all.filter(({ access_token }) => portOf(access_token) === lost)
    const elsewhere = all.filter(({ access_token }) => portOf(access_token) !== lost)
    const [revoked] = all
    expect((await flow.revoke(revoked?.access_token ?? '', 0)).status).to.equal(200)
    redis.disconnect()
    const node = shape.nodes.find(({ port }) => port === lost)
    await node?.kill()
    for (const { refresh_token } of there) {
      expectUnavailable(await flow.refresh(refresh_token, {}, 0), 'refreshing a family of the lost node')
    }
    for (let round = 0; round < 10; round += 1) {
      for (const server of [0, 1]) {
        const reply = await flow.introspect(revoked?.access_token ?? '', server)
        if (reply.status !== 503) expect(reply.text).to.equal('{"active":false}')
      }
    }
    for (const { refresh_token } of elsewhere) {
      const reply = await flow.refresh(refresh_token, {}, 1)
      if (reply.status !== 200) expectUnavailable(reply, 'refreshing a family of another node')
    }
    await node?.restart()
    for (const server of [0, 1]) {
      await until(
        async () => (await send(world.servers[server]?.address ?? '', world.issuer, '/readyz')).status === 200,
      )
    }
    // A node that was away is known as such for a moment more.
    for (const { refresh_token } of there) tokensOf(await untilWell(() => flow.refresh(refresh_token, {}, 1)))
    expect((await flow.introspect(revoked?.access_token ?? '', 1)).text).to.equal('{"active":false}')
    const probes = await untilWell(async () => flow.redeem(await flow.authorize(flow.newAgent())))
    expect(probes.status).to.equal(200)
    await preparedProbes(flow)
  })
})
