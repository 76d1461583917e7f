/**
 * What was ended stays ended for as long as anything of it could come back: refresh tokens and sessions live for months,
 * long after every access token has died and memory has forgotten what killed it. The engine's way and the short way say
 * the same.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { decodeJwt } from 'jose'
import { sql } from 'kysely'
import { composeCore } from '../../src/compose/core.ts'
import { Unavailable } from '../../src/errors.ts'
import { accountFloorKey, grantKey } from '../../src/oidc/ephemeral-keys.ts'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { SEAL_KEY } from '../../src/storage/journal.ts'
import { type CodeFlow, createAnna, createCodeFlow, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { redisUrl } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { send } from '../support/http.ts'
import type { UserAgent } from '../support/user-agent.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'
const CLIENT = {
  type: 'web',
  firstParty: true,
  redirectUris: [REDIRECT_URI],
  scopes: ['openid', 'email', 'offline_access', 'movies:read'],
} as const
/** With a scope the engine answers, without one the short way does. */
const WAYS = { engine: { scope: 'openid' }, 'short way': {} } satisfies Record<string, Record<string, string>>

for (const [store, env] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`what was ended, over ${store}`, function () {
    this.timeout(60_000)
    let world: World
    let flow: CodeFlow
    let anna: string

    before(async () => {
      world = await startWorld({ servers: 1, env })
      anna = (await createAnna(world)).id
      const { secret } = await world.core.clients.create({ id: 'app', ...CLIENT })
      flow = createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI })
    })
    after(() => world?.stop())

    /** A process that starts when no access token is left that a revocation kills. Answers its place. */
    async function anHourLater(): Promise<number> {
      const { db } = world.stores.database
      await sql`update revocations set tokens_expire_at = clock_timestamp() - interval '1 second',
        expires_at = case when expires_at < clock_timestamp() + interval '2 hours'
          then clock_timestamp() - interval '1 second' else expires_at end`.execute(db)
      await world.startAnother()
      await sleep(1_200)
      return world.servers.length - 1
    }

    const statusesOf = async (made: readonly TokenResponse[], server = 0): Promise<Record<string, number[]>> => {
      const statuses: Record<string, number[]> = {}
      for (const [way, more] of Object.entries(WAYS)) {
        statuses[way] = []
        for (const { refresh_token } of made)
          statuses[way].push((await flow.refresh(refresh_token, more, server)).status)
      }
      return statuses
    }
    const ALL_REFUSED = { engine: [400, 400], 'short way': [400, 400] }

    const boundAndOffline = async () => [
      await flow.tokens({ scope: 'openid' }),
      await flow.tokens({ scope: 'openid offline_access', prompt: 'consent' }),
    ]

    it('everything of an account', async () => {
      const made = await boundAndOffline()
      await world.core.sessions.endAll(anna)
      expect(await statusesOf(made, await anHourLater())).to.deep.equal(ALL_REFUSED)
    })

    it('everything of a client', async () => {
      const made = await boundAndOffline()
      await world.core.revocation.revokeClient('app')
      expect(await statusesOf(made, await anHourLater())).to.deep.equal(ALL_REFUSED)
      await sleep(25)
    })

    describe('by signing out where the client also holds a grant that outlives the session', () => {
      /** One browser session, in which the client has got tokens of both kinds. */
      async function signedIn(): Promise<{ agent: UserAgent; bound: TokenResponse[]; offline: TokenResponse }> {
        const agent = flow.newAgent()
        const asking = { scope: 'openid offline_access', prompt: 'consent' }
        const offline = tokensOf(await flow.redeem(await flow.authorize(agent, asking)))
        const bound: TokenResponse[] = []
        for (let count = 0; count < 2; count += 1)
          bound.push(tokensOf(await flow.redeem(await flow.authorize(agent, { scope: 'openid', prompt: 'none' }))))
        return { agent, bound, offline }
      }
      async function signOut(agent: UserAgent, idToken: string, press: string): Promise<void> {
        const url = `${world.issuer}/oauth2/logout?${new URLSearchParams({ id_token_hint: idToken })}`
        expect((await agent.submit(await agent.open(url), { press })).status).to.equal(200)
      }

      for (const [choice, press] of [
        ['of everything', 'logout-confirm'],
        ['of the client alone', 'logout-stay'],
      ] as const) {
        it(`${choice}: what is bound to the session, and not the other`, async () => {
          const { agent, bound, offline } = await signedIn()
          await signOut(agent, bound[0]?.id_token ?? '', press)
          expect(await statusesOf(bound)).to.deep.equal(ALL_REFUSED)
          for (const { refresh_token } of bound) {
            expect((await flow.introspect(refresh_token)).json()).to.deep.equal({ active: false })
          }
          expect((await flow.refresh(offline.refresh_token)).status).to.equal(200)
          expect(await statusesOf(bound, await anHourLater())).to.deep.equal(ALL_REFUSED)
        })

        it(`${choice}: what userinfo says, by either way`, async () => {
          const { agent, bound } = await signedIn()
          await signOut(agent, bound[0]?.id_token ?? '', press)
          for (const { access_token } of bound) {
            const headers = {
              Authorization: `Bearer ${access_token}`,
              'Content-Type': 'application/x-www-form-urlencoded',
            }
            const address = world.servers[0]?.address ?? ''
            const byEngine = await send(address, world.issuer, '/oauth2/userinfo', { method: 'POST', headers })
            expect([byEngine.status, (await flow.userinfo(access_token)).status]).to.deep.equal([401, 401])
          }
        })
      }
    })

    it('by signing out of a client whose earlier grant could outlive the session, and whose present one cannot', async () => {
      const agent = flow.newAgent()
      const asking = { scope: 'openid offline_access', prompt: 'consent' }
      const earlier = tokensOf(await flow.redeem(await flow.authorize(agent, asking)))
      expect((await flow.revoke(earlier.refresh_token)).status).to.equal(200)
      const made = []
      for (let count = 0; count < 2; count += 1)
        made.push(tokensOf(await flow.redeem(await flow.authorize(agent, { scope: 'openid', prompt: 'consent' }))))
      const url = `${world.issuer}/oauth2/logout?${new URLSearchParams({ id_token_hint: made[0]?.id_token ?? '' })}`
      expect((await agent.submit(await agent.open(url), { press: 'logout-stay' })).status).to.equal(200)
      expect(await statusesOf(made)).to.deep.equal(ALL_REFUSED)
      expect((await flow.userinfo(made[1]?.access_token ?? '')).status).to.equal(401)
    })

    it('is nothing where nobody had signed in: no revocation, and no session of two weeks', async () => {
      const revocations = async () =>
        (await sql<{ count: number }>`select count(*)::int as count from revocations`.execute(world.stores.database.db))
          .rows[0]?.count
      const before = await revocations()
      for (let count = 0; count < 3; count += 1) {
        const agent = flow.newAgent()
        const page = await agent.open(`${world.issuer}/oauth2/logout`)
        const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
        expect((await agent.post(`${world.issuer}/oauth2/logout/confirm`, { xsrf, logout: 'yes' })).status).to.equal(
          200,
        )
      }
      expect(await revocations()).to.equal(before)
    })

    it('is what a client had of a resource server that it has no more', async () => {
      const made = await world.core.clients.create({ id: 'moved', ...CLIENT, audience: 'https://old.example' })
      const moved = createCodeFlow(world, { id: 'moved', secret: made.secret, redirectUri: REDIRECT_URI })
      const tokens = [
        await moved.tokens({ scope: 'openid movies:read' }),
        await moved.tokens({ scope: 'openid movies:read' }),
      ]
      await world.core.clients.revise('moved', () => ({ id: 'moved', ...CLIENT, audience: 'https://new.example' }))
      const { length: server } = world.servers
      await world.startAnother() // it has never seen the client as it was
      const ways = [{ scope: 'openid movies:read' }, {}] as Record<string, string>[]
      for (const [place, more] of ways.entries()) {
        const reply = await moved.refresh(tokens[place]?.refresh_token ?? '', more, server)
        expect([reply.status, reply.json().error]).to.deep.equal([400, 'invalid_target'])
      }
    })

    describe('when the work was interrupted', () => {
      const keysOf = () => openKeyring({ dir: world.config.keysDir, production: false, secrets: world.config })
      const gidOf = ({ access_token }: TokenResponse): string => String(decodeJwt(access_token).gid)
      const hasGrant = async (grantId: string): Promise<boolean> =>
        (await world.stores.ephemeral.get([grantKey(grantId)]))[0] !== undefined

      it('by a store that was away: is finished when it is back', async () => {
        const tokens = await flow.tokens({ scope: 'openid' })
        let isDown = true
        const failing = <T extends object>(whole: T): T =>
          new Proxy(whole, {
            get(target, name) {
              const value = Reflect.get(target, name)
              if (typeof value !== 'function') return value
              return (...args: unknown[]) =>
                isDown ? Promise.reject(new Unavailable('Redis')) : value.apply(target, args)
            },
          })
        const { database, ephemeral, journal } = world.stores
        const stores = { database, ephemeral: failing(ephemeral), journal: failing(journal) }
        const core = composeCore({ config: world.config, keyring: await keysOf(), stores })
        try {
          const refusal: unknown = await core.revocation.revokeGrant(gidOf(tokens)).catch((error: unknown) => error)
          expect(refusal).to.be.instanceOf(Unavailable)
          expect(await hasGrant(gidOf(tokens))).to.equal(true)
          isDown = false
          await core.revocation.finish()
        } finally {
          await core.hashes.close()
        }
        expect(await hasGrant(gidOf(tokens))).to.equal(false)
        expect(await statusesOf([tokens], await anHourLater())).to.deep.equal({ engine: [400], 'short way': [400] })
      })

      it('by the end of the only process, long ago: is finished after the next start', async () => {
        const tokens = await flow.tokens({ scope: 'openid' })
        const grantId = gidOf(tokens)
        await sql`insert into revocations (kind, id, created_at, tokens_expire_at, expires_at) values ('grant', ${grantId},
          clock_timestamp() - interval '2 hours', clock_timestamp() - interval '1 hour',
          clock_timestamp() + interval '20 hours')`.execute(world.stores.database.db)
        const core = composeCore({ config: world.config, keyring: await keysOf(), stores: world.stores })
        try {
          await core.revocation.mendOnce()
        } finally {
          await core.hashes.close()
        }
        expect(await hasGrant(grantId)).to.equal(false)
        expect(await statusesOf([tokens])).to.deep.equal({ engine: [400], 'short way': [400] })
      })

      it('by the end of its process: is finished by another', async () => {
        const tokens = await flow.tokens({ scope: 'openid' })
        const grantId = gidOf(tokens)
        // All that the process came to.
        await sql`insert into revocations (kind, id, tokens_expire_at, expires_at) values ('grant', ${grantId},
          clock_timestamp() + interval '1 hour', clock_timestamp() + interval '1 hour')`.execute(
          world.stores.database.db,
        )
        const core = composeCore({ config: world.config, keyring: await keysOf(), stores: world.stores })
        try {
          await core.revocationFeed.catchUp()
          await core.revocation.finish()
        } finally {
          await core.hashes.close()
        }
        expect(await hasGrant(grantId)).to.equal(false)
        expect(await statusesOf([tokens], await anHourLater())).to.deep.equal({ engine: [400], 'short way': [400] })
      })
    })
  })
}

