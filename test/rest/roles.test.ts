/** /api/v1/roles: named sets of permissions that include one another. */
import { expect } from 'chai'
import {
  type Administration,
  BAD_REQUEST,
  FORBIDDEN,
  itKeepsACollection,
  letsIn,
  NOBODY,
  NOT_FOUND,
  refuseBadQueries,
  startAdministration,
} from '../support/administration.ts'
import { type Api, pointersOf, problemOf } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'

describe('the roles of the API', function () {
  this.timeout(30_000)
  let at: Administration
  before(async function () {
    this.timeout(40_000)
    at = await startAdministration()
  })
  after(() => at?.world.stop())

  itKeepsACollection('/roles', 'role', () => at)

  const roleOf = async (key: string) =>
    (await at.all(`/roles?search=${key}`, 100)).find((role) => role.key === key)?.id ?? ''
  const permissionOf = async (key: string) =>
    (await at.all(`/permissions?search=${key}`, 100)).find((permission) => permission.key === key)?.id ?? ''
  const keysOf = async (path: string) => (await at.all(path, 2)).map(({ key }) => key)

  it('let nobody else at what they hold and include', () =>
    letsIn(
      at,
      ['permissions', 'includes'].flatMap((links) => [
        ['GET', `/roles/${NOBODY}/${links}`] as const,
        ['POST', `/roles/${NOBODY}/${links}`] as const,
        ['DELETE', `/roles/${NOBODY}/${links}/${NOBODY}`] as const,
      ]),
      [at.nobody, at.others],
    ))

  it('hold permissions, which are added once and removed once', async () => {
    const { id } = await at.create('/roles')
    const path = `/roles/${id}/permissions`
    const added = await at.asAdmin('POST', path, { permission: 'movies:edit' })
    expect(added.status, added.text).to.equal(201)
    expect(added.json()).to.include({ key: 'movies:edit' })
    const again = await at.asAdmin('POST', path, { permission: 'movies:edit' })
    expect([again.status, again.json()]).to.deep.equal([200, added.json()])
    await at.asAdmin('POST', path, { permission: 'permissions_admin' })
    expect(await keysOf(path)).to.deep.equal(['movies:edit', 'permissions_admin'])
    expect(await keysOf(`${path}?search=mov`)).to.deep.equal(['movies:edit'])
    await refuseBadQueries((query) => at.asAdmin('GET', `${path}?${query}`))
    const cut = `${path}/${added.json<{ id: string }>().id}`
    expect((await at.asAdmin('DELETE', cut)).status).to.equal(204)
    expect(problemOf(await at.asAdmin('DELETE', cut))).to.deep.equal(NOT_FOUND)
    expect(await keysOf(path)).to.deep.equal(['permissions_admin'])
    expect((await at.eventsOf(id)).map(({ action }) => action)).to.deep.equal([
      ...['role.created', 'role.permission_added', 'role.permission_added', 'role.permission_removed'],
    ])
  })

  it('include roles, never in a circle, whichever way two go at once', async () => {
    const [a, b, c] = [await at.create('/roles'), await at.create('/roles'), await at.create('/roles')]
    const include = (role: { id: string }, other: { key: string }, call = at.api) =>
      call('POST', `/roles/${role.id}/includes`, { bearer: at.admin.bearer, json: { role: other.key } })
    const first = await include(a, b)
    expect([first.status, first.json()]).to.deep.equal([201, b])
    expect((await include(a, b)).status).to.equal(200)
    expect((await include(b, c)).status).to.equal(201)
    for (const [role, other] of [
      [a, a],
      [b, a],
      [c, a],
    ] as const) {
      const reply = await include(role, other)
      expect(problemOf(reply)).to.deep.equal([409, 'cycle'])
      expect(pointersOf(reply)).to.deep.equal(['/role'])
    }
    expect(await keysOf(`/roles/${a.id}/includes`)).to.deep.equal([b.key])
    await refuseBadQueries((query) => at.asAdmin('GET', `/roles/${a.id}/includes?${query}`))
    expect((await at.asAdmin('DELETE', `/roles/${a.id}/includes/${b.id}`)).status).to.equal(204)
    expect(problemOf(await at.asAdmin('DELETE', `/roles/${a.id}/includes/${b.id}`))).to.deep.equal(NOT_FOUND)
    for (let round = 0; round < 5; round += 1) {
      const [one, two] = [await at.create('/roles'), await at.create('/roles')]
      const rivals = await Promise.all([include(one, two), include(two, one, at.another)])
      expect(rivals.map(({ status }) => status).sort()).to.deep.equal([201, 409])
    }
  })

  it('refuse links to what is not there or malformed, and from it', async () => {
    const { id } = await at.create('/roles')
    const bodies: [links: string, json: unknown, pointer: string][] = [
      ['permissions', { permission: 'none' }, '/permission'],
      ['permissions', {}, '/permission'],
      ['permissions', { permission: ['movies:edit'] }, '/permission'],
      ['permissions', { permission: 'movies:edit', role: 'x' }, '/role'],
      ['includes', { role: 'none' }, '/role'],
      ['includes', { role: null }, '/role'],
    ]
    for (const [links, json, pointer] of bodies) {
      const reply = await at.asAdmin('POST', `/roles/${id}/${links}`, json)
      expect(problemOf(reply), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
      expect(pointersOf(reply)).to.include(pointer)
    }
    for (const role of [NOBODY, 'x']) {
      const calls = [
        at.asAdmin('GET', `/roles/${role}/permissions`),
        at.asAdmin('GET', `/roles/${role}/includes`),
        at.asAdmin('POST', `/roles/${role}/permissions`, { permission: 'movies:edit' }),
        at.asAdmin('POST', `/roles/${role}/includes`, { role: 'editor' }),
        at.asAdmin('DELETE', `/roles/${id}/permissions/${role}`),
        at.asAdmin('DELETE', `/roles/${id}/includes/${role}`),
      ]
      for (const call of calls) expect(problemOf(await call)).to.deep.equal(NOT_FOUND)
    }
  })

  it('give nobody what he does not hold, by no detour', async () => {
    const [own, remover, superuser] = [await roleOf('rights'), await roleOf('remover'), await roleOf('superuser')]
    const before = await keysOf(`/roles/${own}/permissions`)
    const calls: [method: string, path: string, json?: unknown][] = [
      ['POST', `/roles/${own}/permissions`, { permission: 'all_all' }],
      ['POST', `/roles/${own}/permissions`, { permission: 'movies:delete' }],
      ['POST', `/roles/${own}/includes`, { role: 'remover' }],
      ['POST', `/roles/${own}/includes`, { role: 'superuser' }],
      ['POST', `/roles/${await roleOf('user')}/permissions`, { permission: 'movies:delete' }],
      ['PATCH', `/roles/${remover}`, { description: 'x' }],
      ['DELETE', `/roles/${remover}`],
      ['POST', `/roles/${remover}/permissions`, { permission: 'movies:edit' }],
      ['DELETE', `/roles/${remover}/permissions/${await permissionOf('movies:delete')}`],
      ['PATCH', `/roles/${superuser}`, { description: 'x' }],
    ]
    for (const [method, path, json] of calls) {
      const reply = await at.asAdmin(method, path, json)
      expect(problemOf(reply), `${method} ${path}`).to.deep.equal(FORBIDDEN)
      expect(reply.text).to.match(/you do not hold (all_all|movies:delete)/)
    }
    expect(await keysOf(`/roles/${own}/permissions`)).to.deep.equal(before)
  })

  it('of the system stay, and superuser holds all_all', async () => {
    const asRoot = at.calling(at.root)
    for (const key of ['superuser', 'user', 'non_registered']) {
      expect(problemOf(await asRoot('DELETE', `/roles/${await roleOf(key)}?force=true`))).to.deep.equal([
        409,
        'conflict',
      ])
      expect((await asRoot('GET', `/roles/${await roleOf(key)}`)).json()).to.include({ is_system: true })
    }
    const allAll = `/roles/${await roleOf('superuser')}/permissions/${await permissionOf('all_all')}`
    expect(problemOf(await asRoot('DELETE', allAll))).to.deep.equal([409, 'conflict'])
    expect((await asRoot('PATCH', `/roles/${await roleOf('user')}`, { description: 'People' })).status).to.equal(200)
  })

  it('that somebody has are deleted when forced only, and are gone from whom they reached', async () => {
    const [inner, outer] = [await at.create('/roles'), await at.create('/roles')]
    await at.asAdmin('POST', `/roles/${inner.id}/permissions`, { permission: 'permissions_admin' })
    await at.asAdmin('POST', `/roles/${outer.id}/includes`, { role: inner.key })
    const holder = await at.somebody(outer.key)
    expect((await at.api('GET', '/roles', holder)).status).to.equal(200)
    const refused = await at.asAdmin('DELETE', `/roles/${inner.id}`)
    expect(problemOf(refused)).to.deep.equal([409, 'in_use'])
    expect(refused.text).to.include(outer.key)
    expect((await at.asAdmin('DELETE', `/roles/${inner.id}?force=true`)).status).to.equal(204)
    const isForbidden = async (call: Api) =>
      expect(problemOf(await call('GET', '/roles', { bearer: holder.bearer }))).to.deep.equal(FORBIDDEN)
    await isForbidden(at.api)
    await eventually(() => isForbidden(at.another))
    expect(await keysOf(`/roles/${outer.id}/includes`)).to.deep.equal([])
  })
})
