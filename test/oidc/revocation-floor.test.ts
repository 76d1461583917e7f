/** Revocations over real stores, by several processes as far as they share nothing but those. */
import { expect } from 'chai'
import { sql } from 'kysely'
import { Unavailable } from '../../src/errors.ts'
import { createRevocation } from '../../src/oidc/revocation.ts'
import { createRevocationFeed } from '../../src/oidc/revocation-feed.ts'
import { createRevocationFloorStore, type Wish } from '../../src/oidc/revocation-floor-store.ts'
import { createRevocationWriter } from '../../src/oidc/revocation-writer.ts'
import { createSignInClock } from '../../src/oidc/sign-in-clock.ts'
import type { AccessTokenClaims } from '../../src/oidc/token-formats.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { createSqlEphemeral } from '../../src/storage/ephemeral-sql.ts'
import type { Journal } from '../../src/storage/journal.ts'
import { createRedisJournal } from '../../src/storage/journal-redis.ts'
import { createSqlJournal } from '../../src/storage/journal-sql.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { openRedis, type RedisConnection } from '../../src/storage/redis.ts'
import { createRedisSeal } from '../../src/storage/redis-seal.ts'
import { createSweeper } from '../../src/storage/sweeper.ts'
import {
  forgetBelow,
  freshDatabase,
  freshPglite,
  freshRedisPrefix,
  keysWithoutEnd,
  storeUrl,
  type TestDatabase,
} from '../support/database.ts'
import { until } from '../support/eventually.ts'

const floors = createRevocationFloorStore()
const LIVES = { accessTokenSeconds: 3_600, grantSeconds: 90 * 86_400, sessionSeconds: 14 * 86_400 }

const wish = (part: Pick<Wish, 'kind' | 'id'> & Partial<Wish>): Wish => ({
  tokensLiveSeconds: 3_600,
  liveSeconds: 7_200,
  ...part,
})

let tokens = 0
const tokenOf = (part: Partial<AccessTokenClaims> = {}): AccessTokenClaims => ({
  iss: 'https://issuer.example',
  sub: 'anna',
  aud: 'api',
  client_id: 'app',
  jti: `jti-${++tokens}`,
  iat: 0,
  exp: 0,
  ims: Date.now(),
  gid: `grant-${tokens}`,
  ...part,
})

