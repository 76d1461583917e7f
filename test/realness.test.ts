import { expect } from 'chai'
import { Redis } from 'ioredis'
import pg from 'pg'
import { postgresUrl, redisUrl } from './support/database.ts'

/** A suite that passes against an imitation proves nothing about the servers of an installation. */
describe('the servers of the test run', () => {
  it('is the PostgreSQL that listens at the URL, not the embedded one', async () => {
    const client = new pg.Client({ connectionString: postgresUrl() })
    await client.connect()
    try {
      const { rows } = await client.query('select version(), inet_server_port() as port, pg_backend_pid() as pid')
      expect(rows[0].version).to.match(/^PostgreSQL \d+.* on (x86_64|aarch64|arm64)/)
      expect(rows[0].version).not.to.match(/PGlite|wasm|emscripten/i)
      expect(rows[0].port).to.equal(Number(new URL(postgresUrl()).port || 5432))
      expect(rows[0].pid).to.be.greaterThan(0)
    } finally {
      await client.end()
    }
  })

  it('is the Redis that listens at the URL', async () => {
    const redis = new Redis(redisUrl())
    try {
      const info = await redis.info('server')
      expect(info).to.match(/redis_version:\d+\.\d+/)
      expect(info).to.match(/process_id:\d+/)
      expect(/tcp_port:(\d+)/.exec(info)?.[1]).to.equal(new URL(redisUrl()).port || '6379')
    } finally {
      redis.disconnect()
    }
  })
})
