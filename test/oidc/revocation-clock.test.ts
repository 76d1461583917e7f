/** Revocations while somebody sets the clock of a server. */
import type { Readable } from 'node:stream'
import { expect } from 'chai'
import { createRevocation } from '../../src/oidc/revocation.ts'
import { createRevocationFeed } from '../../src/oidc/revocation-feed.ts'
import { createRevocationFloorStore } from '../../src/oidc/revocation-floor-store.ts'
import { createRevocationStream } from '../../src/oidc/revocation-stream.ts'
import { createRevocationWriter } from '../../src/oidc/revocation-writer.ts'
import type { AccessTokenClaims } from '../../src/oidc/token-formats.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { createRedisJournal } from '../../src/storage/journal-redis.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { openRedis, type RedisConnection } from '../../src/storage/redis.ts'
import { freshDatabase, freshRedisPrefix, storeUrl, type TestDatabase } from '../support/database.ts'
import { until } from '../support/eventually.ts'

const LIVES = { accessTokenSeconds: 300, grantSeconds: 86_400, sessionSeconds: 86_400 }
const HOUR_MS = 3_600_000

describe('revocations while a clock is set', function () {
  this.timeout(30_000)
  let fresh: TestDatabase
  let database: OpenDatabase
  let redis: RedisConnection
  let aheadMs: number

  before(async () => {
    fresh = await freshDatabase()
    database = await openPostgres(fresh.url)
    redis = await openRedis(storeUrl())
  })
  beforeEach(() => {
    aheadMs = 0
  })
  after(async () => {
    await database?.close()
    redis?.disconnect()
    await fresh?.drop()
  })

  function start() {
    const [{ db }, prefix, floors] = [database, freshRedisPrefix(), createRevocationFloorStore()]
    const clock = { now: () => Date.now() + aheadMs }
    const ephemeral = createRedisEphemeral(redis, { prefix })
    const parts = { db, store: floors, journal: createRedisJournal(redis, { prefix }), clock }
    const feed = createRevocationFeed(parts)
    const revocation = createRevocation({ ...parts, ...LIVES, ephemeral, feed, write: createRevocationWriter(parts) })
    const changes = {
      since: async () => ({ version: 1, changes: [], isWhole: true }),
      version: async () => 1,
    }
    const stream = createRevocationStream({ db, feed, floors, changes, clock, onAccessChange: () => undefined })
    const close = () => {
      stream.close()
      feed.close()
      parts.journal.close()
    }
    return { feed, revocation, stream, ephemeral, close }
  }
  const tokenOf = (jti: string): AccessTokenClaims => ({
    ...{ iss: 'https://issuer.example', sub: 'anna', aud: 'api', client_id: 'app', jti },
    ...{ iat: 0, exp: 0, ims: Date.now(), gid: `grant-${jti}` },
  })

  it('are remembered by a process whose clock is set ahead and back again', async () => {
    const { feed, revocation, close } = start()
    try {
      feed.start()
      await feed.untilFresh()
      const dead = tokenOf('set-ahead')
      await revocation.revokeToken({ jti: dead.jti })
      aheadMs = HOUR_MS
      // Forgets what is due, as it does with every entry and every reading.
      await revocation.revokeToken({ jti: 'another' })
      await until(() => feed.set.denies({ tokenId: 'another', subject: '', sinceMs: 0, sessionIds: [] }))
      await feed.catchUp()
      await new Promise((next) => setTimeout(next, 600))
      aheadMs = 0
      await feed.untilFresh()
      expect(await revocation.denies(dead)).to.equal(true)
    } finally {
      close()
    }
  })

  it('are told to services by a process whose clock is ahead', async () => {
    const { revocation, stream, close } = start()
    try {
      await revocation.revokeToken({ jti: 'told' })
      aheadMs = HOUR_MS
      const body = await stream.open({ clientId: 'service', tokenId: 'its', lastEventId: '' })
      let text = ''
      for await (const chunk of body) {
        text += chunk
        if (text.includes('snapshot_end')) break
      }
      expect(text).to.include('"id":"told"')
    } finally {
      close()
    }
  })

  it('have marks that last as long as what they kill, whatever the clock of whoever writes them', async () => {
    const { revocation, ephemeral, close } = start()
    try {
      aheadMs = HOUR_MS
      await revocation.revokeToken({ jti: 'marked' })
      await new Promise((next) => setTimeout(next, 1_500))
      expect((await ephemeral.get(['rv:j:marked']))[0]).to.match(/^dead /)
    } finally {
      close()
    }
  })

  it('leave room for other services when one opens streams without end', async () => {
    const { stream, close } = start()
    try {
      const open = (clientId: string) => stream.open({ clientId, tokenId: 'its', lastEventId: '' })
      const opened: Readable[] = []
      let refusal: unknown
      while (!refusal && opened.length < 1_000) {
        const body = await open('greedy').catch((error: unknown) => {
          refusal = error
        })
        if (body) opened.push(body)
      }
      expect(refusal).to.include({ status: 503 })
      expect(opened).to.have.length(200)
      ;(await open('modest')).destroy()
      for (const body of opened) body.destroy()
      await until(() => opened.every((body) => body.closed))
      ;(await open('greedy')).destroy()
    } finally {
      close()
    }
  })
})
