import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { sql } from 'kysely'
import type { Deliver, Intent } from '../../src/mail/intent.ts'
import { createOutbox } from '../../src/mail/outbox.ts'
import { createOutboxStore } from '../../src/mail/outbox-store.ts'
import { delayAfter, type WorkerOptions } from '../../src/mail/outbox-worker.ts'
import { Undeliverable } from '../../src/mail/undeliverable.ts'
import { createLogger } from '../../src/observability/logger.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { inTransaction } from '../../src/storage/transaction.ts'
import { freshDatabase, freshPglite } from '../support/database.ts'

const store = createOutboxStore()
const AT_ONCE = { least: 0, most: 0 }
const EMAIL = 'vera@example.test'

const stores: { name: string; open(): Promise<{ database: OpenDatabase; close(): Promise<void> }> }[] = [
  {
    name: 'PostgreSQL',
    async open() {
      const fresh = await freshDatabase()
      const database = await openPostgres(fresh.url)
      return { database, close: () => database.close().then(fresh.drop) }
    },
  },
  {
    name: 'PGlite',
    async open() {
      const database = await freshPglite()
      return { database, close: database.close }
    },
  },
]

for (const { name, open } of stores) {
  describe(`the outbox on ${name}`, () => {
    let database: OpenDatabase
    let close: () => Promise<void>
    before(async function () {
      this.timeout(60_000)
      ;({ database, close } = await open())
    })
    after(() => close())

    const stops: (() => Promise<void>)[] = []
    let lines: string[] = []
    beforeEach(() => {
      lines = []
    })
    afterEach(async () => {
      await Promise.all(stops.splice(0).map((stop) => stop()))
      await database.db.deleteFrom('outbox').execute()
    })

    /** A process with an outbox of its own over the same table; it never polls unless told to. */
    function outboxWith(deliver: Deliver, options: WorkerOptions = {}) {
      const outbox = createOutbox({ db: database.db, store, pollMs: 3_600_000, beginAfterMs: AT_ONCE, ...options })
      outbox.handle('greeting', deliver)
      stops.push(outbox.stop)
      const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } })
      return { ...outbox, start: () => outbox.start(logger) }
    }

    const rows = () => database.db.selectFrom('outbox').selectAll().execute()
    const waitUntil = async (isSo: () => boolean | Promise<boolean>) => {
      while (!(await isSo())) await sleep(10)
    }
    const isEmpty = async () => (await rows()).length === 0

    it('delivers what was added, once, with what was said, and forgets it', async () => {
      const delivered: Intent[] = []
      const outbox = outboxWith(async (intent) => void delivered.push(intent))
      outbox.start()
      const accountId = '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'
      await outbox.add(database.db, { kind: 'greeting', email: EMAIL, accountId, data: { a: 1, b: 'ü', c: true } })
      await waitUntil(isEmpty)
      expect(delivered).to.have.lengthOf(1)
      expect(delivered[0]).to.include({ kind: 'greeting', email: EMAIL, accountId, attempts: 1 })
      expect(delivered[0]?.data).to.deep.equal({ a: 1, b: 'ü', c: true })
      expect(delivered[0]?.createdAt).to.be.instanceOf(Date)
    })

    it('keeps an intent exactly when the transaction around it commits, and begins after the commit', async () => {
      const delivered: (string | undefined)[] = []
      const outbox = outboxWith(async ({ email }) => void delivered.push(email))
      outbox.start()
      await inTransaction(database.db, async (trx) => {
        await outbox.add(trx, { kind: 'greeting', email: 'rolled-back@example.test' })
        throw new Error('no')
      }).catch(() => {})
      await inTransaction(database.db, async (trx) => {
        await outbox.add(trx, { kind: 'greeting', email: EMAIL })
        await sleep(50) // a worker woken before the commit would have looked by now, and in vain
        expect(delivered).to.deep.equal([])
      })
      await waitUntil(isEmpty)
      expect(delivered).to.deep.equal([EMAIL])
    })

    it('does nothing for an intent in the time of the requests behind it', async () => {
      const delivered: (string | undefined)[] = []
      const later = { least: 3_600_000, most: 3_600_000 }
      const outbox = outboxWith(async ({ email }) => void delivered.push(email), { beginAfterMs: later })
      await outbox.add(database.db, { kind: 'greeting', email: 'earlier@example.test' })
      outbox.start()
      await waitUntil(isEmpty)
      await sleep(50) // the look that follows a delivery
      await outbox.add(database.db, { kind: 'greeting', email: EMAIL })
      for (let look = 0; look < 20; look += 1) expect((await rows())[0]).to.include({ attempts: 0, lease_id: null })
      expect(delivered).to.deep.equal(['earlier@example.test'])
    })

    it('holds neither a code nor a text: a row says whom and why', async () => {
      const outbox = outboxWith(async () => {})
      await outbox.add(database.db, { kind: 'greeting', email: EMAIL })
      const [row] = await rows()
      expect(row).to.include({ kind: 'greeting', email: EMAIL, account_id: null, attempts: 0, lease_id: null })
      expect(row?.data).to.deep.equal({})
    })

    it('refuses an intent that nobody would deliver, and two handlers for one kind', async () => {
      const outbox = outboxWith(async () => {})
      expect(await outbox.add(database.db, { kind: 'unknown' }).catch(String)).to.include('Nobody delivers unknown')
      expect(() => outbox.handle('greeting', async () => {})).to.throw('Two handlers')
      expect(await rows()).to.deep.equal([])
    })

    it('leaves the kinds it has no handler for to a process that has', async () => {
      const outbox = outboxWith(async () => {})
      await store.insert(database.db, { kind: 'of-a-newer-release', email: EMAIL })
      await outbox.add(database.db, { kind: 'greeting' })
      outbox.start()
      await waitUntil(async () => (await rows()).length === 1)
      expect((await rows())[0]).to.include({ kind: 'of-a-newer-release', attempts: 0 })
    })

    it('tries again after a failure, and once more after a crash between claim and delivery', async () => {
      const attempts: number[] = []
      const outbox = outboxWith(
        async (intent) => {
          attempts.push(intent.attempts)
          if (attempts.length < 3) throw new Error('the server is away')
        },
        { backOff: { firstMs: 20, longestMs: 40 }, pollMs: 20 },
      )
      await outbox.add(database.db, { kind: 'greeting', email: EMAIL })
      // What a process leaves that dies with a mail in its hands; its lease ends soon.
      const claimed = await store.claim(database.db, { kinds: ['greeting'], limit: 5, leaseSeconds: 0.3 })
      expect(claimed).to.have.lengthOf(1)
      outbox.start()
      await waitUntil(isEmpty)
      expect(attempts).to.deep.equal([2, 3, 4])
    })

    it('gives nobody a claimed intent while its lease lasts', async () => {
      const outbox = outboxWith(async () => {})
      await outbox.add(database.db, { kind: 'greeting' })
      const claim = () => store.claim(database.db, { kinds: ['greeting'], limit: 5, leaseSeconds: 60 })
      expect(await claim()).to.have.lengthOf(1)
      expect(await claim()).to.deep.equal([])
    })

    it('lets nobody end or return what another has claimed meanwhile', async () => {
      const outbox = outboxWith(async () => {})
      await outbox.add(database.db, { kind: 'greeting' })
      const [late] = await store.claim(database.db, { kinds: ['greeting'], limit: 1, leaseSeconds: 0 })
      const [current] = await store.claim(database.db, { kinds: ['greeting'], limit: 1, leaseSeconds: 60 })
      if (!late || !current) throw new Error('nothing was claimed')
      await store.remove(database.db, late)
      await store.postpone(database.db, late, 0)
      expect((await rows())[0]).to.include({ lease_id: current.leaseId, attempts: 2 })
    })

    it('claims no more than asked for, the longest due first', async () => {
      for (const email of ['1@example.test', '2@example.test', '3@example.test']) {
        await store.insert(database.db, { kind: 'greeting', email })
      }
      await sql`update outbox set due_at = clock_timestamp() - interval '1 hour' where email = '3@example.test'`.execute(
        database.db,
      )
      const claimed = await store.claim(database.db, { kinds: ['greeting'], limit: 2, leaseSeconds: 60 })
      expect(claimed.map(({ email }) => email).sort()).to.deep.equal(['1@example.test', '3@example.test'])
    })

    it('never has one intent in two hands at once, however many workers there are', async () => {
      const underway = new Set<string>()
      const counts = new Map<string, number>()
      let doubles = 0
      const deliver: Deliver = async ({ id }) => {
        if (underway.has(id)) doubles++
        underway.add(id)
        counts.set(id, (counts.get(id) ?? 0) + 1)
        await sleep(2)
        underway.delete(id)
      }
      const workers = Array.from({ length: 4 }, () => outboxWith(deliver, { pollMs: 5 }))
      await Promise.all(Array.from({ length: 60 }, () => store.insert(database.db, { kind: 'greeting', email: EMAIL })))
      for (const worker of workers) worker.start()
      await waitUntil(isEmpty)
      expect(doubles).to.equal(0)
      expect([...counts.values()]).to.deep.equal(Array(60).fill(1))
    })

    it('keeps no transaction open while it delivers', async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const outbox = outboxWith(() => {
        begun.resolve()
        return promise
      })
      outbox.start()
      await outbox.add(database.db, { kind: 'greeting' })
      await begun.promise
      const { rows: open } = await sql`
        select 1 from pg_stat_activity where state like 'idle in transaction%' and datname = current_database()
      `.execute(database.db)
      expect(open).to.deep.equal([])
      resolve()
      await waitUntil(isEmpty)
    })

    it('gives up what fails for days, with a line that names kind and id and nothing else', async () => {
      const outbox = outboxWith(() => Promise.reject(new Error(`550 <${EMAIL}> 123456`)), { giveUpAfterMs: 60_000 })
      await outbox.add(database.db, { kind: 'greeting', email: EMAIL })
      await sql`update outbox set created_at = clock_timestamp() - interval '2 minutes'`.execute(database.db)
      const [row] = await rows()
      outbox.start()
      await waitUntil(isEmpty)
      await waitUntil(() => lines.length > 0)
      expect(JSON.parse(lines.join())).to.include({ level: 'error', event: 'outbox.given_up', id: row?.id })
      expect(lines.join()).not.to.match(/vera|123456/)
    })

    it('gives up at once what no later attempt can deliver', async () => {
      const outbox = outboxWith(() => Promise.reject(new Undeliverable('no such address')))
      outbox.start()
      await outbox.add(database.db, { kind: 'greeting', email: EMAIL })
      await waitUntil(isEmpty)
      await waitUntil(() => lines.length > 0)
      expect(JSON.parse(lines.join())).to.include({ event: 'outbox.given_up', attempts: 1 })
    })

    it('takes a delivery that does not end for a failed one', async () => {
      let attempts = 0
      const outbox = outboxWith(() => (++attempts === 1 ? new Promise<void>(() => {}) : Promise.resolve()), {
        deliveryMs: 30,
        backOff: { firstMs: 10, longestMs: 10 },
        pollMs: 10,
      })
      outbox.start()
      await outbox.add(database.db, { kind: 'greeting' })
      await waitUntil(isEmpty)
      expect(attempts).to.equal(2)
    })

    it('stops taking intents and waits for those under way; the others stay', async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      let done = 0
      const outbox = outboxWith(
        async () => {
          begun.resolve()
          await promise
          await sleep(20)
          done++
        },
        { concurrency: 1 },
      )
      await store.insert(database.db, { kind: 'greeting' })
      await store.insert(database.db, { kind: 'greeting' })
      outbox.start()
      await begun.promise
      const stopped = outbox.stop()
      resolve()
      await stopped
      expect(done).to.equal(1)
      await outbox.add(database.db, { kind: 'greeting' })
      expect(await rows()).to.have.lengthOf(2)
    })
  })
}

describe('the wait before another attempt', () => {
  const waits = { firstMs: 5_000, longestMs: 3_600_000 }

  it('grows from 5 s to an hour, never leaves these bounds, and differs between mails', () => {
    for (const attempts of [1, 2, 3, 5, 10, 40, 10_000]) {
      const delays = Array.from({ length: 50 }, () => delayAfter(attempts, waits))
      expect(Math.min(...delays)).to.be.at.least(5_000)
      expect(Math.max(...delays)).to.be.at.most(3_600_000)
      if (attempts > 2) expect(new Set(delays).size).to.be.greaterThan(10)
      if (attempts >= 40) expect(Math.min(...delays)).to.be.at.least(1_800_000)
    }
    expect(delayAfter(1, waits)).to.equal(5_000)
  })
})
