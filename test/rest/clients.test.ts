/** /api/v1/clients: what administrators do with clients, and that no client is a detour to more rights. */
import { expect } from 'chai'
import { BAD_REQUEST, FORBIDDEN, NOBODY, NOT_FOUND, type Page, UNAUTHENTICATED } from '../support/administration.ts'
import { type Api, pointersOf, problemOf } from '../support/api.ts'
import type { TokenResponse } from '../support/code-flow.ts'
import { until } from '../support/eventually.ts'
import { basic, send } from '../support/http.ts'
import { type PeopledWorld, startPeopledWorld } from '../support/people.ts'
import type { World } from '../support/world.ts'

const CONFLICT = [409, 'conflict']
const CALLBACK = 'https://app.example/cb'
const BROWSER = { type: 'spa', redirect_uris: [CALLBACK] }
const MACHINE = { type: 'machine', scopes: ['orders:read'] }

interface Item {
  id: string
  name: string
}

describe('the administration of clients', function () {
  this.timeout(30_000)
  let at: PeopledWorld
  let world: World
  let api: Api
  let another: Api
  let admin: string
  let root: string

  before(async function () {
    this.timeout(40_000)
    at = await startPeopledWorld({
      roles: {
        operations: ['clients_admin'],
        security: ['clients_admin', 'permissions_admin'],
        'other-admin': ['permissions_admin', 'accounts_admin'],
      },
    })
    ;({ world, api, another } = at)
    root = await holderOf('superuser')
    admin = await holderOf('operations')
  })
  after(() => at?.world.stop())

  const holderOf = async (...roles: string[]) => (await at.somebody(...roles)).bearer
  const newId = () => at.unique('app')
  const create = (json: object, bearer = admin, headers = {}) => api('POST', '/clients', { bearer, json, headers })
  const created = async (json: object, bearer = root) => {
    const reply = await create({ id: newId(), ...json }, bearer)
    expect(reply.status, reply.text).to.equal(201)
    return reply.json<{ id: string; client_secret?: string }>()
  }
  const patch = (id: string, json: object, { bearer = admin, headers = {} } = {}) =>
    api('PATCH', `/clients/${id}`, { bearer, json, headers })
  const actionsOf = async (id: string) => (await at.eventsOf(id)).map(({ action }) => action)
  const tokenFor = (id: string, secret: string) =>
    send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
      headers: { Authorization: basic(id, secret) },
      form: { grant_type: 'client_credentials' },
    })

  const ROUTES = [
    ['GET', '/clients'],
    ['POST', '/clients'],
    ['GET', '/clients/nobody'],
    ['PATCH', '/clients/nobody'],
    ['DELETE', '/clients/nobody'],
    ['POST', '/clients/nobody/secret'],
  ] as const

  for (const [method, path] of ROUTES) {
    it(`${method} ${path} is for administrators of clients, before anything else is looked at`, async () => {
      expect(problemOf(await api(method, path, { json: '{' }))).to.deep.equal(UNAUTHENTICATED)
      for (const bearer of [await holderOf(), await holderOf('other-admin')]) {
        expect(problemOf(await api(method, path, { bearer, json: '{' }))).to.deep.equal(FORBIDDEN)
      }
    })
  }

  describe('registers', () => {
    it('a client whose secret is shown once, and of which only a digest is kept', async () => {
      const reply = await create({ ...MACHINE, id: 'worker', name: 'Worker' })
      expect(reply.status, reply.text).to.equal(201)
      const { client_secret: secret = '', ...client } = reply.json<{ client_secret?: string }>()
      expect(client).to.deep.equal({
        id: 'worker',
        name: 'Worker',
        type: 'machine',
        first_party: false,
        require_pkce: true,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        post_logout_redirect_uris: [],
        scopes: ['orders:read'],
        audience: null,
        access_token_ttl_seconds: null,
        refresh_token_ttl_seconds: null,
        token_endpoint_auth_method: 'client_secret_basic',
        metadata: {},
      })
      expect(reply.headers).to.include({ location: '/api/v1/clients/worker', 'cache-control': 'no-store' })
      expect((await tokenFor('worker', secret)).status).to.equal(200)
      const read = await api('GET', '/clients/worker', { bearer: admin })
      expect([read.headers.etag, read.json()]).to.deep.equal([reply.headers.etag, client])
      const [event] = await at.eventsOf('worker')
      expect(event).to.include({ action: 'client.created', actor_kind: 'account', target_kind: 'client' })
      expect(event?.after).to.deep.equal(client)
      const digest = (await world.core.clients.find('worker'))?.secretDigest ?? 'none'
      for (const hidden of [secret, digest]) expect(read.text + JSON.stringify(event)).not.to.contain(hidden)
    })

    it('one with the secret it is given, which is not said again', async () => {
      const reply = await create({ ...MACHINE, id: 'chosen', secret: 'x'.repeat(32) })
      expect([reply.status, reply.text.includes('xxxx'), reply.json().client_secret]).to.deep.equal([
        201,
        false,
        undefined,
      ])
      expect((await tokenFor('chosen', 'x'.repeat(32))).status).to.equal(200)
    })

    it('one client of a request that is repeated with its key: the same secret, and for nobody else', async () => {
      const json = { ...MACHINE, id: newId() }
      const headers = { 'Idempotency-Key': 'a-key-of-mine' }
      const first = await create(json, admin, headers)
      const again = await another('POST', '/clients', { bearer: admin, json, headers })
      expect([again.status, again.json()]).to.deep.equal([201, first.json()])
      expect(problemOf(await create({ ...json, name: 'x' }, admin, headers))).to.deep.equal(CONFLICT)
      expect(problemOf(await create(json, root, headers))).to.deep.equal(CONFLICT)
    })

    it('none with a malformed, contradictory or forged member', async () => {
      const id = newId()
      for (const [json, pointer] of [
        [{ ...BROWSER, type: 'tv' }, '/type'],
        [{ ...BROWSER, redirect_uris: ['http://evil.example/cb'] }, '/redirect_uris/0'],
        [{ ...BROWSER, secret: 'x'.repeat(32) }, '/secret'],
        [{ ...BROWSER, secret_digest: 'x' }, '/secret_digest'],
        [{ ...BROWSER, client_id: 'x' }, '/client_id'],
        [{ ...BROWSER, scopes: 'openid' }, '/scopes'],
        [{ ...BROWSER, access_token_ttl_seconds: '60' }, '/access_token_ttl_seconds'],
        [{ ...BROWSER, audience: 'no uri' }, '/audience'],
        [{ ...BROWSER, metadata: { client_secret: 'x' } }, '/metadata/client_secret'],
        [{ ...MACHINE, id: NOBODY }, '/id'],
      ] as const) {
        const reply = await create({ id, ...json })
        expect(problemOf(reply), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(reply)).to.deep.equal([pointer])
      }
      const engine = await create({ ...BROWSER, id, metadata: { id_token_signed_response_alg: 'none' } })
      expect(problemOf(engine)).to.deep.equal(BAD_REQUEST)
      expect(await world.core.clients.find(id)).to.equal(undefined)
    })

    it('one of sixteen simultaneous requests for one id, and none under an id of the server', async () => {
      const id = newId()
      const calls = Array.from({ length: 16 }, () => create({ ...MACHINE, id }))
      expect((await Promise.all(calls)).map(({ status }) => status).sort()).to.deep.equal([201, ...Array(15).fill(409)])
      expect(await actionsOf(id)).to.deep.equal(['client.created'])
      expect(problemOf(await create({ ...BROWSER, id: 'usher' }))).to.deep.equal(CONFLICT)
    })
  })

  describe('lists', () => {
    const everyPage = async (query: Record<string, string>): Promise<string[]> => {
      const ids: string[] = []
      let cursor: string | null | undefined
      do {
        const search = new URLSearchParams({ ...query, ...(cursor ? { cursor } : {}) })
        const reply = await api('GET', `/clients?${search}`, { bearer: admin })
        expect(reply.status, reply.text).to.equal(200)
        expect(reply.text).not.to.match(/digest|secret_d/)
        const page = reply.json<Page<Item>>()
        ids.push(...page.items.map(({ id }) => id))
        cursor = page.next_cursor
      } while (cursor)
      return ids
    }

    before(async () => {
      for (const [id, name] of [
        ['shop', 'Zebra shop'],
        ['Zebra-admin', 'Administration'],
        ['zebra-1', 'zebra'],
        ['zebra-2', 'Other'],
        ['zulu', 'ZEBRA crossing'],
      ]) {
        await created({ ...MACHINE, id, name })
      }
    })

    for (const limit of ['1', '2', '100']) {
      it(`whom a search finds by name and then by id, each once, in pages of ${limit}`, async () => {
        const found = await everyPage({ search: 'zeBRA', limit })
        expect(found).to.deep.equal(['zebra-1', 'zulu', 'shop', 'zebra-2', 'Zebra-admin'])
      })
    }

    it('every client once, and none of the server itself', async () => {
      const ids = await everyPage({ limit: '3' })
      const rows = await world.stores.database.db.selectFrom('clients').select('id').execute()
      expect(ids).to.have.members(rows.map(({ id }) => id))
      expect(ids).not.to.include('usher')
    })

    it('nothing for a cursor or parameter that this server has not made', async () => {
      for (const query of ['cursor=x', 'sort=name', 'limit=0', `cursor=${btoa('["a","b"]')}`, 'search=%00']) {
        expect(problemOf(await api('GET', `/clients?${query}`, { bearer: admin })), query).to.deep.equal(BAD_REQUEST)
      }
    })
  })

  describe('changes', () => {
    it('what is given, and leaves the rest and the secret', async () => {
      const { id, client_secret: secret = '' } = await created({
        ...MACHINE,
        audience: 'https://api.example',
        metadata: { contacts: ['a@example.org'], client_uri: 'https://a.example' },
      })
      const reply = await patch(id, { name: 'New', audience: null, metadata: { contacts: null } })
      expect(reply.status, reply.text).to.equal(200)
      expect(reply.json()).to.deep.include({
        name: 'New',
        audience: null,
        scopes: MACHINE.scopes,
        metadata: { client_uri: 'https://a.example' },
      })
      expect(reply.json()).not.to.have.property('client_secret')
      expect((await tokenFor(id, secret)).status).to.equal(200)
      const [, event] = await at.eventsOf(id)
      expect(event).to.include({ action: 'client.changed', request_id: reply.headers['x-request-id'] })
      expect(event?.before).to.include({ audience: 'https://api.example' })
      expect(event?.after).to.deep.equal(reply.json())
    })

    it('only what the caller has seen, when asked; without that no change is lost', async () => {
      const { id } = await created(MACHINE)
      const { etag = '' } = (await api('GET', `/clients/${id}`, { bearer: admin })).headers
      const rivals = await Promise.all(
        ['A', 'B', 'C', 'D'].map((name) => patch(id, { name }, { headers: { 'If-Match': etag } })),
      )
      expect(rivals.map(({ status }) => status).sort()).to.deep.equal([200, 412, 412, 412])
      const both = await Promise.all([patch(id, { name: 'E' }), patch(id, { audience: 'https://e.example' })])
      expect(both.map(({ status }) => status)).to.deep.equal([200, 200])
      const after = (await api('GET', `/clients/${id}`, { bearer: admin })).json()
      expect(after).to.include({ name: 'E', audience: 'https://e.example' })
    })

    it('to a client that needs a secret, which gets one', async () => {
      const { id } = await created({ type: 'web', redirect_uris: [CALLBACK], token_endpoint_auth_method: 'none' })
      const reply = await patch(id, { token_endpoint_auth_method: 'client_secret_basic' })
      const { client_secret: secret = '', ...client } = reply.json<{ client_secret?: string }>()
      const found = await world.core.clients.read(id)
      expect(found && world.core.clients.compareSecret(found, secret)).to.equal(true)
      const read = await api('GET', `/clients/${id}`, { bearer: admin })
      expect([read.headers.etag, read.json()]).to.deep.equal([reply.headers.etag, client])
      expect(JSON.stringify(await at.eventsOf(id))).not.to.contain(secret)
    })

    it('nothing to what a registration would refuse, and nothing of a client of the server', async () => {
      const { id } = await created(BROWSER)
      for (const json of [
        { id: 'other' },
        { secret: 'x'.repeat(32) },
        { redirect_uris: [] },
        { token_endpoint_auth_method: 'client_secret_basic' },
        { name: null },
      ]) {
        expect(problemOf(await patch(id, json)), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
      }
      expect(await actionsOf(id)).to.deep.equal(['client.created'])
      for (const builtIn of ['usher']) {
        expect((await api('GET', `/clients/${builtIn}`, { bearer: root })).status).to.equal(200)
        expect(problemOf(await patch(builtIn, { name: 'x' }, { bearer: root }))).to.deep.equal(CONFLICT)
        expect(problemOf(await api('DELETE', `/clients/${builtIn}`, { bearer: root }))).to.deep.equal(CONFLICT)
        expect(problemOf(await api('POST', `/clients/${builtIn}/secret`, { bearer: root }))).to.deep.equal(CONFLICT)
      }
    })
  })

  describe('gives new secrets', () => {
    it('shown once; the old one is dead', async () => {
      const { id, client_secret: old = '' } = await created(MACHINE)
      expect((await tokenFor(id, old)).status).to.equal(200)
      const reply = await api('POST', `/clients/${id}/secret`, { bearer: admin })
      expect(reply.status, reply.text).to.equal(200)
      const { client_secret: secret = '' } = reply.json<{ client_secret?: string }>()
      expect(reply.headers['cache-control']).to.equal('no-store')
      expect([(await tokenFor(id, old)).status, (await tokenFor(id, secret)).status]).to.deep.equal([401, 200])
      expect(await actionsOf(id)).to.deep.equal(['client.created', 'client.secret_rotated'])
      expect(JSON.stringify(await at.eventsOf(id))).not.to.contain(secret)
    })

    it('to no client that has none', async () => {
      const { id } = await created(BROWSER)
      expect(problemOf(await api('POST', `/clients/${id}/secret`, { bearer: admin }))).to.deep.equal(CONFLICT)
    })
  })

  describe('deletes', () => {
    it('a client with its tokens, once', async () => {
      const { id, client_secret: secret = '' } = await created({ ...MACHINE, audience: `${world.issuer}/api/v1` })
      const { access_token: bearer } = (await tokenFor(id, secret)).json<TokenResponse>()
      const judged = (call: Api) => call('GET', '/auth_token/validation', { bearer })
      expect((await judged(another)).status).to.equal(200)
      const calls = [api, another, api].map((call) => call('DELETE', `/clients/${id}`, { bearer: admin }))
      const statuses = (await Promise.all(calls)).map(({ status }) => status)
      expect(statuses.filter((status) => status === 204)).to.have.lengthOf(1)
      for (const status of statuses) expect([204, 404, 409]).to.include(status)
      expect((await tokenFor(id, secret)).status).to.equal(401)
      expect((await judged(api)).status).to.equal(401)
      await until(async () => (await judged(another)).status === 401)
      expect(problemOf(await api('GET', `/clients/${id}`, { bearer: admin }))).to.deep.equal(NOT_FOUND)
      expect(await actionsOf(id)).to.deep.equal(['client.created', 'client.deleted'])
    })

    it('nothing where there is nothing', async () => {
      for (const [method, path] of ROUTES.slice(2)) {
        const json = method === 'PATCH' ? {} : undefined
        expect(problemOf(await api(method, path, { bearer: admin, json })), path).to.deep.equal(NOT_FOUND)
        const odd = path.replace('nobody', encodeURIComponent("' or 1=1 --"))
        expect(problemOf(await api(method, odd, { bearer: admin, json })), odd).to.deep.equal(NOT_FOUND)
      }
    })
  })

  describe('is no detour', () => {
    const KINDS: [name: string, json: object, missing: string][] = [
      ['first-party', { ...BROWSER, first_party: true }, 'all_all'],
      [
        'with the password grant',
        { ...BROWSER, first_party: true, grant_types: ['password'], redirect_uris: [] },
        'all_all',
      ],
      ['that reads what accounts hold', { ...MACHINE, scopes: ['access:read'] }, 'permissions_admin'],
      ['that reads the stream of revocations', { ...MACHINE, scopes: ['x', 'events:read'] }, 'permissions_admin'],
    ]

    for (const [name, json, missing] of KINDS) {
      it(`for a client ${name}: not created, changed, deleted or given a secret without ${missing}`, async () => {
        const id = newId()
        const refused = await create({ id, ...json })
        expect(problemOf(refused)).to.deep.equal(FORBIDDEN)
        expect(refused.json<{ errors: { message: string }[] }>().errors.map(({ message }) => message)).to.deep.equal([
          `you do not hold ${missing}`,
        ])
        expect(await world.core.clients.find(id)).to.equal(undefined)

        await created({ id, ...json })
        const before = await world.core.clients.read(id)
        // Also a change that makes it harmless: it would take something away from those who need it.
        for (const change of [{ name: 'x' }, { scopes: ['openid'] }, { redirect_uris: ['https://evil.example/cb'] }]) {
          const reply = await patch(id, change)
          expect([400, 403], reply.text).to.include(reply.status)
        }
        expect(problemOf(await patch(id, { name: 'x' }))).to.deep.equal(FORBIDDEN)
        expect(problemOf(await api('DELETE', `/clients/${id}`, { bearer: admin }))).to.deep.equal(FORBIDDEN)
        if (before?.secretDigest !== undefined) {
          expect(problemOf(await api('POST', `/clients/${id}/secret`, { bearer: admin }))).to.deep.equal(FORBIDDEN)
        }
        expect(await world.core.clients.read(id)).to.deep.equal(before)
        expect(await actionsOf(id)).to.deep.equal(['client.created'])
      })
    }

    it('for a client that would become such a one by a change', async () => {
      const browser = (await created(BROWSER, admin)).id
      expect(problemOf(await patch(browser, { first_party: true }))).to.deep.equal(FORBIDDEN)
      const machine = (await created(MACHINE, admin)).id
      for (const scopes of [['access:read'], ['events:read', 'orders:read']]) {
        expect(problemOf(await patch(machine, { scopes }))).to.deep.equal(FORBIDDEN)
      }
      expect((await world.core.clients.read(machine))?.scopes).to.deep.equal(MACHINE.scopes)
    })

    it('and whoever holds what it gives may write it', async () => {
      const bearer = await holderOf('security')
      const { id } = await created({ ...MACHINE, scopes: ['access:read'] }, bearer)
      expect((await patch(id, { scopes: ['events:read'] }, { bearer })).status).to.equal(200)
      expect((await api('POST', `/clients/${id}/secret`, { bearer })).status).to.equal(200)
      expect((await api('DELETE', `/clients/${id}`, { bearer })).status).to.equal(204)
      expect(problemOf(await create({ ...BROWSER, first_party: true }, bearer))).to.deep.equal(FORBIDDEN)
    })
  })
})
