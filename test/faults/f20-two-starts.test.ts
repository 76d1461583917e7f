/** F20: two servers start at once on an empty database and an empty keys directory. */
import { readdir } from 'node:fs/promises'
import { expect } from 'chai'
import { decodeProtectedHeader } from 'jose'
import pg from 'pg'
import {
  emptyDatabase,
  freshRedisPrefix,
  redisUrl,
  type TestDatabase,
  temporaryDirectory,
} from '../support/database.ts'
import { send } from '../support/http.ts'
import { freePort, type ServerProcess, startServer } from '../support/world.ts'
import { until } from './unavailable.ts'

describe('F20: two servers start at once on nothing', function () {
  this.timeout(40_000)
  let database: TestDatabase
  let servers: ServerProcess[] = []
  let issuer: string

  before(async () => {
    database = await emptyDatabase()
    const port = await freePort()
    issuer = `http://localhost:${port}`
    const env = {
      USHER_PORT: String(port),
      USHER_ISSUER: issuer,
      USHER_DATABASE_URL: database.url,
      USHER_REDIS_URL: redisUrl(),
      USHER_REDIS_PREFIX: freshRedisPrefix(),
      USHER_KEYS_DIR: await temporaryDirectory('keys'),
      USHER_DATA_DIR: await temporaryDirectory('data'),
      USHER_AUTO_MIGRATE: '1',
    }
    servers = await Promise.all(['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((host) => startServer(env, host)))
  })
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await database?.drop()
  })

  async function count(table: string): Promise<number> {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      const { rows } = await client.query(`select count(*)::int as count from ${table}`)
      return rows[0].count
    } finally {
      await client.end()
    }
  }

  it('migrates once and makes one superuser', async () => {
    const migrations = await readdir(new URL('../../migrations', import.meta.url))
    expect(await count('schema_migrations')).to.equal(migrations.length)
    expect(await count('accounts')).to.equal(1)
    expect(await count(`account_roles join roles on id = role_id where key = 'superuser'`)).to.equal(1)
  })

  it('says the password once, by one of them', async () => {
    const passwords = servers.map(({ lines }) => lines.filter((line) => /^\s+password\s/.test(line)).length)
    expect(passwords.sort()).to.deep.equal([0, 0, 1])
  })

  it('has one set of keys: what one signs the others know', async () => {
    const [line] = servers.flatMap(({ lines }) => lines.filter((text) => /^\s+password\s/.test(text)))
    const password = line?.trim().split(/\s+/)[1] ?? ''
    const sets = await Promise.all(servers.map(({ address }) => send(address, issuer, '/.well-known/jwks.json')))
    expect(new Set(sets.map(({ text }) => text)).size).to.equal(1)
    for (const { address } of servers) {
      const form = {
        grant_type: 'password',
        client_id: 'demo',
        username: 'admin@example.org',
        password,
        scope: 'openid',
      }
      // Who did not make the account and the client may have looked for them a moment too early.
      const ask = () => send(address, issuer, '/oauth2/token', { form })
      const reply = await until(ask, ({ status }) => status === 200)
      expect(reply.status, reply.text).to.equal(200)
      const { access_token: token } = reply.json<{ access_token: string }>()
      expect(sets[0]?.text).to.include(decodeProtectedHeader(token).kid)
      for (const other of servers) {
        const headers = { Authorization: `Bearer ${token}` }
        const tell = () => send(other.address, issuer, '/oauth2/userinfo', { headers })
        expect((await until(tell, ({ status }) => status === 200)).status).to.equal(200)
      }
    }
  })

  it('starts cleanly: no warning and no error from any of them', () => {
    for (const { lines } of servers) {
      expect(lines.filter((line) => /"level":"(warn|error|fatal)"/.test(line))).to.deep.equal([])
    }
  })
})
