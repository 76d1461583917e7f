/** F13: the durable store does not answer. Who cannot be looked up is not unknown. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type CodeFlow, tokensOf } from '../support/code-flow.ts'
import { postgresUrl } from '../support/database.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { startWorld, type World } from '../support/world.ts'
import { createProbedClient, preparedProbes } from './probes.ts'
import { expectUnavailable, expectUnavailablePage, until, untilWell } from './unavailable.ts'

describe('F13: PostgreSQL is gone', function () {
  this.timeout(60_000)
  let world: World
  let flow: CodeFlow
  let proxy: FaultProxy

  before(async () => {
    proxy = await createFaultProxy(postgresUrl())
    world = await startWorld({ databaseUrl: proxy.url })
    flow = await createProbedClient(world)
  })
  after(async () => {
    await proxy?.heal()
    await world?.stop()
    await proxy?.close()
  })

  it('frozen, then shut down: nobody is called unknown, and all is well afterwards', async () => {
    const { api, pages, tokens, unused } = await preparedProbes(flow)
    const isAsked = ([name]: [string, unknown]) => name !== 'signing out' // that is between the browser and its session
    const expectNothingKnown = async () => {
      const asking = Object.entries(api).map(async ([name, ask]) => expectUnavailable(await ask(), name))
      const looking = Object.entries(pages)
        .filter(isAsked)
        .map(async ([name, ask]) => expectUnavailablePage(await ask(), name))
      await Promise.all([...asking, ...looking])
      for (const path of ['/.well-known/jwks.json', '/.well-known/openid-configuration', '/healthz']) {
        expect((await flow.get(path)).status, path).to.equal(200)
      }
      expect(
        (
          await until(
            () => flow.get('/readyz'),
            ({ status }) => status === 503,
          )
        ).status,
      ).to.equal(503)
    }
    try {
      proxy.stall()
      // Clients are believed for some seconds; afterwards nothing can be said about any of them.
      await sleep(5_200)
      await expectNothingKnown()
      await proxy.refuse()
      await expectNothingKnown()
    } finally {
      await proxy.heal()
    }
    await untilWell(() => flow.userinfo(tokens.access_token))
    expect((await flow.introspect(tokens.access_token)).json().active).to.equal(true)
    tokensOf(await flow.refresh(unused.refresh_token))
    await flow.tokens()
  })
})
