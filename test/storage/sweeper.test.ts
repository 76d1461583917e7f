import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { sql } from 'kysely'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { createSweeper } from '../../src/storage/sweeper.ts'
import { freshDatabase, freshPglite, type TestDatabase } from '../support/database.ts'

describe('the sweeper', function () {
  this.timeout(20_000)
  let postgres: TestDatabase
  let database: OpenDatabase

  before(async () => {
    postgres = await freshDatabase()
    database = await openPostgres(postgres.url)
  })
  after(async () => {
    await database.close()
    await postgres.drop()
  })

  async function fill({ db }: OpenDatabase, dead: number, alive: number): Promise<void> {
    for (const [count, end] of [
      [dead, sql`now() - interval '1 s'`],
      [alive, sql`now() + interval '1 h'`],
    ] as const) {
      const name = sql`gen_random_uuid()::text from generate_series(1, ${count}::int)`
      await sql`insert into ephemeral_records (expires_at, value, key) select ${end}, 'v', ${name}`.execute(db)
      await sql`
        insert into ephemeral_families (expires_at, index_key, current_digest, data, key)
        select ${end}, 'i', 'c', 'd', ${name}`.execute(db)
      await sql`
        insert into ephemeral_buckets (expires_at, tokens, ok, touched_at, key)
        select ${end}, 1, true, now(), ${name}`.execute(db)
    }
  }

  async function left({ db }: OpenDatabase): Promise<number> {
    const { rows } = await sql<{ n: number }>`
      select ((select count(*) from ephemeral_records) + (select count(*) from ephemeral_families)
        + (select count(*) from ephemeral_buckets))::int as n`.execute(db)
    return rows[0]?.n ?? -1
  }

  it('deletes what has expired, in small batches, and nothing else', async () => {
    await fill(database, 25, 3)
    const sweeper = createSweeper(database, { batch: 10 })
    expect(await sweeper.sweep()).to.equal(75)
    expect(await left(database)).to.equal(9)
    expect(await sweeper.sweep()).to.equal(0)
    await sweeper.stop()
  })

  it('shares the work with the sweeper of another server', async () => {
    await fill(database, 200, 0)
    const sweepers = [createSweeper(database, { batch: 7 }), createSweeper(database, { batch: 7 })]
    const swept = await Promise.all(sweepers.map((sweeper) => sweeper.sweep()))
    await Promise.all(sweepers.map((sweeper) => sweeper.stop()))
    expect((swept[0] ?? 0) + (swept[1] ?? 0)).to.equal(600)
  })

  it('goes round by itself, reports a failed round and goes on', async () => {
    const own = await freshDatabase()
    const open = await openPostgres(own.url)
    const { promise: failed, resolve } = Promise.withResolvers<unknown>()
    await sql`alter table ephemeral_records rename to hidden`.execute(open.db)
    const sweeper = createSweeper(open, { intervalMs: 10, onFault: resolve })
    expect(await failed).to.have.property('code', '42P01')
    await sql`alter table hidden rename to ephemeral_records`.execute(open.db)
    await fill(open, 5, 1)
    while ((await left(open)) !== 3) await sleep(10)
    await sweeper.stop()
    await open.close()
    await own.drop()
  })

  it('sweeps the embedded database as well', async () => {
    const embedded = await freshPglite()
    await fill(embedded, 12, 1)
    const sweeper = createSweeper(embedded, { batch: 5 })
    expect(await sweeper.sweep()).to.equal(36)
    await sweeper.stop()
    await embedded.close()
  })
})
