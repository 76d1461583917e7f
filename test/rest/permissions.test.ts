/** /api/v1/permissions: what can be held. */
import { expect } from 'chai'
import {
  type Administration,
  BAD_REQUEST,
  FORBIDDEN,
  itKeepsACollection,
  startAdministration,
} from '../support/administration.ts'
import { pointersOf, problemOf } from '../support/api.ts'

describe('the permissions of the API', function () {
  this.timeout(30_000)
  let at: Administration
  before(async function () {
    this.timeout(40_000)
    at = await startAdministration()
  })
  after(() => at?.world.stop())

  itKeepsACollection('/permissions', 'permission', () => at)

  const idOf = async (key: string) =>
    (await at.all(`/permissions?search=${key}`, 100)).find((item) => item.key === key)?.id

  it('belong to a resource, to another, or to none', async () => {
    for (const key of ['films', 'books']) await at.create('/resources', { key })
    const made = await at.create('/permissions', { key: 'films:rate', resource: 'films' })
    expect(made).to.include({ resource: 'films' })
    for (const resource of ['books', null]) {
      const reply = await at.asAdmin('PATCH', `/permissions/${made.id}`, { resource })
      expect(reply.json()).to.include({ resource })
    }
    for (const [method, path, json] of [
      ['POST', '/permissions', { key: 'films:watch', resource: 'none' }],
      ['PATCH', `/permissions/${made.id}`, { resource: 'none' }],
    ] as const) {
      const reply = await at.asAdmin(method, path, json)
      expect(problemOf(reply)).to.deep.equal(BAD_REQUEST)
      expect(pointersOf(reply)).to.deep.equal(['/resource'])
    }
    expect(await idOf('films:watch')).to.equal(undefined)
  })

  it('can be created by whoever cannot give them', async () => {
    const { key } = await at.create('/permissions')
    const role = await at.create('/roles')
    const json = { permission: key }
    for (const path of [`/roles/${role.id}/permissions`, `/accounts/${at.admin.id}/permissions`]) {
      const reply = await at.asAdmin('POST', path, json)
      expect(problemOf(reply), path).to.deep.equal(FORBIDDEN)
      expect(reply.text).to.include(key)
      expect((await at.calling(at.root)('POST', path, json)).status).to.equal(201)
    }
  })

  it('that are held are deleted when forced only, and by who holds them', async () => {
    const asRoot = at.calling(at.root)
    const { id, key } = await at.create('/permissions')
    const holder = await at.somebody()
    await asRoot('POST', `/accounts/${holder.id}/permissions`, { permission: key })
    for (const query of ['', '?force=true', '?force=false']) {
      expect(problemOf(await at.asAdmin('DELETE', `/permissions/${id}${query}`))).to.deep.equal(FORBIDDEN)
    }
    const refused = await asRoot('DELETE', `/permissions/${id}`)
    expect(problemOf(refused)).to.deep.equal([409, 'in_use'])
    expect(refused.text).to.include(holder.id)
    expect(problemOf(await asRoot('DELETE', `/permissions/${id}?force=yes`))).to.deep.equal(BAD_REQUEST)
    expect((await asRoot('DELETE', `/permissions/${id}?force=true`)).status).to.equal(204)
    expect(await at.all(`/accounts/${holder.id}/permissions`, 10)).to.deep.equal([])
  })

  it('of every installation stay', async () => {
    for (const key of ['all_all', 'permissions_admin']) {
      const reply = await at.calling(at.root)('DELETE', `/permissions/${await idOf(key)}?force=true`)
      expect(problemOf(reply), key).to.deep.equal([409, 'conflict'])
    }
    const reply = await at.asAdmin('PATCH', `/permissions/${await idOf('all_all')}`, { description: 'Nothing' })
    expect(problemOf(reply)).to.deep.equal(FORBIDDEN)
  })
})