describe('the durable floor', function () {
  this.timeout(30_000)
  const databases: [name: string, open: () => Promise<OpenDatabase>][] = [
    [
      'PostgreSQL',
      async () => {
        const fresh = await freshDatabase()
        const database = await openPostgres(fresh.url)
        const close = async () => {
          await database.close()
          await fresh.drop()
        }
        return { ...database, close }
      },
    ],
    ['PGlite', freshPglite],
  ]
  for (const [name, open] of databases) {
    describe(`on ${name}`, () => {
      let database: OpenDatabase
      before(async () => {
        database = await open()
      })
      after(() => database?.close())

      const raise = async (...wishes: Wish[]) => floors.raise(database.db, wishes)
      const behind = (txid: string, limit = 100) => floors.pageBehind(database.db, { txid, seq: 0 }, limit)

      it('is never lowered, and every write of it is later than the one before', async () => {
        const far = Date.now() + 50_000
        const [first] = await raise(wish({ kind: 'client', id: 'app', notBeforeMs: far }))
        const [second] = await raise(wish({ kind: 'client', id: 'app', notBeforeMs: 5, liveSeconds: 60 }))
        expect(first?.notBeforeMs).to.equal(far)
        expect(second?.notBeforeMs).to.be.at.least(far)
        expect(second?.seq).to.be.greaterThan(first?.seq ?? 0)
        expect(second?.expiresAtMs).to.equal(first?.expiresAtMs)
      })

      it('is raised by the clock of the database where that of the process is behind', async () => {
        const now = Date.now()
        const [floor] = await raise(wish({ kind: 'account', id: 'behind', notBeforeMs: 1 }))
        expect(floor?.notBeforeMs).to.be.within(now - 100, now + 70_000)
      })

      it('spares a session that is above it, and refuses one that is not', async () => {
        const sparing = (sessionId: string, signedInAtMs: number) =>
          raise(wish({ kind: 'account', id: 'bob', notBeforeMs: 0, sparing: { sessionId, signedInAtMs } }))
        const now = Date.now()
        expect((await sparing('s.one', now))[0]?.except).to.equal('s.one')
        expect((await sparing('s.one', now))[0]?.except, 'again').to.equal('s.one')
        expect(await sparing('s.two', now), 'ended by the first').to.deep.equal([])
        expect((await floors.find(database.db, [{ kind: 'account', id: 'bob' }]))[0]?.except).to.equal('s.one')
        expect((await raise(wish({ kind: 'account', id: 'bob', notBeforeMs: 0 })))[0]?.except).to.equal(undefined)
        expect(await sparing('s.one', now), 'ended by all').to.deep.equal([])
      })

      it('is read in pages, in which nothing is left out', async () => {
        const { horizon } = await behind('0')
        const ids = Array.from({ length: 25 }, (_, place) => `page-${place}`)
        for (const id of ids) await raise(wish({ kind: 'token', id }))
        const read: string[] = []
        let place = { txid: horizon, seq: 0 }
        for (;;) {
          const page = await floors.pageBehind(database.db, place, 7)
          read.push(...page.revoked.map(({ id }) => id))
          if (!page.last) break
          place = page.last
        }
        // A transaction that somebody else has open, in whatever database, holds the horizon back: older ones come again.
        expect(read.filter((id) => id.startsWith('page-'))).to.deep.equal(ids)
      })

      it('is swept when it has ended', async () => {
        await raise(wish({ kind: 'token', id: 'short', tokensLiveSeconds: 0.001, liveSeconds: 0.001 }))
        await sql`select pg_sleep(0.01)`.execute(database.db)
        expect((await behind('0')).revoked.map(({ id }) => id)).not.to.include('short')
        const sweeper = createSweeper(database)
        await sweeper.sweep()
        await sweeper.stop()
        const { rows } = await sql`select from revocations where id = 'short'`.execute(database.db)
        expect(rows).to.deep.equal([])
      })

      it('keeps marks of the SQL twin in the order of their ranks', async () => {
        const journal = createSqlJournal(database)
        const ephemeral = createSqlEphemeral(database)
        const mark = (value: string, rank: number) => ({ key: `m-${name}`, value, rank, ttlSeconds: 60 })
        await journal.write([mark('5 -', 2), mark('4 -', 1)], [])
        await journal.write([mark('3 -', 1)], [])
        expect(await ephemeral.get([`m-${name}`])).to.deep.equal(['5 - 2'])
        await journal.write([mark('6 s.x', 10)], [])
        expect(await ephemeral.get([`m-${name}`])).to.deep.equal(['6 s.x 10'])
      })
    })
  }

  it('shows a reader what was written early and committed late', async () => {
    const fresh = await freshDatabase()
    const [database, other] = await Promise.all([openPostgres(fresh.url), openPostgres(fresh.url)])
    try {
      const { promise: commit, resolve } = Promise.withResolvers<void>()
      const { promise: written, resolve: isWritten } = Promise.withResolvers<void>()
      const slow = other.db.transaction().execute(async (trx) => {
        await floors.raise(trx, [wish({ kind: 'token', id: 'early' })])
        isWritten()
        await commit
      })
      await written
      await floors.raise(database.db, [wish({ kind: 'token', id: 'late' })])
      const first = await floors.pageBehind(database.db, { txid: '0', seq: 0 }, 100)
      expect(first.revoked.map(({ id }) => id)).to.deep.equal(['late'])
      resolve()
      await slow
      const second = await floors.pageBehind(database.db, { txid: first.horizon, seq: 0 }, 100)
      expect(second.revoked.map(({ id }) => id)).to.include('early')
    } finally {
      await Promise.all([database.close(), other.close()])
      await fresh.drop()
    }
  })

  describe('written by many at once', () => {
    it('takes together what arrives meanwhile, each thing once per statement', async () => {
      const batches: string[][] = []
      const write = createRevocationWriter({
        db: {} as never, // handed on unseen
        store: {
          async raise(_db, wishes) {
            batches.push(wishes.map(({ id }) => id))
            await new Promise(setImmediate)
            return []
          },
        },
      })
      await Promise.all(['a', 'b', 'c', 'b', 'b'].map((id) => write(wish({ kind: 'token', id }))))
      expect(batches).to.deep.equal([['a'], ['b', 'c'], ['b'], ['b']])
    })

    it('tells everybody in it of a failure, and goes on', async () => {
      let isDown = true
      const write = createRevocationWriter({
        db: {} as never, // handed on unseen
        store: {
          async raise() {
            if (isDown) throw new Unavailable('PostgreSQL')
            return []
          },
        },
      })
      const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((id) => write(wish({ kind: 'token', id }))))
      expect(outcomes.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected', 'rejected'])
      isDown = false
      expect(await write(wish({ kind: 'token', id: 'a' }))).to.equal(undefined)
    })
  })
})

