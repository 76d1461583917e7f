/** F02: Redis is killed, or stops for a while, and comes back with what it has written. What was answered holds. */
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { type Service, startOwnRedis } from '../services.ts'
import { type CodeFlow, tokensOf } from '../support/code-flow.ts'
import { temporaryDirectory } from '../support/database.ts'
import { startWorld, type World } from '../support/world.ts'
import { createProbedClient, preparedProbes } from './probes.ts'
import { expectUnavailable, untilWell } from './unavailable.ts'

describe('F02: Redis is killed', function () {
  this.timeout(40_000)
  let world: World
  let flow: CodeFlow
  let redis: Service
  let restart: () => Promise<void>

  before(async () => {
    const directory = await temporaryDirectory('redis')
    const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--dir', directory]
    redis = await startOwnRedis(directory, durable)
    restart = async () => {
      redis = await startOwnRedis(directory, durable, { port: Number(new URL(redis.url).port) })
    }
    world = await startWorld({ redisUrl: redis.url })
    flow = await createProbedClient(world)
  })
  after(async () => {
    await world?.stop()
    await redis?.stop()
  })

  /** Asked beforehand: a stopped server does not tell. */
  async function pidOfRedis(): Promise<number> {
    const client = new Redis(redis.url)
    const pid = Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1])
    client.disconnect()
    return pid
  }

  it('keeps every grant and every revocation that was acknowledged', async () => {
    const kept = await Promise.all(Array.from({ length: 5 }, () => flow.tokens()))
    const rotated = await Promise.all(kept.map(async (tokens) => tokensOf(await flow.refresh(tokens.refresh_token))))
    const revoked = await flow.tokens()
    expect((await flow.revoke(revoked.refresh_token)).status).to.equal(200)
    process.kill(await pidOfRedis(), 'SIGKILL')
    expectUnavailable(await flow.introspect(rotated[0]?.refresh_token ?? ''), 'while it is gone')
    await restart()
    await untilWell(() => flow.userinfo(rotated[0]?.access_token ?? ''))
    for (const tokens of rotated) {
      expect((await flow.introspect(tokens.access_token)).json().active).to.equal(true)
      tokensOf(await flow.refresh(tokens.refresh_token))
    }
    for (const token of [revoked.access_token, revoked.refresh_token]) {
      expect((await flow.introspect(token)).text).to.equal('{"active":false}')
    }
    expect((await flow.refresh(revoked.refresh_token)).json().error).to.equal('invalid_grant')
  })

  it('stopped for a moment: whoever asked then may ask again, and no token has two successors', async () => {
    const { api, unused } = await preparedProbes(flow)
    const { refreshing, userinfo } = api
    const pid = await pidOfRedis()
    process.kill(pid, 'SIGSTOP')
    try {
      expectUnavailable(await refreshing(), 'refreshing')
      expectUnavailable(await userinfo(), 'userinfo')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    // What timed out may have been carried out when the server woke up.
    const answers = [await untilWell(refreshing), await untilWell(refreshing)]
    const successors = new Set(answers.map((reply) => tokensOf(reply).refresh_token))
    expect(successors.size).to.equal(1)
    tokensOf(await flow.refresh([...successors][0] ?? ''))
    expect((await flow.refresh(unused.refresh_token)).json().error).to.equal('invalid_grant')
  })
})