describe('a browser session', function () {
  this.timeout(30_000)
  let world: World
  let redis: Redis
  before(async () => {
    world = await startWorld({ servers: 1, redisUrl: redisUrl() })
    redis = new Redis(redisUrl())
  })
  after(async () => {
    redis?.disconnect()
    await world?.stop()
  })

  /** How long the records of sessions will be there, in seconds. */
  async function lives(): Promise<number[]> {
    const keys = await redis.keys(`${world.config.redisPrefix}s[su]:*`)
    return Promise.all(keys.map((key) => redis.ttl(key)))
  }

  it('of nobody lives as long as the page that is open, and that of somebody two weeks', async () => {
    const { secret } = await world.core.clients.create({ id: 'app', ...CLIENT })
    const flow = createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI })
    await flow.newAgent().open(`${world.issuer}/oauth2/logout`)
    const ofNobody = await lives()
    expect(ofNobody).to.have.lengthOf(2)
    for (const seconds of ofNobody) expect(seconds).to.be.within(1, 3_700)
    await createAnna(world)
    await flow.tokens({ scope: 'openid' })
    expect((await lives()).filter((seconds) => seconds > 13 * 86_400)).to.have.lengthOf(2)
  })
})

describe('what was ended, when Redis has lost marks', function () {
  this.timeout(60_000)
  it('is known again, also what is older than any access token', async () => {
    const world = await startWorld({ servers: 1, redisUrl: redisUrl() })
    try {
      const { ephemeral, database } = world.stores
      const somebody = randomUUID()
      // Nobody has it in memory.
      await sql`insert into revocations (kind, id, not_before_ms, tokens_expire_at, expires_at)
        values ('account', ${somebody}, 1, clock_timestamp() - interval '1 day', clock_timestamp() + interval '9 days')
      `.execute(database.db)
      await ephemeral.remove([SEAL_KEY])
      const marks = () => ephemeral.get([SEAL_KEY, accountFloorKey(somebody)])
      await eventually(async () => expect(await marks()).not.to.include(undefined))
    } finally {
      await world.stop()
    }
  })
})
