/** /api/v1/accounts: what administrators do with the accounts of others. */
import { expect } from 'chai'
import { BAD_REQUEST, FORBIDDEN, NOBODY, NOT_FOUND, type Page, UNAUTHENTICATED } from '../support/administration.ts'
import { type Api, pointersOf, problemOf } from '../support/api.ts'
import { PASSWORD } from '../support/code-flow.ts'
import { until } from '../support/eventually.ts'
import { codeIn, mailed } from '../support/mailed.ts'
import { isRefusedBy, type PeopledWorld, type Person, startPeopledWorld } from '../support/people.ts'
import type { World } from '../support/world.ts'

const CONFLICT = [409, 'conflict']

interface Item {
  id: string
  email: string
  username: string | null
  status: string
}

describe('the administration of accounts', function () {
  this.timeout(30_000)
  let at: PeopledWorld
  let world: World
  let api: Api
  let another: Api
  let admin: string
  let root: Person

  before(async function () {
    this.timeout(40_000)
    at = await startPeopledWorld({ roles: { hr: ['accounts_admin'] } })
    ;({ world, api, another } = at)
    root = await at.somebody('superuser')
    // The one of the first start.
    const first = await world.core.accounts.findByLogin('admin@example.org')
    await world.core.accounts.remove(first?.id ?? '')
    admin = (await at.somebody('hr')).bearer
  })
  after(() => at?.world.stop())

  /** What somebody else has done to an account over the API. */
  const eventsOf = async (id: string) =>
    (await at.eventsOf(id)).filter(({ actor_id: actor }) => actor !== null && actor !== id)
  const actionsOf = async (id: string) => (await eventsOf(id)).map(({ action }) => action)
  const isSignedIn = async (bearer: string) => (await another('GET', '/me', { bearer })).status === 200

  const ROUTES = [
    ['GET', '/accounts'],
    ['POST', '/accounts'],
    ['GET', `/accounts/${NOBODY}`],
    ['PATCH', `/accounts/${NOBODY}`],
    ['DELETE', `/accounts/${NOBODY}`],
    ['POST', `/accounts/${NOBODY}/password-reset`],
    ['GET', `/accounts/${NOBODY}/sessions`],
    ['DELETE', `/accounts/${NOBODY}/sessions`],
    ['DELETE', `/accounts/${NOBODY}/sessions/g.12345678`],
  ] as const

  for (const [method, path] of ROUTES) {
    it(`${method} ${path} is for administrators of accounts, before anything else is looked at`, async () => {
      expect(problemOf(await api(method, path, { json: '{' }))).to.deep.equal(UNAUTHENTICATED)
      const { bearer } = await at.somebody()
      expect(problemOf(await api(method, path, { bearer, json: '{' }))).to.deep.equal(FORBIDDEN)
      await world.core.access.ensureRole({ key: 'other-admin', permissions: ['permissions_admin', 'clients_admin'] })
      const other = await at.somebody('other-admin')
      expect(problemOf(await api(method, path, { bearer: other.bearer, json: '{' }))).to.deep.equal(FORBIDDEN)
    })
  }

  describe('creates', () => {
    const create = (json: object, headers = {}) => api('POST', '/accounts', { bearer: admin, json, headers })

    it('an account with all that is said of it, and shows no secret of it', async () => {
      const reply = await create({
        email: 'Grace@example.org',
        password: PASSWORD,
        username: 'grace',
        first_name: 'Grace',
        last_name: 'Hopper',
        locale: 'en',
        email_verified: true,
        profile: { nickname: 'Amazing' },
        attributes: { rank: 1 },
      })
      expect(reply.status, reply.text).to.equal(201)
      const account = reply.json()
      expect(reply.headers.location).to.equal(`/api/v1/accounts/${account.id}`)
      expect(account).to.deep.include({
        email: 'Grace@example.org',
        email_verified: true,
        username: 'grace',
        first_name: 'Grace',
        last_name: 'Hopper',
        locale: 'en',
        profile: { nickname: 'Amazing' },
        attributes: { rank: 1 },
        status: 'active',
        has_password: true,
        deletion_due_at: null,
      })
      expect(await isSignedIn((await at.signIn('grace')).access_token)).to.equal(true)
      const read = await api('GET', `/accounts/${account.id}`, { bearer: admin })
      expect([read.headers.etag, read.json()]).to.deep.equal([reply.headers.etag, account])
      const [event] = await eventsOf(String(account.id))
      expect(event).to.include({
        action: 'account.created',
        actor_kind: 'account',
        request_id: reply.headers['x-request-id'],
      })
      expect(event?.after).to.deep.equal(account)
      expect(reply.text + JSON.stringify(event)).not.to.match(/argon2|correct horse/)
    })

    it('one without a password, whose owner may set it by a reset', async () => {
      const email = 'no-password@example.org'
      const reply = await create({ email })
      expect(reply.json()).to.include({ has_password: false, email_verified: false, username: null })
      await api('POST', '/password-reset', { json: { email } })
      const json = { email, code: codeIn(await mailed(world, email)), new_password: PASSWORD }
      expect((await api('POST', '/password-reset/confirm', { json })).status).to.equal(204)
      expect(await isSignedIn((await at.signIn(email)).access_token)).to.equal(true)
    })

    it('nothing of a body with a forged, malformed or missing member', async () => {
      for (const [json, pointer] of [
        [{}, '/email'],
        [{ email: 'x@example.org', id: NOBODY }, '/id'],
        [{ email: 'x@example.org', password_hash: 'x' }, '/password_hash'],
        [{ email: 'x@example.org', roles: ['superuser'] }, '/roles'],
        [{ email: 'x@example.org', status: 'active' }, '/status'],
        [{ email: 'no address' }, '/email'],
        [{ email: 'x@example.org', email_verified: 'yes' }, '/email_verified'],
        [{ email: 'x@example.org', profile: { sub: 'y' } }, '/profile'],
      ] as const) {
        const reply = await create(json)
        expect(problemOf(reply), reply.text).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(reply)).to.deep.equal([pointer])
      }
      expect(problemOf(await create({ email: 'x@example.org', password: 'short' }))).to.deep.equal([
        400,
        'invalid_password',
      ])
      expect(await world.core.accounts.findByLogin('x@example.org')).to.equal(undefined)
    })

    it('one account of a request that is repeated with its key, and none for a taken address', async () => {
      const json = { email: 'once@example.org', password: PASSWORD }
      const headers = { 'Idempotency-Key': 'a-key-of-mine' }
      const replies = [
        await create(json, headers),
        await another('POST', '/accounts', { bearer: admin, json, headers }),
      ]
      expect(replies.map(({ status }) => status)).to.deep.equal([201, 201])
      expect(replies[1]?.json()).to.deep.equal(replies[0]?.json())
      expect(problemOf(await create({ ...json, username: 'other' }, headers))).to.deep.equal(CONFLICT)
      expect(problemOf(await create({ email: 'ONCE@example.org' }))).to.deep.equal(CONFLICT)
    })

    it('one account of sixteen simultaneous requests for one address', async () => {
      const replies = await Promise.all(
        Array.from({ length: 16 }, (_, place) =>
          (place % 2 ? api : another)('POST', '/accounts', { bearer: admin, json: { email: 'raced@example.org' } }),
        ),
      )
      expect(replies.map(({ status }) => status).sort()).to.deep.equal([201, ...Array(15).fill(409)])
    })
  })

  describe('lists', () => {
    const list = async (query: Record<string, string>): Promise<Page<Item>> => {
      const reply = await api('GET', `/accounts?${new URLSearchParams(query)}`, { bearer: admin })
      expect(reply.status, reply.text).to.equal(200)
      return reply.json<Page<Item>>()
    }
    const everyPage = async (query: Record<string, string>): Promise<Item[]> => {
      const items: Item[] = []
      let cursor: string | null | undefined
      do {
        const page: Page<Item> = await list({ ...query, ...(cursor ? { cursor } : {}) })
        items.push(...page.items)
        cursor = page.next_cursor
      } while (cursor)
      return items
    }

    before(async () => {
      await at.newAccount({ email: 'zoe.b@example.org', username: 'queen' })
      await at.newAccount({ email: 'ZOE.A@example.org', username: 'Zoe' })
      await at.newAccount({ email: 'zoe_c@example.org' })
      await at.newAccount({ email: 'zo@example.org', username: 'zoe%' })
      await at.newAccount({ email: 'alpha@example.org', username: 'ZOEY' })
      await at.newAccount({ email: 'beta@example.org', username: 'zoea' })
    })

    it('every account once, in the order of the addresses', async () => {
      const items = await everyPage({ limit: '3' })
      const emails = items.map(({ email }) => email.toLowerCase())
      expect(emails).to.deep.equal([...emails].sort())
      expect(new Set(emails).size).to.equal(emails.length)
      const { length } = await world.stores.database.db.selectFrom('accounts').select('id').execute()
      expect(emails).to.have.lengthOf(length)
    })

    for (const limit of ['1', '2', '3', '100']) {
      it(`whom a search finds by address and then by username, each once, in pages of ${limit}`, async () => {
        const found = await everyPage({ search: 'zOe', limit })
        expect(found.map(({ email }) => email)).to.deep.equal([
          'ZOE.A@example.org',
          'zoe.b@example.org',
          'zoe_c@example.org',
          'zo@example.org',
          'beta@example.org',
          'alpha@example.org',
        ])
      })
    }

    it('by what is typed, not by a pattern', async () => {
      expect((await everyPage({ search: 'zoe%' })).map(({ email }) => email)).to.deep.equal(['zo@example.org'])
      for (const search of ['%', 'zoe_b', '_', "' or 1=1 --", '\\'])
        expect(await everyPage({ search })).to.deep.equal([])
    })

    it('nothing for a cursor or parameter that this server has not made', async () => {
      const forge = (...values: unknown[]) => Buffer.from(JSON.stringify(values)).toString('base64url')
      for (const query of [
        { cursor: 'x' },
        { cursor: forge(0, 'a', 'b') },
        { cursor: forge('0', 'a', NOBODY) },
        { cursor: forge(0, 'a\0', NOBODY) },
        { limit: '0' },
        { limit: '101' },
        { sort: 'id;drop' },
        { status: 'active' },
      ]) {
        const reply = await api('GET', `/accounts?${new URLSearchParams(query as Record<string, string>)}`, {
          bearer: admin,
        })
        expect(problemOf(reply), JSON.stringify(query)).to.deep.equal(BAD_REQUEST)
      }
      expect((await list({ cursor: forge(7, 'a', NOBODY) })).items).to.deep.equal([])
    })
  })

  describe('changes', () => {
    const patch = (id: string, json: object, { bearer = admin, headers = {} } = {}) =>
      api('PATCH', `/accounts/${id}`, { bearer, json, headers })

    it('what is given, merges what is an object, and takes away what is null', async () => {
      const { id } = await at.newAccount({
        username: 'to-be-changed',
        firstName: 'A',
        profile: { nickname: 'x', phone_number: '+1', phone_number_verified: true },
        attributes: { a: { b: 1, c: 2 } },
      })
      const reply = await patch(id, {
        username: null,
        first_name: 'B',
        profile: { phone_number: '+2' },
        attributes: { a: { b: null } },
      })
      expect(reply.status, reply.text).to.equal(200)
      expect(reply.json()).to.deep.include({
        username: null,
        first_name: 'B',
        profile: { nickname: 'x', phone_number: '+2' },
        attributes: { a: { c: 2 } },
        email_verified: true,
      })
      const [event] = await eventsOf(id)
      expect(event).to.include({ action: 'account.changed', request_id: reply.headers['x-request-id'] })
      expect([event?.before, event?.after]).to.deep.equal([{ ...(event?.before ?? {}), first_name: 'A' }, reply.json()])
    })

    it('the address, which is not verified then unless it is said to be', async () => {
      const { id } = await at.newAccount()
      expect((await patch(id, { email: 'moved@example.org' })).json()).to.include({ email_verified: false })
      const verified = await patch(id, { email: 'moved2@example.org', email_verified: true })
      expect(verified.json()).to.include({ email: 'moved2@example.org', email_verified: true })
      const other = await at.newAccount()
      expect(problemOf(await patch(id, { email: other.email.toUpperCase() }))).to.deep.equal(CONFLICT)
    })

    it('only what the caller has seen, when asked', async () => {
      const { id } = await at.newAccount()
      const { etag = '' } = (await api('GET', `/accounts/${id}`, { bearer: admin })).headers
      const rivals = await Promise.all(
        ['A', 'B', 'C', 'D'].map((first_name) => patch(id, { first_name }, { headers: { 'If-Match': etag } })),
      )
      expect(rivals.map(({ status }) => status).sort()).to.deep.equal([200, 412, 412, 412])
      expect(await actionsOf(id)).to.deep.equal(['account.changed'])
    })

    it('the password: what the old one opened ends, and the owner is told', async () => {
      const owner = await at.somebody()
      const reply = await patch(owner.id, { password: 'another horse battery' })
      expect(reply.status, reply.text).to.equal(200)
      await isRefusedBy(another, owner.bearer)
      await at.signIn(owner.email, { password: 'another horse battery' })
      const [event, ...more] = await eventsOf(owner.id)
      expect([event?.action, more]).to.deep.equal(['account.password_set', []])
      expect(JSON.stringify(event)).not.to.match(/another horse|argon2/)
      expect((await mailed(world, owner.email)).subject).to.match(/password/i)
      expect(problemOf(await patch(owner.id, { password: 'short' }))).to.deep.equal([400, 'invalid_password'])
    })

    it('the status: a disabled account is signed out and cannot sign in until it is enabled', async () => {
      const owner = await at.somebody()
      expect((await patch(owner.id, { status: 'disabled' })).json()).to.include({ status: 'disabled' })
      await isRefusedBy(another, owner.bearer)
      const refresh = await api('POST', '/session/refresh', { json: { refresh_token: owner.refresh } })
      expect(refresh.status).to.be.within(400, 499)
      expect((await api('POST', '/session', { json: { login: owner.email, password: PASSWORD } })).status).to.equal(401)
      expect((await patch(owner.id, { status: 'active' })).json()).to.include({ status: 'active' })
      await isRefusedBy(another, owner.bearer)
      await at.signIn(owner.email)
      expect(await actionsOf(owner.id)).to.deep.equal(['account.disabled', 'account.enabled'])
    })

    it('what decisions rest on is forgotten when the status changes, and not for a name', async () => {
      const { id } = await at.newAccount()
      const { db } = world.stores.database
      const touches = () => db.selectFrom('access_changes').select('kind').where('subject', '=', id).execute()
      await patch(id, { first_name: 'A' })
      expect(await touches()).to.deep.equal([])
      await patch(id, { status: 'disabled' })
      expect(await touches()).to.deep.equal([{ kind: 'account' }])
      await world.core.accounts.enable(id)
      await api('DELETE', `/accounts/${id}`, { bearer: admin })
      expect(await touches()).to.have.lengthOf(3)
    })

    it('nothing, and records nothing, when nothing differs', async () => {
      const { id, email } = await at.newAccount({ firstName: 'A' })
      expect((await patch(id, { first_name: 'A', email, status: 'active' })).status).to.equal(200)
      expect(await actionsOf(id)).to.deep.equal([])
    })

    it('no member that is unknown or malformed', async () => {
      const { id } = await at.newAccount()
      for (const json of [
        { id: NOBODY },
        { password_hash: 'x' },
        { status: 'locked' },
        { email: null },
        { created_at: 'x' },
      ]) {
        expect(problemOf(await patch(id, json)), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
      }
      expect(problemOf(await patch(NOBODY, {}))).to.deep.equal(NOT_FOUND)
      expect(problemOf(await patch('not-an-id', {}))).to.deep.equal(NOT_FOUND)
    })

    it('not the own address or password of an administrator, who proves himself at /me for that', async () => {
      const self = await at.somebody('hr')
      for (const member of [
        { email: 'me@example.org' },
        { email_verified: false },
        { password: 'another horse battery' },
      ]) {
        const reply = await patch(self.id, member, { bearer: self.bearer })
        expect(problemOf(reply)).to.deep.equal(CONFLICT)
        expect(pointersOf(reply)).to.deep.equal(Object.keys(member).map((name) => `/${name}`))
      }
      expect(problemOf(await api('DELETE', `/accounts/${self.id}`, { bearer: self.bearer }))).to.deep.equal(CONFLICT)
      expect((await patch(self.id, { first_name: 'Me' }, { bearer: self.bearer })).status).to.equal(200)
    })
  })

  describe('keeps its ceiling', () => {
    const WRITES = [
      ['PATCH', '', { first_name: 'x' }],
      ['PATCH', '', { password: 'another horse battery' }],
      ['PATCH', '', { email: 'taken-over@example.org' }],
      ['PATCH', '', { status: 'disabled' }],
      ['DELETE', '', undefined],
      ['POST', '/password-reset', undefined],
      ['DELETE', '/sessions', undefined],
    ] as const

    for (const [method, path, json] of WRITES) {
      it(`${method} ${path} ${JSON.stringify(json) ?? ''} is refused for an account that holds more`, async () => {
        const reply = await api(method, `/accounts/${root.id}${path}`, { bearer: admin, json })
        expect(problemOf(reply)).to.deep.equal(FORBIDDEN)
        expect(reply.text).to.contain('all_all')
        expect(await isSignedIn(root.bearer)).to.equal(true)
        expect(await actionsOf(root.id)).to.deep.equal([])
        expect(await wishes(root.id)).to.deep.equal([])
      })
    }

    it('for single sessions as well', async () => {
      const { items } = (await api('GET', `/accounts/${root.id}/sessions`, { bearer: admin })).json<Page<Item>>()
      const path = `/accounts/${root.id}/sessions/${items[0]?.id}`
      expect(problemOf(await api('DELETE', path, { bearer: admin }))).to.deep.equal(FORBIDDEN)
      expect(await isSignedIn(root.bearer)).to.equal(true)
    })

    it('counts what an account holds by a disabled status as well: enabling is no detour', async () => {
      const sleeping = await at.newAccount()
      await world.core.access.assignRole(sleeping.id, 'superuser')
      await world.core.accounts.disable(sleeping.id)
      const path = `/accounts/${sleeping.id}`
      expect(problemOf(await api('PATCH', path, { bearer: admin, json: { status: 'active' } }))).to.deep.equal(
        FORBIDDEN,
      )
      expect((await api('PATCH', path, { bearer: root.bearer, json: { status: 'active' } })).status).to.equal(200)
      expect((await api('DELETE', path, { bearer: root.bearer })).status).to.equal(204)
    })

    it('and the last superuser can be neither disabled nor deleted', async () => {
      const path = `/accounts/${root.id}`
      const disabled = await api('PATCH', path, { bearer: root.bearer, json: { status: 'disabled' } })
      expect(problemOf(disabled)).to.deep.equal(CONFLICT)
      expect(problemOf(await api('DELETE', path, { bearer: root.bearer }))).to.deep.equal(CONFLICT)
      expect(await isSignedIn(root.bearer)).to.equal(true)
    })

    it('of two superusers who disable each other at the same moment one stays', async () => {
      const rival = await at.somebody('superuser')
      const replies = await Promise.all([
        api('PATCH', `/accounts/${rival.id}`, { bearer: root.bearer, json: { status: 'disabled' } }),
        another('PATCH', `/accounts/${root.id}`, { bearer: rival.bearer, json: { status: 'disabled' } }),
      ])
      const won = replies.filter(({ status }) => status === 200)
      expect(won).to.have.lengthOf(1)
      await world.core.accounts.enable(root.id)
      await world.core.accounts.enable(rival.id)
      const { email = '' } = (await world.core.accounts.findById(root.id)) ?? {}
      root = { id: root.id, bearer: (await at.signIn(email)).access_token }
      expect((await api('DELETE', `/accounts/${rival.id}`, { bearer: root.bearer })).status).to.equal(204)
    })
  })

  describe('deletes', () => {
    it('an account at once, with every session and token of it', async () => {
      const owner = await at.somebody()
      const reply = await api('DELETE', `/accounts/${owner.id}`, { bearer: admin })
      expect([reply.status, reply.text]).to.deep.equal([204, ''])
      await isRefusedBy(another, owner.bearer)
      expect(problemOf(await api('GET', `/accounts/${owner.id}`, { bearer: admin }))).to.deep.equal(NOT_FOUND)
      expect(problemOf(await api('DELETE', `/accounts/${owner.id}`, { bearer: admin }))).to.deep.equal(NOT_FOUND)
      const [event] = await eventsOf(owner.id)
      expect(event).to.include({ action: 'account.deleted', after: null })
      expect(event?.before).to.include({ email: owner.email })
    })

    it('once, of simultaneous requests', async () => {
      const { id } = await at.newAccount()
      const calls = [api, another, api, another].map((call) => call('DELETE', `/accounts/${id}`, { bearer: admin }))
      expect((await Promise.all(calls)).map(({ status }) => status).sort()).to.deep.equal([204, 404, 404, 404])
      expect(await actionsOf(id)).to.deep.equal(['account.deleted'])
    })
  })

  describe('ends sessions', () => {
    it('one by one: the others go on, and nobody else is touched', async () => {
      const owner = await at.somebody()
      const second = (await at.signIn(owner.email)).access_token
      const stranger = await at.somebody()
      const list = async () =>
        (await api('GET', `/accounts/${owner.id}/sessions?limit=1`, { bearer: admin })).json<Page<Item>>()
      const first = await list()
      expect(first.items).to.have.lengthOf(1)
      expect(first.items[0]).to.include({ current: false, kind: 'grant', client_id: 'usher' })
      const rest = await api('GET', `/accounts/${owner.id}/sessions?cursor=${first.next_cursor}`, { bearer: admin })
      expect(rest.json<Page<Item>>()).to.include({ next_cursor: null }).and.to.have.property('items').with.lengthOf(1)
      const path = `/accounts/${owner.id}/sessions/${first.items[0]?.id}`
      // A session of somebody else is none of this account.
      expect(problemOf(await api('DELETE', path.replace(owner.id, stranger.id), { bearer: admin }))).to.deep.equal(
        NOT_FOUND,
      )
      expect((await api('DELETE', path, { bearer: admin })).status).to.equal(204)
      expect(problemOf(await api('DELETE', path, { bearer: admin }))).to.deep.equal(NOT_FOUND)
      await until(async () => (await isSignedIn(owner.bearer)) !== (await isSignedIn(second)))
      expect(await isSignedIn(stranger.bearer)).to.equal(true)
      expect(await actionsOf(owner.id)).to.deep.equal(['account.session_ended'])
    })

    it('all of them, as often as it is asked', async () => {
      const owner = await at.somebody()
      const { access_token: second } = await at.signIn(owner.email)
      for (const call of [api, another]) {
        expect((await call('DELETE', `/accounts/${owner.id}/sessions`, { bearer: admin })).status).to.equal(204)
      }
      for (const bearer of [owner.bearer, second]) await isRefusedBy(another, bearer)
      expect((await api('GET', `/accounts/${owner.id}/sessions`, { bearer: admin })).json()).to.deep.equal({
        items: [],
        next_cursor: null,
      })
      await at.signIn(owner.email)
    })

    it('of nobody where there is nobody', async () => {
      for (const [method, path] of ROUTES.slice(5)) {
        expect(problemOf(await api(method, path, { bearer: admin })), path).to.deep.equal(NOT_FOUND)
      }
      const { id } = await at.newAccount()
      expect(problemOf(await api('DELETE', `/accounts/${id}/sessions/nonsense`, { bearer: admin }))).to.deep.equal(
        NOT_FOUND,
      )
    })
  })

  it('mails a reset code to the owner, and none to a disabled account', async () => {
    const { id, email } = await at.newAccount()
    const reply = await api('POST', `/accounts/${id}/password-reset`, { bearer: admin })
    expect([reply.status, reply.json()]).to.deep.equal([202, { status: 'accepted' }])
    expect(await actionsOf(id)).to.deep.equal(['account.password_reset_requested'])
    expect(codeIn(await mailed(world, email))).to.match(/^\d{6}$/)
    await world.core.accounts.disable(id)
    expect(problemOf(await api('POST', `/accounts/${id}/password-reset`, { bearer: admin }))).to.deep.equal(CONFLICT)
  })

  /** Mails that wait to be sent to an account. */
  async function wishes(id: string): Promise<unknown[]> {
    const { db } = world.stores.database
    const email = (await world.core.accounts.findById(id))?.email ?? ''
    const waiting = db.selectFrom('outbox').select('kind')
    return waiting.where(({ eb, or }) => or([eb('account_id', '=', id), eb('email', '=', email)])).execute()
  }
})
