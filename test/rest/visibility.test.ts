/** /api/v1/visibility_groups and /api/v1/visibility/decision: the tree of groups, and who sees what is whose. */
import { expect } from 'chai'
import { BAD_REQUEST, FORBIDDEN, NOBODY, NOT_FOUND, type Page, UNAUTHENTICATED } from '../support/administration.ts'
import { type Api, pointersOf, problemOf } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { type PeopledWorld, type Person, startPeopledWorld } from '../support/people.ts'

const CONFLICT = [409, 'conflict']
const IN_USE = [409, 'in_use']
const GROUPS = '/visibility_groups'

interface Group {
  id: string
  key: string
  description: string
  parent: string | null
}
interface Member {
  account_id: string
  created_at: string | null
}

describe('the administration of visibility', function () {
  this.timeout(30_000)
  let at: PeopledWorld
  let api: Api
  let another: Api
  let admin: Person
  let root: Group

  before(async function () {
    this.timeout(40_000)
    at = await startPeopledWorld({
      roles: { 'team-admin': ['teams_admin'], hr: ['accounts_admin', 'permissions_admin'] },
    })
    ;({ api, another } = at)
    admin = await at.somebody('team-admin')
    const [first] = await at.world.core.visibility.all()
    root = (await asAdmin('GET', `${GROUPS}/${first?.id}`)).json<Group>()
  })
  after(() => at?.world.stop())

  const asAdmin = (method: string, path: string, json?: unknown, headers = {}) =>
    api(method, path, { bearer: admin.bearer, json, headers })
  async function newGroup(parent?: string) {
    const reply = await asAdmin('POST', GROUPS, {
      key: at.unique('group'),
      ...(parent === undefined ? {} : { parent }),
    })
    expect(reply.status, reply.text).to.equal(201)
    return reply.json<Group>()
  }
  const put = (group: Group, { id }: { id: string }, call = api) =>
    call('POST', `${GROUPS}/${group.id}/members`, { bearer: admin.bearer, json: { account_id: id } })

  it('is for administrators of teams, before anything else is looked at', async () => {
    const people = [await at.somebody(), await at.somebody('hr')]
    const routes = [
      ['GET', GROUPS],
      ['POST', GROUPS],
      ['GET', `${GROUPS}/${NOBODY}`],
      ['PATCH', `${GROUPS}/${NOBODY}`],
      ['DELETE', `${GROUPS}/${NOBODY}`],
      ['GET', `${GROUPS}/${NOBODY}/members`],
      ['POST', `${GROUPS}/${NOBODY}/members`],
      ['DELETE', `${GROUPS}/${NOBODY}/members/${NOBODY}`],
    ] as const
    for (const [method, path] of routes) {
      expect(problemOf(await api(method, path, { json: '{' })), path).to.deep.equal(UNAUTHENTICATED)
      for (const { bearer } of people) {
        expect(problemOf(await api(method, path, { bearer, json: '{' })), path).to.deep.equal(FORBIDDEN)
      }
    }
  })

  it('refuses bodies and queries that say something else, and finds nothing by what is no id', async () => {
    const group = await newGroup()
    const bodies = [
      ['POST', GROUPS, {}, '/key'],
      ['POST', GROUPS, { key: 'x y' }, '/key'],
      ['POST', GROUPS, { key: 'x', parent: null }, '/parent'],
      ['POST', GROUPS, { key: 'x', parent: 'nowhere' }, '/parent'],
      ['PATCH', `${GROUPS}/${group.id}`, { key: 'renamed' }, '/key'],
      ['PATCH', `${GROUPS}/${group.id}`, { parent: null }, '/parent'],
      ['POST', `${GROUPS}/${group.id}/members`, { account_id: 'x' }, '/account_id'],
      ['POST', `${GROUPS}/${group.id}/members`, { account_id: NOBODY }, '/account_id'],
    ] as const
    for (const [method, path, json, pointer] of bodies) {
      const reply = await asAdmin(method, path, json)
      expect(problemOf(reply), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
      expect(pointersOf(reply), JSON.stringify(json)).to.deep.equal([pointer])
    }
    for (const query of ['sort=id;drop', 'limit=101', 'cursor=WyJhIiwieCJd']) {
      expect(problemOf(await asAdmin('GET', `${GROUPS}?${query}`)), query).to.deep.equal(BAD_REQUEST)
    }
    for (const id of [NOBODY, 'x', '%00']) {
      expect(problemOf(await asAdmin('GET', `${GROUPS}/${id}`)), id).to.deep.equal(NOT_FOUND)
      expect(problemOf(await asAdmin('DELETE', `${GROUPS}/${id}`)), id).to.deep.equal(NOT_FOUND)
      expect(problemOf(await asAdmin('GET', `${GROUPS}/${id}/members`)), id).to.deep.equal(NOT_FOUND)
    }
  })

  it('creates, reads, changes and deletes a group, and records who did', async () => {
    const headers = { 'Idempotency-Key': at.unique('group-key') }
    const json = { key: at.unique('group'), description: 'One' }
    const created = await asAdmin('POST', GROUPS, json, headers)
    const group = created.json<Group>()
    expect(created.status).to.equal(201)
    expect(created.headers.location).to.equal(`/api/v1/visibility_groups/${group.id}`)
    expect(group).to.include({ description: 'One', parent: 'root' })
    expect((await asAdmin('POST', GROUPS, json, headers)).json()).to.deep.equal(group)
    expect(problemOf(await asAdmin('POST', GROUPS, json))).to.deep.equal(CONFLICT)
    const read = await another('GET', `${GROUPS}/${group.id}`, { bearer: admin.bearer })
    expect(read.json()).to.deep.equal(group)
    const stale = { 'If-Match': '"of-another-time"' }
    const refused = await asAdmin('PATCH', `${GROUPS}/${group.id}`, { description: 'Two' }, stale)
    expect(problemOf(refused)).to.deep.equal([412, 'precondition_failed'])
    const seen = { 'If-Match': read.headers.etag ?? '' }
    const changed = await asAdmin('PATCH', `${GROUPS}/${group.id}`, { description: 'Two' }, seen)
    expect(changed.json<Group>()).to.include({ description: 'Two', parent: 'root' })
    expect((await asAdmin('DELETE', `${GROUPS}/${group.id}`)).status).to.equal(204)
    expect(problemOf(await asAdmin('DELETE', `${GROUPS}/${group.id}`))).to.deep.equal(NOT_FOUND)
    const events = await at.eventsOf(group.id)
    expect(events.map(({ action }) => action)).to.deep.equal([
      ...['visibility_group.created', 'visibility_group.changed', 'visibility_group.deleted'],
    ])
    for (const event of events) expect(event.actor_id).to.equal(admin.id)
  })

  it('keeps the root, and what is in use unless forced', async () => {
    expect(root).to.include({ key: 'root', parent: null })
    const [top, person] = [await newGroup(), await at.somebody()]
    const low = await newGroup(top.key)
    await put(low, person)
    expect(problemOf(await asAdmin('DELETE', `${GROUPS}/${root.id}?force=true`))).to.deep.equal(CONFLICT)
    expect(problemOf(await asAdmin('PATCH', `${GROUPS}/${root.id}`, { parent: top.key }))).to.deep.equal(CONFLICT)
    expect(problemOf(await asAdmin('DELETE', `${GROUPS}/${top.id}?force=true`))).to.deep.equal(IN_USE)
    expect(problemOf(await asAdmin('DELETE', `${GROUPS}/${low.id}`))).to.deep.equal(IN_USE)
    expect((await asAdmin('DELETE', `${GROUPS}/${low.id}?force=true`)).status).to.equal(204)
    const { items } = (await asAdmin('GET', `${GROUPS}/${top.id}/members`)).json<Page<Member>>()
    expect(items.map(({ account_id }) => account_id)).to.deep.equal([person.id])
  })

  it('makes no cycle, also when two moves cross', async () => {
    const [a, b] = [await newGroup(), await newGroup()]
    const moves = await Promise.all([
      api('PATCH', `${GROUPS}/${a.id}`, { bearer: admin.bearer, json: { parent: b.key } }),
      another('PATCH', `${GROUPS}/${b.id}`, { bearer: admin.bearer, json: { parent: a.key } }),
    ])
    expect(moves.map(({ status }) => status).sort()).to.deep.equal([200, 409])
    expect(moves.find(({ status }) => status === 409)?.json()).to.include({ code: 'cycle' })
  })

  it('puts an account into one group at a time, once, and back into the root', async () => {
    const [one, other, person] = [await newGroup(), await newGroup(), await at.somebody()]
    const rivals = await Promise.all([put(one, person), put(one, person, another), put(one, person)])
    expect(rivals.map(({ status }) => status).sort()).to.deep.equal([200, 200, 201])
    expect((await put(other, person)).status).to.equal(201)
    const path = (group: Group) => `${GROUPS}/${group.id}/members/${person.id}`
    expect(problemOf(await asAdmin('DELETE', path(one)))).to.deep.equal(NOT_FOUND)
    expect((await asAdmin('DELETE', path(other))).status).to.equal(204)
    expect(problemOf(await asAdmin('DELETE', path(root)))).to.deep.equal(CONFLICT)
    const again = await put(root, person)
    expect([again.status, again.json<Member>()]).to.deep.equal([200, { account_id: person.id, created_at: null }])
    const { items, next_cursor: cursor } = (await asAdmin('GET', `${GROUPS}/${root.id}/members?limit=1`)).json<
      Page<Member>
    >()
    const rest = (await asAdmin('GET', `${GROUPS}/${root.id}/members?limit=1&cursor=${cursor}`)).json<Page<Member>>()
    expect((rest.items[0]?.account_id ?? '') > (items[0]?.account_id ?? '')).to.equal(true)
    expect(problemOf(await asAdmin('GET', `${GROUPS}/${root.id}/members?cursor=WyJ4Il0`))).to.deep.equal(BAD_REQUEST)
  })

  describe('decides', () => {
    const ask = (query: Record<string, string>, bearer?: string, call = api) =>
      call('GET', `/visibility/decision?${new URLSearchParams(query)}`, { bearer })
    const question = (viewer: string, owner: string, level = 'group') => ({ viewer, owner, level })

    it('for the viewer himself, administrators and services that may read access, and for nobody else', async () => {
      const [viewer, owner, hr] = [await at.somebody(), await at.somebody(), await at.somebody('hr')]
      const asked = question(viewer.id, owner.id)
      expect(problemOf(await ask(asked))).to.deep.equal(UNAUTHENTICATED)
      expect(problemOf(await ask(asked, owner.bearer)), 'the owner').to.deep.equal(FORBIDDEN)
      for (const bearer of [viewer.bearer, admin.bearer, hr.bearer]) {
        expect((await ask(asked, bearer)).json()).to.deep.equal({ visible: true })
      }
      const twice = `/visibility/decision?${new URLSearchParams(asked)}&viewer=${owner.id}`
      expect(problemOf(await api('GET', twice, { bearer: owner.bearer }))).to.deep.equal(FORBIDDEN)
      expect((await ask(asked, await at.machine('films', ['access:read']))).json()).to.deep.equal({ visible: true })
      expect(problemOf(await ask(asked, await at.machine('robot', [])))).to.deep.equal(FORBIDDEN)
    })

    it('only what is asked well, of accounts that there are', async () => {
      const { id } = admin
      for (const bad of [
        { viewer: id },
        question(id, id, 'all'),
        question(id, 'x'),
        { ...question(id, id), more: '1' },
      ]) {
        expect(problemOf(await ask(bad as Record<string, string>, admin.bearer))).to.deep.equal(BAD_REQUEST)
      }
      for (const unknown of [question(id, NOBODY), question(NOBODY, id)]) {
        expect(problemOf(await ask(unknown, admin.bearer))).to.deep.equal(NOT_FOUND)
      }
    })

    it('by what is so now, soon in every process', async () => {
      const [top, viewer, owner] = [await newGroup(), await at.somebody(), await at.somebody()]
      const low = await newGroup(top.key)
      const all = async () => {
        const replies = await Promise.all(
          [api, another].flatMap((call) =>
            ['group', 'group_and_below'].map((level) => ask(question(viewer.id, owner.id, level), viewer.bearer, call)),
          ),
        )
        return replies.map((reply) => reply.json<{ visible: boolean }>().visible)
      }
      const seen = (...expected: boolean[]) => eventually(async () => expect(await all()).to.deep.equal(expected))
      await seen(true, true, true, true)
      await put(top, owner)
      await seen(false, false, false, false)
      await put(low, viewer)
      await seen(false, true, false, true)
      await asAdmin('PATCH', `${GROUPS}/${low.id}`, { parent: 'root' })
      await seen(false, false, false, false)
      await put(top, viewer)
      await seen(true, true, true, true)
    })
  })
})
