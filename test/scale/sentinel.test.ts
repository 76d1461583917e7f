/** Two server processes over a Redis primary with a replica and sentinels, through the loss of the primary. */
import { expect } from 'chai'
import { openRedis, redisFaults } from '../../src/storage/redis.ts'
import { createProbedClient, preparedProbes } from '../faults/probes.ts'
import { expectUnavailable } from '../faults/unavailable.ts'
import { type CodeFlow, tokensOf } from '../support/code-flow.ts'
import { temporaryDirectory } from '../support/database.ts'
import { send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'
import { type Shape, startSentinels, until, untilReplicated } from './redis-shapes.ts'

describe('two processes over a primary that sentinels know', function () {
  this.timeout(60_000)
  let shape: Shape
  let world: World
  let flow: CodeFlow

  before(async () => {
    shape = await startSentinels(await temporaryDirectory('sentinel'))
    world = await startWorld({ servers: 2, redisUrl: shape.url, directRedisUrl: shape.url })
    flow = await createProbedClient(world)
  })
  after(async () => {
    await world?.stop()
    await shape?.stop()
  })

  it('begin with the primary', async () => {
    const redis = await openRedis(shape.url)
    expect(await redisFaults(redis)).to.deep.equal([])
    redis.disconnect()
  })

  it('answer 503 while it is lost, and go on with its successor', async () => {
    const { api, tokens } = await preparedProbes(flow)
    const kept = await flow.tokens()
    const revoked = await flow.tokens()
    expect((await flow.revoke(revoked.refresh_token, 0)).status).to.equal(200)
    const [primary] = shape.nodes
    if (!primary) throw new Error('no primary')
    await untilReplicated(primary)
    await primary.kill()
    for (const [name, probe] of Object.entries(api)) expectUnavailable(await probe(), name)
    const isReady = async (server: number) =>
      (await send(world.servers[server]?.address ?? '', world.issuer, '/readyz')).status === 200
    expect([await isReady(0), await isReady(1)]).to.deep.equal([false, false])
    for (const server of [0, 1]) await until(() => isReady(server), 30)
    tokensOf(await flow.refresh(kept.refresh_token, {}, 1))
    expect((await flow.userinfo(tokens.access_token, 0)).status).to.equal(200)
    for (const token of [revoked.access_token, revoked.refresh_token]) {
      for (const server of [0, 1]) expect((await flow.introspect(token, server)).text).to.equal('{"active":false}')
    }
    const fresh = await flow.tokens()
    expect((await flow.revoke(fresh.access_token, 0)).status).to.equal(200)
    await until(async () => (await flow.introspect(fresh.access_token, 1)).text === '{"active":false}')
  })
})
