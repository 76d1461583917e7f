import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createRedisEphemeral } from '../../src/storage/ephemeral-redis.ts'
import { createSqlEphemeral } from '../../src/storage/ephemeral-sql.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { openRedis } from '../../src/storage/redis.ts'
import { freshDatabase, freshPglite, freshRedisPrefix, storeUrl } from '../support/database.ts'
import { ephemeralContract, type Subject } from './ephemeral.contract.ts'
import { openOnRedisAt } from './on-redis.ts'

const openOnRedis = (): Promise<Subject> => openOnRedisAt(storeUrl())

async function openOnPostgres(): Promise<Subject> {
  const { url, drop } = await freshDatabase()
  const [database, another] = await Promise.all([openPostgres(url), openPostgres(url)])
  return {
    store: createSqlEphemeral(database),
    other: createSqlEphemeral(another),
    close: async () => {
      await Promise.all([database.close(), another.close()])
      await drop()
    },
  }
}

async function openOnPglite(): Promise<Subject> {
  const database = await freshPglite()
  const store = createSqlEphemeral(database)
  return { store, other: store, close: () => database.close() }
}

ephemeralContract('Redis', openOnRedis)
ephemeralContract('PostgreSQL', openOnPostgres)
ephemeralContract('PGlite', openOnPglite)

describe('the ephemeral store on Redis', () => {
  it('drops dead members from the index of a grant that stays in use', async () => {
    const prefix = freshRedisPrefix()
    const redis = await openRedis(storeUrl())
    const store = createRedisEphemeral(redis, { prefix })
    try {
      const index = 'g:{busy}'
      await store.put('long:{busy}', 'x', { ttlSeconds: 60, index })
      for (const member of ['a', 'b', 'c']) await store.put(`${member}:{busy}`, 'x', { ttlSeconds: 0.05, index })
      await sleep(100)
      await store.put('d:{busy}', 'x', { ttlSeconds: 60, index })
      expect(await redis.zrange(`${prefix}${index}`, '0', '-1')).to.have.members([`${prefix}d:{}`, `${prefix}long:{}`])
    } finally {
      await store.close()
    }
  })
})
