/** /api/v1/teams: the tree of teams, their members and roles, by administrators and by managers. */
import { expect } from 'chai'
import { BAD_REQUEST, FORBIDDEN, NOBODY, NOT_FOUND, type Page, UNAUTHENTICATED } from '../support/administration.ts'
import { type Api, pointersOf, problemOf } from '../support/api.ts'
import { until } from '../support/eventually.ts'
import { type PeopledWorld, type Person, startPeopledWorld } from '../support/people.ts'

interface Team {
  id: string
  key: string
  description: string
  parent: string | null
}

describe('the administration of teams', function () {
  this.timeout(30_000)
  let at: PeopledWorld
  let api: Api
  let another: Api
  let admin: Person

  before(async function () {
    this.timeout(40_000)
    at = await startPeopledWorld({
      permissions: ['film:edit', 'film:delete'],
      roles: {
        editor: ['film:edit'],
        remover: ['film:delete'],
        'team-admin': ['teams_admin', 'film:edit'],
        'other-admin': ['permissions_admin', 'accounts_admin'],
      },
    })
    ;({ api, another } = at)
    admin = await at.somebody('team-admin')
  })
  after(() => at?.world.stop())

  const asAdmin = (method: string, path: string, json?: unknown, headers = {}) =>
    api(method, path, { bearer: admin.bearer, json, headers })
  async function newTeam(parent: string | null = null) {
    const reply = await asAdmin('POST', '/teams', { key: at.unique('team'), parent })
    expect(reply.status, reply.text).to.equal(201)
    return reply.json<Team>()
  }

  const ROUTES = [
    ['GET', '/teams'],
    ['POST', '/teams'],
    ['GET', `/teams/${NOBODY}`],
    ['PATCH', `/teams/${NOBODY}`],
    ['DELETE', `/teams/${NOBODY}`],
    ['GET', `/teams/${NOBODY}/members`],
    ['POST', `/teams/${NOBODY}/members`],
    ['DELETE', `/teams/${NOBODY}/members/${NOBODY}`],
    ['GET', `/teams/${NOBODY}/roles`],
    ['POST', `/teams/${NOBODY}/roles`],
    ['DELETE', `/teams/${NOBODY}/roles/${NOBODY}`],
  ] as const

  it('is for administrators of teams, before anything else is looked at', async () => {
    const people = [await at.somebody(), await at.somebody('other-admin')]
    for (const [method, path] of ROUTES) {
      expect(problemOf(await api(method, path, { json: '{' })), path).to.deep.equal(UNAUTHENTICATED)
      for (const { bearer } of people) {
        expect(problemOf(await api(method, path, { bearer, json: '{' })), path).to.deep.equal(FORBIDDEN)
      }
    }
  })

  it('finds nothing where there is nothing, and nothing by what is no id', async () => {
    const calls = [
      ['PATCH', { description: 'x' }],
      ['GET', undefined],
      ['DELETE', undefined],
    ] as const
    for (const id of [NOBODY, 'x', '%00', "1'--"]) {
      for (const [method, json] of calls) {
        expect(problemOf(await asAdmin(method, `/teams/${id}`, json)), `${method} ${id}`).to.deep.equal(NOT_FOUND)
      }
      expect(problemOf(await asAdmin('GET', `/teams/${id}/members`))).to.deep.equal(NOT_FOUND)
      expect(problemOf(await asAdmin('POST', `/teams/${id}/roles`, { role: 'editor' }))).to.deep.equal(NOT_FOUND)
      expect(problemOf(await asAdmin('POST', `/teams/${id}/members`, { account_id: admin.id }))).to.deep.equal(
        NOT_FOUND,
      )
    }
  })

  it('refuses bodies and queries that say something else', async () => {
    const team = await newTeam()
    const bodies = [
      ['POST', '/teams', {}, '/key'],
      ['POST', '/teams', { key: 'x y' }, '/key'],
      ['POST', '/teams', { key: 'x', id: NOBODY }, '/id'],
      ['POST', '/teams', { key: 'x', parent: 'nowhere' }, '/parent'],
      ['PATCH', `/teams/${team.id}`, { key: 'renamed' }, '/key'],
      ['PATCH', `/teams/${team.id}`, { description: 1 }, '/description'],
      ['POST', `/teams/${team.id}/members`, { account_id: 'x' }, '/account_id'],
      ['POST', `/teams/${team.id}/members`, { account_id: NOBODY }, '/account_id'],
      ['POST', `/teams/${team.id}/members`, { account_id: NOBODY, manager: 'yes' }, '/manager'],
      ['POST', `/teams/${team.id}/roles`, { role: 'nothing' }, '/role'],
    ] as const
    for (const [method, path, json, pointer] of bodies) {
      const reply = await asAdmin(method, path, json)
      expect(problemOf(reply), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
      expect(pointersOf(reply), JSON.stringify(json)).to.deep.equal([pointer])
    }
    const forged = [
      'WyJhIiwieCJd',
      'WyJhIiwiMSJd',
      'WyJcdTAwMDAiLCIwMTg5MDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAiXQ',
    ]
    for (const query of ['sort=id;drop', 'limit=0', 'cursor=x', ...forged.map((cursor) => `cursor=${cursor}`)]) {
      expect(problemOf(await asAdmin('GET', `/teams?${query}`)), query).to.deep.equal(BAD_REQUEST)
    }
    expect(problemOf(await asAdmin('GET', `/teams/${team.id}/members?cursor=WyJ4Il0`))).to.deep.equal(BAD_REQUEST)
    expect(problemOf(await asAdmin('DELETE', `/teams/${team.id}?force=1`))).to.deep.equal(BAD_REQUEST)
  })

  it('creates, reads, changes and deletes a team, and records who did', async () => {
    const top = await newTeam()
    const created = await asAdmin('POST', '/teams', { key: at.unique('team'), description: 'One', parent: top.key })
    const team = created.json<Team>()
    expect(created.status).to.equal(201)
    expect(created.headers.location).to.equal(`/api/v1/teams/${team.id}`)
    expect(team).to.include({ description: 'One', parent: top.key })
    const read = await another('GET', `/teams/${team.id}`, { bearer: admin.bearer })
    expect(read.json()).to.deep.equal(team)
    expect(read.headers.etag).to.equal(created.headers.etag)
    const changed = await asAdmin('PATCH', `/teams/${team.id}`, { description: 'Two', parent: null })
    expect(changed.json<Team>()).to.include({ description: 'Two', parent: null })
    expect((await asAdmin('DELETE', `/teams/${team.id}`)).status).to.equal(204)
    expect(problemOf(await asAdmin('DELETE', `/teams/${team.id}`))).to.deep.equal(NOT_FOUND)
    const events = await at.eventsOf(team.id)
    expect(events.map(({ action }) => action)).to.deep.equal(['team.created', 'team.changed', 'team.deleted'])
    for (const event of events)
      expect(event).to.include({ actor_kind: 'account', actor_id: admin.id, client_id: 'usher' })
    expect(events[1]?.before).to.deep.equal(team)
    expect(events[1]?.after).to.deep.equal(changed.json())
    expect(events[1]?.request_id).to.equal(changed.headers['x-request-id'])
  })

  it('creates once for one Idempotency-Key, and twice not at all', async () => {
    const json = { key: at.unique('team') }
    const headers = { 'Idempotency-Key': at.unique('team-key') }
    const [first, again] = [
      await asAdmin('POST', '/teams', json, headers),
      await asAdmin('POST', '/teams', json, headers),
    ]
    expect([first.status, again.status]).to.deep.equal([201, 201])
    expect(again.json()).to.deep.equal(first.json())
    expect(problemOf(await asAdmin('POST', '/teams', json))).to.deep.equal([409, 'conflict'])
  })

  it('changes nothing that has been changed since it was read', async () => {
    const team = await newTeam()
    const { etag = '' } = (await asAdmin('GET', `/teams/${team.id}`)).headers
    const change = (description: string) => asAdmin('PATCH', `/teams/${team.id}`, { description }, { 'If-Match': etag })
    const rivals = await Promise.all([change('one'), change('two')])
    expect(rivals.map(({ status }) => status).sort()).to.deep.equal([200, 412])
  })

  it('lists in pages that neither repeat nor skip', async () => {
    const prefix = `${at.unique('page')}-`
    for (const key of ['a', 'B', 'c']) await asAdmin('POST', '/teams', { key: prefix + key })
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const query = `?search=${prefix.toUpperCase()}&limit=2${cursor && `&cursor=${cursor}`}`
      const page: Page<Team> = (await asAdmin('GET', `/teams${query}`)).json<Page<Team>>()
      seen.push(...page.items.map(({ key }) => key))
      cursor = page.next_cursor
    }
    expect(seen).to.deep.equal(['a', 'B', 'c'].map((key) => prefix + key))
  })

  it('makes no cycle, also when two moves cross', async () => {
    const [a, b] = [await newTeam(), await newTeam()]
    const moves = await Promise.all([
      api('PATCH', `/teams/${a.id}`, { bearer: admin.bearer, json: { parent: b.key } }),
      another('PATCH', `/teams/${b.id}`, { bearer: admin.bearer, json: { parent: a.key } }),
    ])
    expect(moves.map(({ status }) => status).sort()).to.deep.equal([200, 409])
    const refused = moves.find(({ status }) => status === 409)
    expect(refused?.json()).to.include({ code: 'cycle' })
  })

  it('adds a member once, however many ask at once, and removes it once', async () => {
    const [team, person] = [await newTeam(), await at.somebody()]
    const add = (call: Api) =>
      call('POST', `/teams/${team.id}/members`, { bearer: admin.bearer, json: { account_id: person.id } })
    const rivals = await Promise.all([add(api), add(another), add(api), add(another)])
    expect(rivals.map(({ status }) => status).sort()).to.deep.equal([200, 200, 200, 201])
    expect(rivals[0]?.json()).to.include({ account_id: person.id, manager: false })
    const { items } = (await asAdmin('GET', `/teams/${team.id}/members`)).json<Page<{ account_id: string }>>()
    expect(items.map(({ account_id }) => account_id)).to.deep.equal([person.id])
    expect((await asAdmin('DELETE', `/teams/${team.id}/members/${person.id}`)).status).to.equal(204)
    expect(problemOf(await asAdmin('DELETE', `/teams/${team.id}/members/${person.id}`))).to.deep.equal(NOT_FOUND)
  })

  it('gives roles that are effective at once, and soon in every process, also below, and takes them', async () => {
    const top = await newTeam()
    const [low, person] = [await newTeam(top.key), await at.somebody()]
    await asAdmin('POST', `/teams/${low.id}/members`, { account_id: person.id })
    const holds = async (call: Api) => {
      const path = `/accounts/${person.id}/combined_permissions/validation?permissions={"any":["film:edit"]}`
      return (await call('GET', encodeURI(path), { bearer: person.bearer })).json<{ valid: boolean }>().valid
    }
    const held = async (expected: boolean) => {
      expect(await holds(api)).to.equal(expected)
      await until(async () => (await holds(another)) === expected)
    }
    await held(false)
    const given = await asAdmin('POST', `/teams/${top.id}/roles`, { role: 'editor' })
    expect(given.status, given.text).to.equal(201)
    const role = given.json<{ id: string }>()
    expect((await asAdmin('POST', `/teams/${top.id}/roles`, { role: 'editor' })).status).to.equal(200)
    await held(true)
    expect((await asAdmin('GET', `/teams/${top.id}/roles`)).json<Page<{ id: string }>>().items).to.deep.equal([role])
    expect((await asAdmin('DELETE', `/teams/${top.id}/roles/${role.id}`)).status).to.equal(204)
    await held(false)
    expect(problemOf(await asAdmin('DELETE', `/teams/${top.id}/roles/${role.id}`))).to.deep.equal(NOT_FOUND)
  })

  it('keeps a team that is used, unless forced', async () => {
    const top = await newTeam()
    const low = await newTeam(top.key)
    await asAdmin('POST', `/teams/${low.id}/members`, { account_id: admin.id })
    const IN_USE = [409, 'in_use']
    expect(problemOf(await asAdmin('DELETE', `/teams/${top.id}?force=true`))).to.deep.equal(IN_USE)
    expect(problemOf(await asAdmin('DELETE', `/teams/${low.id}?force=false`))).to.deep.equal(IN_USE)
    expect((await asAdmin('DELETE', `/teams/${low.id}?force=true`)).status).to.equal(204)
  })

  describe('by a manager', () => {
    async function managed() {
      const [team, manager] = [await newTeam(), await at.somebody()]
      const json = { account_id: manager.id, manager: true }
      expect((await asAdmin('POST', `/teams/${team.id}/members`, json)).status).to.equal(201)
      return { team, manager }
    }

    it('is reading the team, and adding and removing its members', async () => {
      const { team, manager } = await managed()
      const person = await at.somebody()
      const { bearer } = manager
      for (const path of ['', '/members', '/roles']) {
        expect((await api('GET', `/teams/${team.id}${path}`, { bearer })).status, path).to.equal(200)
      }
      const json = { account_id: person.id, manager: true }
      expect((await api('POST', `/teams/${team.id}/members`, { bearer, json })).status).to.equal(201)
      const path = `/teams/${team.id}/members/${manager.id}`
      expect((await api('DELETE', path, { bearer: person.bearer })).status).to.equal(204)
      expect(problemOf(await api('GET', `/teams/${team.id}`, { bearer })), 'not any more').to.deep.equal(FORBIDDEN)
    })

    it('is nothing about the team itself, its roles, other teams or those below', async () => {
      const { team, manager } = await managed()
      const [below, other] = [await newTeam(team.key), await newTeam()]
      const { bearer } = manager
      const calls = [
        ['GET', '/teams', undefined],
        ['POST', '/teams', { key: 'mine', parent: team.key }],
        ['PATCH', `/teams/${team.id}`, { description: 'x' }],
        ['DELETE', `/teams/${team.id}`, undefined],
        ['POST', `/teams/${team.id}/roles`, { role: 'superuser' }],
        ['DELETE', `/teams/${team.id}/roles/${NOBODY}`, undefined],
        ['POST', `/teams/${below.id}/members`, { account_id: manager.id }],
        ['POST', `/teams/${other.id}/members`, { account_id: manager.id }],
        ['GET', `/teams/${below.id}`, undefined],
      ] as const
      for (const [method, path, json] of calls) {
        expect(problemOf(await api(method, path, { bearer, json })), `${method} ${path}`).to.deep.equal(FORBIDDEN)
      }
    })

    it('who does not hold what reaches the team adds nobody', async () => {
      const { team, manager } = await managed()
      const [person, superuser] = [await at.somebody(), await at.somebody('superuser')]
      const given = await api('POST', `/teams/${team.id}/roles`, {
        bearer: superuser.bearer,
        json: { role: 'remover' },
      })
      expect(given.status, given.text).to.equal(201)
      const json = { account_id: person.id }
      const add = (bearer: string) => api('POST', `/teams/${team.id}/members`, { bearer, json })
      const refused = await add(admin.bearer)
      expect(problemOf(refused)).to.deep.equal(FORBIDDEN)
      expect(refused.text).to.include('you do not hold film:delete')
      expect((await add(manager.bearer)).status, 'a member holds it').to.equal(201)
    })
  })

  it('lets nobody give a team more than they hold', async () => {
    const team = await newTeam()
    for (const role of ['remover', 'superuser', 'other-admin']) {
      expect(problemOf(await asAdmin('POST', `/teams/${team.id}/roles`, { role })), role).to.deep.equal(FORBIDDEN)
    }
    for (const role of ['user', 'non_registered']) {
      expect(problemOf(await asAdmin('POST', `/teams/${team.id}/roles`, { role })), role).to.deep.equal([
        409,
        'conflict',
      ])
    }
    expect((await asAdmin('GET', `/teams/${team.id}/roles`)).json<Page<unknown>>().items).to.deep.equal([])
  })
})