describe('revocations among processes', function () {
  this.timeout(30_000)
  let fresh: TestDatabase
  let database: OpenDatabase
  let redis: RedisConnection
  let prefix: string
  let queries = 0
  let commands = 0
  const running: { close(): void }[] = []

  before(async () => {
    fresh = await freshDatabase()
    database = await openPostgres(fresh.url, { onQuery: () => queries++ })
    redis = await openRedis(storeUrl(), { onCommand: ({ isRoundTrip }) => (commands += Number(isRoundTrip)) })
  })
  beforeEach(async () => {
    prefix = freshRedisPrefix()
    await sql`truncate revocations`.execute(database.db)
  })
  afterEach(() => {
    for (const one of running.splice(0)) one.close()
  })
  after(async () => {
    redis?.disconnect()
    await database?.close()
    await fresh?.drop()
  })

  /** What a process makes of the stores; `aheadMs` is the error of its clock. */
  function startProcess({ aheadMs = 0, journal = createRedisJournal(redis, { prefix }) as Journal } = {}) {
    const clock = { now: () => Date.now() + aheadMs }
    const parts = { db: database.db, store: floors, journal, clock }
    const feed = createRevocationFeed(parts)
    const revocation = createRevocation({
      ...parts,
      ephemeral: createRedisEphemeral(redis, { prefix }),
      feed,
      write: createRevocationWriter(parts),
      ...LIVES,
    })
    running.push(feed)
    return { feed, revocation, signInClock: createSignInClock({ clock, feed }) }
  }
  async function startFollowing(options: Parameters<typeof startProcess>[0] = {}) {
    const started = startProcess(options)
    started.feed.start()
    await started.feed.untilFresh()
    return started
  }
  const seal = () => createRedisSeal(redis, { prefix })
  const flush = () => forgetBelow(redis, prefix)

  it('reach the memory of another, where they cost no round trip', async () => {
    const [one, other] = [startProcess(), await startFollowing()]
    const [alive, dead] = [tokenOf(), tokenOf()]
    await one.revocation.revokeToken(dead)
    await until(() => other.revocation.denies(dead))
    await other.feed.untilFresh()
    const before = [queries, commands]
    expect(await other.revocation.denies(dead)).to.equal(true)
    expect(await other.revocation.denies(alive)).to.equal(false)
    expect([queries, commands]).to.deep.equal(before)
  })

  it('are in memory of a process that starts later', async () => {
    const dead = tokenOf()
    await startProcess().revocation.revokeGrant(dead.gid ?? '')
    const other = await startFollowing()
    expect(other.feed.set.denies({ grantId: dead.gid, subject: '', sinceMs: 0, sessionIds: [] })).to.equal(true)
  })

  it('are found by their marks where memory is not complete yet', async () => {
    const [one, other] = [startProcess(), startProcess()]
    const [alive, dead] = [tokenOf(), tokenOf()]
    await one.revocation.revokeToken(dead)
    await seal().set()
    const before = queries
    expect(other.feed.isFresh()).to.equal(false)
    expect(await Promise.all([other.revocation.denies(dead), other.revocation.denies(alive)])).to.deep.equal([
      true,
      false,
    ])
    expect(other.feed.isFresh() || queries === before).to.equal(true)
  })

  it('survive a flushed Redis, also for a process that knows nothing yet', async () => {
    const one = startProcess()
    const [alive, ...dead] = [tokenOf(), tokenOf(), tokenOf(), tokenOf({ suid: 'session' }), tokenOf({ sub: 'bob' })]
    await one.revocation.revokeToken(dead[0] ?? tokenOf())
    await one.revocation.revokeGrant(dead[1]?.gid ?? '')
    await one.revocation.revokeSession('session')
    await one.revocation.revokeSubject('bob')
    await flush()
    const unaware = startProcess()
    for (const token of dead) expect(await unaware.revocation.denies(token), token.jti).to.equal(true)
    expect(await unaware.revocation.denies(alive)).to.equal(false)
  })

  it('have their marks written anew after a flush, by whoever follows', async () => {
    const one = await startFollowing()
    const dead = tokenOf()
    await one.revocation.revokeToken(dead)
    await until(() => seal().isWhole())
    await flush()
    await until(() => seal().isWhole())
    expect(await redis.get(`${prefix}rv:j:${dead.jti}`)).to.match(/^dead - \d+$/)
    expect(await keysWithoutEnd(redis, prefix)).to.deep.equal([])
  })

  it('reach everybody though the journal was not written, once it is read again', async () => {
    const silent: Journal = { ...createRedisJournal(redis, { prefix }), write: async () => undefined }
    const [one, other] = [startProcess({ journal: silent }), await startFollowing()]
    const dead = tokenOf()
    await one.revocation.revokeToken(dead)
    await other.feed.catchUp()
    expect(await other.revocation.denies(dead)).to.equal(true)
  })

  it('are in force when only the telling failed, and told when Redis is back', async () => {
    const real = createRedisJournal(redis, { prefix })
    let isDown = true
    const journal: Journal = {
      ...real,
      write: async (marks, entries) => {
        if (isDown) throw new Unavailable('Redis')
        await real.write(marks, entries)
      },
    }
    const [one, other] = [startProcess({ journal }), await startFollowing()]
    const dead = tokenOf()
    const refusal = await one.revocation.revokeToken(dead).catch((error) => error)
    expect(refusal).to.be.instanceOf(Unavailable)
    expect(await one.revocation.denies(dead), 'here').to.equal(true)
    isDown = false
    one.feed.start()
    await until(() => other.feed.set.size() === 1)
    expect(await other.revocation.denies(dead), 'there').to.equal(true)
  })

  it('lose no session that was spared to a mark that arrives late', async () => {
    const one = startProcess()
    const ephemeral = createRedisEphemeral(redis, { prefix })
    const now = Date.now()
    await one.revocation.revokeSubject('anna', { except: { id: 's.mine', signedInAtMs: now + 5_000 } })
    const [spared = ''] = await ephemeral.get(['nb:u:anna'])
    await one.revocation.revokeSubject('anna')
    const journal = createRedisJournal(redis, { prefix })
    const [value, except, rank] = spared.split(' ')
    await journal.write([{ key: 'nb:u:anna', value: `${value} ${except}`, rank: Number(rank), ttlSeconds: 60 }], [])
    expect((await ephemeral.get(['nb:u:anna']))[0]).to.match(/^\d+ - \d+$/)
  })

  it('by a clock that is ahead end no sign-in that begins afterwards, and every one before', async () => {
    const [ahead, normal] = [startProcess({ aheadMs: 30_000 }), await startFollowing()]
    const signIn = async () => {
      await normal.signInClock.catchUp()
      return tokenOf({ ims: normal.signInClock.now() })
    }
    const before = await signIn()
    await ahead.revocation.revokeSubject('anna')
    await until(() => normal.revocation.denies(before))
    const later = await signIn()
    expect(await normal.revocation.denies(later)).to.equal(false)
    expect(await ahead.revocation.denies(later)).to.equal(false)
    await normal.revocation.revokeSubject('anna')
    expect(await normal.revocation.denies(later), 'ended by the next floor').to.equal(true)
    expect(await normal.revocation.denies(await signIn())).to.equal(false)
  })

  it('by a clock that is ahead are known to a sign-in of a process that does not follow', async () => {
    const [ahead, unaware] = [startProcess({ aheadMs: 30_000 }), startProcess({ journal: createSqlJournal(database) })]
    await ahead.revocation.revokeSubject('anna')
    await unaware.signInClock.catchUp()
    const token = tokenOf({ ims: unaware.signInClock.now() })
    expect(await ahead.revocation.denies(token)).to.equal(false)
  })

  it('by a clock that is behind end every sign-in before', async () => {
    const [behind, normal] = [startProcess({ aheadMs: -30_000 }), await startFollowing()]
    const before = tokenOf({ ims: normal.signInClock.now() })
    await behind.revocation.revokeSubject('anna')
    await until(() => normal.revocation.denies(before))
  })

  it('end the sign-ins of a process whose clock is ahead', async () => {
    const [ahead, normal] = [await startFollowing({ aheadMs: 30_000 }), await startFollowing()]
    const before = tokenOf({ ims: ahead.signInClock.now() })
    await normal.revocation.revokeSubject('anna')
    await until(() => normal.revocation.denies(before))
  })

  it('by a clock far beyond belief do not drag the others along', async () => {
    const [wrong, normal] = [startProcess({ aheadMs: 86_400_000 }), await startFollowing()]
    await wrong.revocation.revokeSubject('anna')
    await normal.signInClock.catchUp()
    expect(normal.signInClock.now()).to.be.at.most(Date.now() + 60_000)
  })
})
