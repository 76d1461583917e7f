/**
 * F01, F03: the ephemeral store does not answer. Whatever would need it is 503 with Retry-After, and nothing is made of
 * not knowing: no token is called inactive, no code unknown, and nobody is sent back to a client.
 */
import { expect } from 'chai'
import { type CodeFlow, tokensOf } from '../support/code-flow.ts'
import { redisUrl } from '../support/database.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { startWorld, type World } from '../support/world.ts'
import { createProbedClient, preparedProbes } from './probes.ts'
import { expectUnavailable, expectUnavailablePage, until, untilWell } from './unavailable.ts'

describe('F03: Redis is gone', function () {
  this.timeout(40_000)
  let world: World
  let flow: CodeFlow
  let proxy: FaultProxy

  before(async () => {
    proxy = await createFaultProxy(redisUrl())
    world = await startWorld({ redisUrl: proxy.url })
    flow = await createProbedClient(world)
  })
  after(async () => {
    await proxy?.heal()
    await world?.stop()
    await proxy?.close()
  })

  const FAULTS: [string, () => unknown][] = [
    ['frozen', () => proxy.stall()],
    ['shut down', () => proxy.refuse()],
  ]
  for (const [fault, provoke] of FAULTS) {
    it(`${fault}: everything that needs it answers 503, everything else goes on, and all is well afterwards`, async () => {
      const { api, pages, tokens, unused, unredeemed } = await preparedProbes(flow)
      await provoke()
      try {
        for (const [name, ask] of Object.entries(api)) expectUnavailable(await ask(), name)
        for (const [name, ask] of Object.entries(pages)) expectUnavailablePage(await ask(), name)
        for (const path of ['/.well-known/jwks.json', '/.well-known/openid-configuration', '/healthz']) {
          expect((await flow.get(path)).status, path).to.equal(200)
        }
        // Its answer may be a second old.
        expect(
          (
            await until(
              () => flow.get('/readyz'),
              ({ status }) => status === 503,
            )
          ).status,
        ).to.equal(503)
      } finally {
        await proxy.heal()
      }

      await untilWell(() => flow.userinfo(tokens.access_token))
      await untilWell(() => flow.get('/readyz'))
      expect((await flow.introspect(tokens.access_token)).json().active).to.equal(true)
      expect((await flow.userinfo(tokens.access_token)).status).to.equal(200)
      tokensOf(await untilWell(() => flow.refresh(unused.refresh_token)))
      // Redis never saw the redemption, so the code is as good as it was.
      expect((await flow.redeem(unredeemed)).status).to.equal(200)
      await flow.tokens()
    })
  }
})
