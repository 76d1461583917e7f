import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { sql } from 'kysely'
import { Unavailable } from '../../src/errors.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { inTransaction } from '../../src/storage/transaction.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  )

describe('the connection to PostgreSQL', () => {
  let server: TestDatabase
  let proxy: FaultProxy
  let database: OpenDatabase
  const queries: string[] = []

  before(async () => {
    server = await freshDatabase()
  })
  after(() => server.drop())
  beforeEach(async () => {
    queries.length = 0
    proxy = await createFaultProxy(server.url)
    database = await openPostgres(proxy.url, { poolSize: 3, onQuery: (text) => queries.push(text) })
  })
  afterEach(async () => {
    await database.close()
    await proxy.close()
  })

  /** Mocha's timeout is the bound. */
  async function untilAvailable(): Promise<void> {
    while ((await failureOf(database.check())) !== undefined) await sleep(20)
  }

  it('says which server it found', () => {
    expect(database.version).to.match(/^PostgreSQL \d+\.\d+$/)
    expect(database.kind).to.equal('postgres')
  })

  it('can be counted: one statement, one round trip', async () => {
    queries.length = 0
    await database.check()
    await inTransaction(database.db, (trx) => sql`select 2`.execute(trx))
    expect(queries).to.deep.equal(['select 1', 'begin', 'select 2', 'commit'])
  })

  it('has the server give up on a statement that runs too long', async () => {
    const failure = await failureOf(sql`select pg_sleep(30)`.execute(database.db))
    expect(failure).to.be.instanceOf(Unavailable).with.property('cause').that.has.property('code', '57014')
    await database.check()
  })

  it('lets migrations take their time', async () => {
    await database.withoutDeadline((db) => sql`select pg_sleep(2.5)`.execute(db))
  })

  it('gives up on a server that has gone silent, also within a transaction, and finds it again', async function () {
    // Above one deadline, below two: the roll-back must not wait for the dead connection once more.
    this.timeout(4_000)
    await database.check()
    const inside = inTransaction(database.db, async (trx) => {
      await sql`select 1`.execute(trx)
      proxy.stall()
      await sql`select 2`.execute(trx)
    })
    const failures = await Promise.all([failureOf(inside), failureOf(sleep(50).then(() => database.check()))])
    for (const failure of failures) expect(failure).to.be.instanceOf(Unavailable)
    await proxy.heal()
    await untilAvailable()
  })

  it('does not use a connection again that did not answer', async () => {
    const single = await openPostgres(proxy.url, { poolSize: 1 })
    proxy.lose()
    expect(await failureOf(single.check())).to.be.instanceOf(Unavailable)
    await single.check()
    await single.close()
  })

  it('is unavailable when nobody listens, and works when the server is back', async () => {
    await database.check()
    await proxy.refuse()
    expect(await failureOf(database.check())).to.be.instanceOf(Unavailable)
    await proxy.heal()
    await untilAvailable()
  })

  it('is unavailable when all its connections are taken for too long', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const holders = Array.from({ length: 3 }, () => inTransaction(database.db, () => released))
    expect(await failureOf(database.check())).to.be.instanceOf(Unavailable)
    release()
    await Promise.all(holders)
    await database.check()
  })

  it('survives a connection that is closed between two queries of a transaction', async () => {
    let attempts = 0
    const answer = await inTransaction(database.db, async (trx) => {
      attempts += 1
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx)
      if (attempts === 1) {
        await kill(rows[0]?.pid)
        await sleep(50)
      }
      await sql`select 1`.execute(trx)
      return 'done'
    }).catch((error) => error)
    // Told in time it is begun again, else it is unavailable; never anything else.
    if (answer !== 'done') expect(answer).to.be.instanceOf(Unavailable)
    await untilAvailable()
  })

  async function kill(pid: number | undefined): Promise<void> {
    const other = await openPostgres(server.url)
    await sql`select pg_terminate_backend(${pid}::int)`.execute(other.db)
    await other.close()
  }

  it('is refused in one line that names host and database and not the password', async () => {
    const url = new URL(proxy.url)
    url.password = 'hunter2'
    await proxy.refuse()
    const failure = await failureOf(openPostgres(url.href, { readyMs: 200 }))
    expect(failure).to.be.instanceOf(Unavailable)
    expect(failure)
      .to.have.property('detail')
      .that.matches(/^PostgreSQL at 127\.0\.0\.1:\d+\/t_\w+ \(.*ECONNREFUSED.*\)/)
    expect(failure)
      .to.have.property('detail')
      .that.does.not.match(/hunter2/)
  })

  it('does not wait for a database that does not exist', async () => {
    const url = new URL(server.url)
    url.pathname = '/nowhere'
    const failure = await failureOf(openPostgres(url.href, { readyMs: 60_000 }))
    expect(failure)
      .to.be.instanceOf(Unavailable)
      .with.property('detail')
      .that.matches(/nowhere/)
  })
})
