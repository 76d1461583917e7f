import { expect } from 'chai'
import { sql } from 'kysely'
import { Unavailable } from '../../src/errors.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { afterCommit, inTransaction } from '../../src/storage/transaction.ts'
import { freshDatabase, freshPglite } from '../support/database.ts'

async function freshPostgres(): Promise<OpenDatabase> {
  const { url, drop } = await freshDatabase()
  const database = await openPostgres(url)
  return {
    ...database,
    close: async () => {
      await database.close()
      await drop()
    },
  }
}

const withCode = (code: string): Error => Object.assign(new Error('staged'), { code })

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  )

for (const [name, open] of [
  ['PostgreSQL', freshPostgres],
  ['PGlite', freshPglite],
] as const) {
  describe(`a transaction on ${name}`, function () {
    // A query that waits for its own transaction waits for ever: three seconds are enough to call it hanging.
    this.timeout(3_000)
    let database: OpenDatabase

    before(async function () {
      this.timeout(20_000)
      database = await open()
    })
    after(() => database.close())
    beforeEach(() => sql`delete from installation`.execute(database.db))

    const insert = (key: string) => sql`insert into installation (key, value) values (${key}, 'x')`
    const keys = async (): Promise<string[]> => {
      const { rows } = await sql<{ key: string }>`select key from installation order by key`.execute(database.db)
      return rows.map(({ key }) => key)
    }

    it('answers what its work answers and keeps what it wrote', async () => {
      const answer = await inTransaction(database.db, async (trx) => {
        await insert('a').execute(trx)
        return 'done'
      })
      expect(answer).to.equal('done')
      expect(await keys()).to.deep.equal(['a'])
    })

    it('keeps nothing when its work throws', async () => {
      const failure = await failureOf(
        inTransaction(database.db, async (trx) => {
          await insert('a').execute(trx)
          throw new Error('no')
        }),
      )
      expect(failure).to.be.instanceOf(Error).with.property('message', 'no')
      expect(await keys()).to.deep.equal([])
    })

    it('runs effects once, after the commit, and those of a rolled-back attempt never', async () => {
      const effects: string[] = []
      let attempts = 0
      await inTransaction(database.db, async () => {
        attempts++
        afterCommit(() => effects.push(`attempt ${attempts}`))
        if (attempts === 1) throw withCode('40001')
        expect(effects).to.deep.equal([])
      })
      expect(effects).to.deep.equal(['attempt 2'])
      afterCommit(() => effects.push('no transaction'))
      expect(effects).to.deep.equal(['attempt 2', 'no transaction'])
    })

    it('refuses a query through the outer database at once instead of waiting for itself', async () => {
      const failure = await failureOf(
        inTransaction(database.db, async (trx) => {
          await insert('a').execute(trx)
          await insert('b').execute(database.db)
        }),
      )
      expect(failure)
        .to.be.instanceOf(Error)
        .with.property('message')
        .that.matches(/inside a transaction callback/)
      expect(await keys()).to.deep.equal([])
    })

    it('refuses a transaction within a transaction', async () => {
      const failure = await failureOf(inTransaction(database.db, () => inTransaction(database.db, async () => 'inner')))
      expect(failure)
        .to.be.instanceOf(Error)
        .with.property('message')
        .that.matches(/inside a transaction callback/)
    })

    it('refuses nothing to work that was begun inside and runs after its end', async () => {
      let later: Promise<string[]> | undefined
      const { promise: ended, resolve: end } = Promise.withResolvers<void>()
      await inTransaction(database.db, async () => {
        later = ended.then(keys)
      })
      end()
      expect(await later).to.deep.equal([])
    })

    it('leaves other callers alone', async () => {
      const all = await Promise.all([
        inTransaction(database.db, async (trx) => {
          await insert('a').execute(trx)
          return 1
        }),
        sql`select 1`.execute(database.db),
        inTransaction(database.db, async (trx) => {
          await insert('b').execute(trx)
          return 2
        }),
      ])
      expect([all[0], all[2]]).to.deep.equal([1, 2])
      expect(await keys()).to.deep.equal(['a', 'b'])
    })

    for (const code of ['40001', '40P01', '57P01']) {
      it(`begins again after ${code}, at most three times`, async () => {
        let attempts = 0
        const answer = await inTransaction(database.db, async (trx) => {
          attempts += 1
          await insert('a').execute(trx)
          if (attempts < 3) throw withCode(code)
          return attempts
        })
        expect(answer).to.equal(3)
        expect(await keys()).to.deep.equal(['a'])

        attempts = 0
        const failure = await failureOf(
          inTransaction(database.db, async () => {
            attempts += 1
            throw new Unavailable('PostgreSQL', withCode(code))
          }),
        )
        expect(failure).to.be.instanceOf(Unavailable)
        expect(attempts).to.equal(3)
      })
    }

    it('does not begin again after anything else', async () => {
      let attempts = 0
      await failureOf(
        inTransaction(database.db, async () => {
          attempts += 1
          throw withCode('23505')
        }),
      )
      expect(attempts).to.equal(1)
    })

    it('reads int8, json and instants the same everywhere', async () => {
      const { rows } = await sql`
        select 9007199254740993::int8 as big, '{"a":[1]}'::jsonb as json, 1.5::float8 as fraction,
          '2030-01-02T03:04:05.678Z'::timestamptz as at`.execute(database.db)
      expect(rows).to.deep.equal([
        { big: '9007199254740993', json: { a: [1] }, fraction: 1.5, at: new Date('2030-01-02T03:04:05.678Z') },
      ])
    })

    it('tells a violated constraint by code and name, and repeats no value', async () => {
      await insert('secret-key').execute(database.db)
      const failure = await failureOf(insert('secret-key').execute(database.db))
      expect(failure).to.include({ code: '23505', constraint: 'installation_pkey' })
      expect(JSON.stringify(failure)).not.to.match(/secret-key/)
    })
  })
}
