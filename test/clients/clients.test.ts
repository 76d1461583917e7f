import { expect } from 'chai'
import { createClientStore } from '../../src/clients/client-store.ts'
import { type Clients, type ClientsDeps, createClients } from '../../src/clients/clients.ts'
import { AppError } from '../../src/errors.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const CALLBACK = 'https://rp.example/cb'
let unique = 0
const newId = (): string => {
  unique += 1
  return `app-${unique}`
}

describe('clients', () => {
  let stores: OpenStores
  let clients: Clients
  let revoked: string[]
  let queries: string[]
  before(async () => {
    stores = await openStores((sql) => queries?.push(sql))
  })
  beforeEach(() => {
    revoked = []
    queries = []
    clients = build()
  })
  after(() => stores.close())

  const build = (overrides: Partial<ClientsDeps> = {}) =>
    createClients({
      db: stores.db,
      store: createClientStore(),
      pepper: 'a pepper for tests',
      production: true,
      checkClientMetadata: () => {},
      revokeClient: async (id) => void revoked.push(id),
      ...overrides,
    })

  it('are found as they were registered', async () => {
    const input = {
      id: newId(),
      name: 'Reports',
      type: 'web',
      firstParty: true,
      redirectUris: [CALLBACK, `${CALLBACK}2`],
      postLogoutRedirectUris: ['https://rp.example/bye'],
      scopes: ['openid', 'reports:read'],
      audience: 'urn:example:reports',
      accessTokenTtlSeconds: 60,
      refreshTokenTtlSeconds: 3600,
      metadata: { lean_id_token: true, contacts: ['ops@rp.example'] },
    } as const
    const { client } = await clients.create({ ...input, metadata: { ...input.metadata } })
    expect(await clients.find(input.id)).to.deep.equal(client)
    expect(client).to.deep.include(input)
  })

  it('are not looked for in the database under an id that none can have', async () => {
    for (const id of ['', "app' --", 'x'.repeat(65), 'app\0', 'app\n'])
      expect(await clients.find(id)).to.equal(undefined)
    expect(queries).to.deep.equal([])
  })

  it('are read once for many requests', async () => {
    const { client } = await clients.create({ id: newId(), type: 'machine' })
    queries = []
    await Promise.all(Array.from({ length: 20 }, () => clients.find(client.id)))
    expect(await clients.find(client.id)).to.equal(await clients.find(client.id))
    expect(queries).to.have.lengthOf(1)
  })

  describe('with a secret', () => {
    it('are told it once, and only its digest is stored', async () => {
      const { client, secret = '' } = await clients.create({ id: newId(), type: 'web', redirectUris: [CALLBACK] })
      const row = await stores.db
        .selectFrom('clients')
        .selectAll()
        .where('id', '=', client.id)
        .executeTakeFirstOrThrow()
      expect(JSON.stringify(row)).not.to.contain(secret)
      expect(clients.compareSecret(client, secret)).to.equal(true)
      for (const wrong of ['', `${secret} `, secret.slice(1), client.secretDigest ?? '']) {
        expect(clients.compareSecret(client, wrong)).to.equal(false)
      }
    })

    it('of their own choice are not told it', async () => {
      const given = 'x'.repeat(32)
      const { client, secret } = await clients.create({ id: newId(), type: 'machine', secret: given })
      expect(secret).to.equal(undefined)
      expect(clients.compareSecret(client, given)).to.equal(true)
    })

    it('cannot use that of another client', async () => {
      const [one, other] = [await clients.create({ type: 'machine' }), await clients.create({ type: 'machine' })]
      expect(clients.compareSecret(other.client, one.secret ?? '')).to.equal(false)
    })

    it('have none right when they are public', async () => {
      const { client, secret } = await clients.create({ type: 'spa', redirectUris: [CALLBACK] })
      expect(secret).to.equal(undefined)
      for (const wrong of ['', 'undefined', 'null']) expect(clients.compareSecret(client, wrong)).to.equal(false)
    })
  })

  describe('are registered', () => {
    it('once, of 16 simultaneous registrations of one id', async () => {
      const id = newId()
      const rivals = Array.from({ length: 16 }, () => clients.create({ id, type: 'machine' }))
      const outcomes = await Promise.allSettled(rivals)
      const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled')
      expect(winners).to.have.lengthOf(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).to.include({ code: 'conflict', status: 409 })
      }
      const { client, secret = '' } = winners[0]?.value ?? (await clients.create({ type: 'machine' }))
      expect(clients.compareSecret((await clients.find(id)) ?? client, secret)).to.equal(true)
    })

    it('not when a rule or the engine refuses them', async () => {
      const id = newId()
      expect((await refusal(clients.create({ id, type: 'web' }))).status).to.equal(400)
      const strict = build({
        checkClientMetadata: ({ name }) => Promise.reject(new AppError('bad_request', 400, `not ${name}`)),
      })
      expect((await refusal(strict.create({ id, type: 'machine' }))).message).to.equal(`not ${id}`)
      expect((await refusal(strict.ensure({ id, type: 'machine' }))).status).to.equal(400)
      expect(await clients.find(id)).to.equal(undefined)
    })

    it('and are known at once where somebody asked too early', async () => {
      const id = newId()
      expect(await clients.find(id)).to.equal(undefined)
      await clients.create({ id, type: 'machine' })
      expect((await clients.find(id))?.id).to.equal(id)
    })
  })

  describe('are made as a file describes them', () => {
    it('and left alone, with their secret, when they are so already', async () => {
      const described = { id: newId(), type: 'web', redirectUris: [CALLBACK], metadata: { b: 1, a: { c: 2 } } } as const
      const created = await clients.ensure(described)
      expect(created.outcome).to.equal('created')
      expect(await clients.ensure(described)).to.deep.include({ outcome: 'unchanged', secret: undefined })
      await clients.find(described.id)
      const changed = await clients.ensure({ ...described, name: 'Reports' })
      expect(changed).to.deep.include({ outcome: 'changed', secret: undefined })
      const found = await clients.find(described.id)
      expect(found?.name).to.equal('Reports')
      expect(clients.compareSecret(changed.client, created.secret ?? '')).to.equal(true)
    })

    it('with the secret they are given', async () => {
      const described = { id: newId(), type: 'machine', secret: 'x'.repeat(32) } as const
      expect(await clients.ensure(described)).to.include({ outcome: 'created', secret: undefined })
      expect((await clients.ensure(described)).outcome).to.equal('unchanged')
      const { outcome, client } = await clients.ensure({ ...described, secret: 'y'.repeat(32) })
      expect(outcome).to.equal('changed')
      expect(clients.compareSecret(client, 'x'.repeat(32))).to.equal(false)
    })

    it('from public to confidential and back, with a new secret each time', async () => {
      const id = newId()
      const open = { id, type: 'web', redirectUris: [CALLBACK], tokenEndpointAuthMethod: 'none' } as const
      const closed = { id, type: 'web', redirectUris: [CALLBACK] } as const
      await clients.ensure(open)
      const { client, secret = '' } = await clients.ensure(closed)
      expect(clients.compareSecret(client, secret)).to.equal(true)
      expect((await clients.ensure(open)).client.secretDigest).to.equal(undefined)
      expect(clients.compareSecret((await clients.ensure(closed)).client, secret)).to.equal(false)
    })
  })

  it('end, and their grants are revoked after that', async () => {
    const { client } = await clients.create({ type: 'machine' })
    await clients.find(client.id)
    await clients.remove(client.id)
    expect(await clients.find(client.id)).to.equal(undefined)
    expect(revoked).to.deep.equal([client.id])
    expect((await refusal(clients.remove(client.id))).status).to.equal(404)
    expect((await refusal(clients.remove('\0'))).status).to.equal(404)
    expect(revoked).to.deep.equal([client.id])
  })

  it('are listed in pages, in the order of their ids, each once', async () => {
    const fresh = await openStores()
    const own = build({ db: fresh.db })
    for (let place = 0; place < 23; place += 1) await own.create({ type: 'machine' })
    const first = await own.list()
    const second = await own.list({ after: first.at(-1)?.id ?? '' })
    expect([first.length, second.length]).to.deep.equal([20, 3])
    expect(new Set([...first, ...second].map(({ id }) => id)).size).to.equal(23)
    await fresh.close()
  })

  it('answer 503, not "no such client", when the database does not answer', async () => {
    const lost = await lostDatabase()
    const blind = build({ db: lost.db })
    const attempts = [blind.find('app'), blind.create({ type: 'machine' }), blind.remove('app'), blind.list()]
    const refusals = await Promise.all([...attempts, blind.ensure({ id: 'app', type: 'machine' })].map(refusal))
    expect(refusals.map(({ status }) => status)).to.deep.equal([503, 503, 503, 503, 503])
    expect(revoked).to.deep.equal([])
    await lost.close()
  })
})
