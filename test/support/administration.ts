/** Two servers with an administrator of permissions, and what every collection of keyed objects must do. */
import { expect } from 'chai'
import { pointersOf, problemOf } from './api.ts'
import type { Reply } from './http.ts'
import { type Person, startPeopledWorld } from './people.ts'

export const UNAUTHENTICATED = [401, 'unauthenticated']
export const FORBIDDEN = [403, 'forbidden']
export const BAD_REQUEST = [400, 'bad_request']
export const NOT_FOUND = [404, 'not_found']
export const NOBODY = '01890000-0000-7000-8000-000000000000'

export interface Keyed {
  id: string
  key: string
  description: string
}
export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export type Administration = Awaited<ReturnType<typeof startAdministration>>

/** `admin` holds permissions_admin and movies:edit, `root` everything, `nobody` nothing. */
export async function startAdministration() {
  const place = await startPeopledWorld({
    permissions: ['movies:edit', 'movies:delete'],
    roles: {
      editor: ['movies:edit'],
      remover: ['movies:delete'],
      rights: ['permissions_admin', 'movies:edit'],
      others: ['teams_admin', 'clients_admin', 'audit_read'],
      hr: ['accounts_admin'],
    },
  })
  const { somebody, unique } = place
  const admin = await somebody('rights')
  const asAdmin = place.calling(admin)

  return {
    ...place,
    admin,
    root: await somebody('superuser'),
    nobody: await somebody(),
    others: await somebody('others'),
    asAdmin,

    async create(path: string, more: object = {}): Promise<Keyed> {
      const reply = await asAdmin('POST', path, { key: unique('key'), ...more })
      expect(reply.status, reply.text).to.equal(201)
      return reply.json<Keyed>()
    },

    /** All of a list, by pages of this size. */
    async all<T = Keyed>(path: string, limit: number): Promise<T[]> {
      const items: T[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const query: string = `limit=${limit}${cursor && `&cursor=${cursor}`}`
        const reply = await asAdmin('GET', `${path}${path.includes('?') ? '&' : '?'}${query}`)
        expect(reply.status, reply.text).to.equal(200)
        const page = reply.json<Page<T>>()
        expect(page.items.length).to.be.at.most(limit)
        items.push(...page.items)
        cursor = page.next_cursor
      }
      return items
    },
  }
}

const FORGED = ['cursor=x', 'cursor=W10', 'cursor=WyJhIiwxXQ', 'cursor=WyJhIiwiYiJd', 'cursor=&cursor=']
const forgedCursor = (...values: unknown[]) => `cursor=${Buffer.from(JSON.stringify(values)).toString('base64url')}`

/** What no list may take. */
export const BAD_QUERIES = [
  ...FORGED,
  forgedCursor('a\0', NOBODY),
  forgedCursor('a', `${NOBODY}'`),
  forgedCursor({ $gt: '' }, NOBODY),
  ...['limit=0', 'limit=101', 'limit=x', 'limit=1&limit=2', 'sort=id;drop', 'order[]=x', 'search=a&search=b'],
]

export async function refuseBadQueries(call: (query: string) => Promise<Reply>): Promise<void> {
  for (const query of BAD_QUERIES) expect(problemOf(await call(query)), query).to.deep.equal(BAD_REQUEST)
}

/** Nobody but who may is let in, and is told of nothing else that would be wrong. */
export async function letsIn(
  { api }: Administration,
  routes: readonly (readonly [method: string, path: string])[],
  refused: readonly Person[],
): Promise<void> {
  for (const [method, path] of routes) {
    for (const call of [{}, { bearer: 'x' }]) {
      expect(problemOf(await api(method, path, { ...call, json: '{' })), `${method} ${path}`).to.deep.equal(
        UNAUTHENTICATED,
      )
    }
    for (const { bearer } of refused) {
      expect(problemOf(await api(method, path, { bearer, json: '{' })), `${method} ${path}`).to.deep.equal(FORBIDDEN)
    }
  }
}

