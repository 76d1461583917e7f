/**
 * What every endpoint asks of the stores, exactly: a change that adds a round trip, or saves one, must say so here, and an
 * endpoint without a row is refused. Clients are in the cache, and signatures are checked without a store. Roles and
 * permissions are in memory; what confirms that memory once in 800 ms belongs to no request, and is counted by itself.
 */
import Router from '@koa/router'
import { expect } from 'chai'
import { type Call, type Cast, createCast, type Prepare, type Rows } from './round-trips/cast.ts'
import { PROTOCOL_ROWS } from './round-trips/protocol-rows.ts'
import { REST_ROWS } from './round-trips/rest-rows.ts'
import { type CountedWorld, type Counts, startCountedWorld } from './support/counted-world.ts'

const ROWS: Rows = { ...PROTOCOL_ROWS, ...REST_ROWS }
const routeOf = (name: string): string => name.split(', ')[0] ?? ''
const ROUTES: ReadonlySet<string> = new Set(Object.keys(ROWS).map(routeOf))
/** For people, who do not come by the thousand. */
const PAGE = /^\w+ \/((account|sign-in|register|verify|recover|demo|dev|docs|redoc|assets)(\/|$)|$)/
const DOCUMENTS = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']
/** What is counted is answered as wished, but for these. */
const REFUSED: ReadonlySet<string> = new Set(['POST /oauth2/token, a forged refresh token'])
const isRefusal = (answer: unknown): boolean =>
  typeof answer === 'object' && answer !== null && 'status' in answer && Number(answer.status) >= 400
/** On a machine that stands still in the middle of a request, it is made anew. */
const ATTEMPTS = 5

const asked: Prepare = (_, call) => () => call()

describe('round trips', function () {
  this.timeout(30_000)
  let world: CountedWorld
  let cast: Cast

  before(async () => {
    world = await startCountedWorld()
    cast = await createCast(world)
  })
  after(() => world?.stop())

  const calling =
    (name: string): Call =>
    ({ at = [], ...more } = {}) => {
      const [method = '', path = ''] = routeOf(name).split(' ')
      const ids = at.values()
      return cast.ask(
        method,
        path.replaceAll(/\{\w+\}/g, () => ids.next().value ?? 'nothing'),
        more,
      )
    }

  async function costOf(name: string, prepare: Prepare): Promise<Counts> {
    // Scripts travel once per connection as text, and memory has to be filled.
    await (await prepare(cast, calling(name)))()
    for (let attempt = 1; ; attempt += 1) {
      const work = await prepare(cast, calling(name))
      await cast.warm()
      const { answer, counts, isSteady } = await world.counting(work)
      expect(isRefusal(answer), name).to.equal(REFUSED.has(name))
      if (isSteady || attempt === ATTEMPTS) return counts
    }
  }

  for (const [name, [redis, sql, prepare = asked, aim]] of Object.entries(ROWS)) {
    it(`${name}: ${redis} of Redis, ${sql} of SQL${aim ? `; to become ${aim.join(' and ')}` : ''}`, async () => {
      expect(await costOf(name, prepare)).to.deep.equal({ redis, sql })
      if (aim) expect(redis + sql, 'it has come down to its aim').to.be.greaterThan(aim[0] + aim[1])
    })
  }

  it('are written down for every route that is declared or stands on the router, but pages', () => {
    const router = new Router()
    for (const mount of world.mounts) mount(router)
    const mounted = router.stack.flatMap(({ methods, path }) =>
      methods
        .filter((method) => method !== 'HEAD')
        .map((method) => `${method} ${String(path).replaceAll(/:(\w+)/g, '{$1}')}`),
    )
    const declared = world.routes().map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    const wanted = new Set([...declared, ...mounted.filter((route) => !PAGE.test(route))])
    expect([...wanted].filter((route) => !ROUTES.has(route))).to.deep.equal([])
  })

  it('are written down for every endpoint that discovery names', async () => {
    const paths = new Set([...ROUTES].map((route) => route.split(' ')[1]))
    for (const document of DOCUMENTS) {
      const found = (await cast.flow.get(document)).json()
      const endpoints = Object.entries(found).filter(([name]) => /_(endpoint|uri)$/.test(name))
      expect(endpoints).to.have.lengthOf.at.least(7)
      const without = endpoints.filter(([, url]) => !paths.has(new URL(String(url)).pathname))
      expect(without).to.deep.equal([])
    }
  })

  it('a hundred decisions: nothing but one confirmation of what is remembered', async () => {
    const { id } = await world.core.accounts.create({ email: 'decided@example.org' })
    await world.core.decisions.decide(id, 'movies:edit')
    const [begunMs, before] = [performance.now(), world.confirmations()]
    const { counts } = await world.counting(async () => {
      for (let count = 0; count < 100; count += 1) await world.core.decisions.decide(id, { any: ['a', `b${count}`] })
    })
    expect(counts).to.deep.equal({ redis: 0, sql: 0 })
    const windows = 1 + Math.floor((performance.now() - begunMs) / 800)
    expect(world.confirmations() - before).to.be.at.most(windows)
  })
})