/** The tests of a collection: creating, reading, listing, changing and deleting by administrators of permissions. */
export function itKeepsACollection(path: string, noun: string, at: () => Administration): void {
  const make = (more: object = {}) => at().create(path, more)

  it('is for administrators of permissions, before anything else is looked at', async () => {
    const routes = [
      ...['GET', 'POST'].map((method) => [method, path] as const),
      ...['GET', 'PATCH', 'DELETE'].map((method) => [method, `${path}/${NOBODY}`] as const),
    ]
    await letsIn(at(), routes, [at().nobody, at().others])
  })

  it('finds nothing where there is nothing, and nothing by what is no id', async () => {
    for (const id of [NOBODY, 'x', '%00', "1'--", NOBODY.toUpperCase()]) {
      for (const [method, json] of [['GET'], ['PATCH', { description: 'x' }], ['DELETE']] as const) {
        const reply = await at().asAdmin(method, `${path}/${id}`, json)
        expect(problemOf(reply), `${method} ${id}`).to.deep.equal(NOT_FOUND)
      }
    }
  })

  it('refuses what is malformed, or not for the caller to say, with a pointer', async () => {
    const created = await make()
    const forms: [method: string, at: string, json: unknown, pointer: string][] = [
      ['POST', path, {}, '/key'],
      ['POST', path, { key: 'with space' }, '/key'],
      ['POST', path, { key: '-x' }, '/key'],
      ['POST', path, { key: 'k'.repeat(101) }, '/key'],
      ['POST', path, { key: 1 }, '/key'],
      ['POST', path, { key: 'x', description: 'two\nlines' }, '/description'],
      ['POST', path, { key: 'x', description: 'x'.repeat(501) }, '/description'],
      ['POST', path, { key: 'x', id: NOBODY }, '/id'],
      ['POST', path, { key: 'x', is_system: true }, '/is_system'],
      ['POST', path, { key: 'x', created_at: '2020-01-01T00:00:00Z' }, '/created_at'],
      ['PATCH', `${path}/${created.id}`, { key: 'other' }, '/key'],
      ['PATCH', `${path}/${created.id}`, { id: NOBODY }, '/id'],
      ['PATCH', `${path}/${created.id}`, { description: 'a\tb' }, '/description'],
      ['PATCH', `${path}/${created.id}`, { description: null }, '/description'],
    ]
    for (const [method, where, json, pointer] of forms) {
      const reply = await at().asAdmin(method, where, json)
      expect(problemOf(reply), JSON.stringify(json).slice(0, 60)).to.deep.equal(BAD_REQUEST)
      expect(pointersOf(reply)).to.include(pointer)
    }
    expect((await at().asAdmin('GET', `${path}/${created.id}`)).json()).to.deep.equal(created)
    expect(await at().eventsOf(created.id)).to.have.lengthOf(1)
  })

  it('creates, reads, changes and deletes, and records it all', async () => {
    const key = at().unique('Thing:a.b_c')
    const reply = await at().asAdmin('POST', path, { key, description: 'First' })
    expect(reply.status, reply.text).to.equal(201)
    const created = reply.json<Keyed>()
    expect(created).to.deep.include({ key, description: 'First' })
    expect(reply.headers.location).to.equal(`/api/v1${path}/${created.id}`)
    const read = await at().asAdmin('GET', `${path}/${created.id}`)
    expect(read.json()).to.deep.equal(created)
    expect(read.headers.etag).to.equal(reply.headers.etag)
    const cached = await at().asAdmin('GET', `${path}/${created.id}`, undefined, {
      'If-None-Match': read.headers.etag ?? '',
    })
    expect([cached.status, cached.text]).to.deep.equal([304, ''])
    const changed = await at().asAdmin('PATCH', `${path}/${created.id}`, { description: 'Second «2»' })
    expect(changed.json()).to.deep.include({ id: created.id, key, description: 'Second «2»' })
    const after = await at().another('GET', `${path}/${created.id}`, { bearer: at().admin.bearer })
    expect(after.json()).to.deep.equal(changed.json())
    expect((await at().asAdmin('DELETE', `${path}/${created.id}`)).status).to.equal(204)
    expect(problemOf(await at().asAdmin('DELETE', `${path}/${created.id}`))).to.deep.equal(NOT_FOUND)
    const events = await at().eventsOf(created.id)
    expect(events.map(({ action }) => action)).to.deep.equal(
      ['created', 'changed', 'deleted'].map((what) => `${noun}.${what}`),
    )
    expect(events[1]?.before).to.deep.equal(created)
    expect(events[1]?.after).to.deep.equal(changed.json())
    for (const event of events) {
      expect(event).to.include({ actor_kind: 'account', actor_id: at().admin.id, client_id: 'usher' })
    }
  })

  it('refuses a key that is taken, and lets one of many at once have it', async () => {
    const { key } = await make()
    const taken = await at().asAdmin('POST', path, { key })
    expect(problemOf(taken)).to.deep.equal([409, 'conflict'])
    const wanted = at().unique('wanted')
    const rivals = await Promise.all(
      Array.from({ length: 8 }, (_, place) =>
        (place % 2 ? at().api : at().another)('POST', path, { bearer: at().admin.bearer, json: { key: wanted } }),
      ),
    )
    expect(rivals.map(({ status }) => status).sort()).to.deep.equal([201, ...Array.from({ length: 7 }, () => 409)])
  })

  it('creates once for an Idempotency-Key, however often it is asked', async () => {
    const headers = { 'Idempotency-Key': at().unique('attempt-of-mine') }
    const json = { key: at().unique('once') }
    const first = await at().asAdmin('POST', path, json, headers)
    const second = await at().another('POST', path, { bearer: at().admin.bearer, json, headers })
    expect([first.status, second.status]).to.deep.equal([201, 201])
    expect(second.json()).to.deep.equal(first.json())
    expect(second.headers.location).to.equal(first.headers.location)
    expect(await at().eventsOf(first.json<Keyed>().id)).to.have.lengthOf(1)
    const other = await at().asAdmin('POST', path, { key: at().unique('other') }, headers)
    expect(problemOf(other)).to.deep.equal([409, 'conflict'])
  })

  it('refuses a change of what the caller has not seen', async () => {
    const { id } = await make()
    const { etag = '' } = (await at().asAdmin('GET', `${path}/${id}`)).headers
    const change = (description: string, ifMatch: string) =>
      at().asAdmin('PATCH', `${path}/${id}`, { description }, { 'If-Match': ifMatch })
    const rivals = await Promise.all(['a', 'b', 'c', 'd'].map((text) => change(text, etag)))
    expect(rivals.map(({ status }) => status).sort()).to.deep.equal([200, 412, 412, 412])
    expect(problemOf(await change('late', etag))).to.deep.equal([412, 'precondition_failed'])
    expect((await change('any', '*')).json()).to.include({ description: 'any' })
  })

  it('lists in the order of keys by pages that neither repeat nor skip, also what begins alike', async () => {
    const prefix = at().unique('List')
    const keys = ['b', 'A', 'c', 'C2', '_x', 'a1', 'a:1'].map((end) => `${prefix}.${end}`)
    for (const key of keys) await make({ key })
    const inOrder = keys.toSorted((one, other) => (one.toLowerCase() < other.toLowerCase() ? -1 : 1))
    for (const limit of [1, 2, 3, 100]) {
      const listed = await at().all(`${path}?search=${prefix.toLowerCase()}.`, limit)
      expect(listed.map(({ key }) => key)).to.deep.equal(inOrder)
    }
    const everything = (await at().all(path, 4)).map(({ id }) => id)
    expect(new Set(everything).size).to.equal(everything.length)
    expect(everything.length).to.be.at.least(keys.length)
    for (const search of ['no-such-thing', '%25', '_', "'", `${prefix}.%25`]) {
      expect(await at().all(`${path}?search=${search}`, 100), search).to.deep.equal([])
    }
  })

  it('refuses a page it has not made, and what is no limit', () =>
    refuseBadQueries((query) => at().asAdmin('GET', `${path}?${query}`)))
}
