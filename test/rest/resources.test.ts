/** /api/v1/resources: what permissions are about. */
import { expect } from 'chai'
import { type Administration, BAD_REQUEST, itKeepsACollection, startAdministration } from '../support/administration.ts'
import { pointersOf, problemOf } from '../support/api.ts'

describe('the resources of the API', function () {
  this.timeout(30_000)
  let at: Administration
  before(async function () {
    this.timeout(40_000)
    at = await startAdministration()
  })
  after(() => at?.world.stop())

  itKeepsACollection('/resources', 'resource', () => at)

  it('say whose tokens carry their permissions', async () => {
    const made = await at.create('/resources')
    expect(made).to.include({ audience: null, permissions_claim: false })
    const said = { audience: 'https://films.example/api', permissions_claim: true }
    expect((await at.asAdmin('PATCH', `/resources/${made.id}`, said)).json()).to.deep.include(said)
    const described = await at.asAdmin('PATCH', `/resources/${made.id}`, { description: 'Films' })
    expect(described.json()).to.deep.include({ ...said, description: 'Films' })
    expect((await at.asAdmin('PATCH', `/resources/${made.id}`, { audience: null })).json()).to.include({
      audience: null,
      permissions_claim: true,
    })
    expect(await at.create('/resources', said)).to.deep.include(said)
  })

  it('have an audience that is an absolute URI without a fragment', async () => {
    for (const audience of ['films', '/films', 'https://films.example/#x', '', 'https://films.example/ x', 1, {}]) {
      const reply = await at.asAdmin('POST', '/resources', { key: at.unique('bad'), audience })
      expect(problemOf(reply), String(audience)).to.deep.equal(BAD_REQUEST)
      expect(pointersOf(reply)).to.include('/audience')
    }
  })

  it('stay while permissions belong to them', async () => {
    const { id, key } = await at.create('/resources')
    const permission = await at.create('/permissions', { resource: key })
    const refused = await at.asAdmin('DELETE', `/resources/${id}`)
    expect(problemOf(refused)).to.deep.equal([409, 'in_use'])
    expect(refused.text).to.include(permission.key)
    expect((await at.asAdmin('DELETE', `/permissions/${permission.id}`)).status).to.equal(204)
    expect((await at.asAdmin('DELETE', `/resources/${id}`)).status).to.equal(204)
  })
})
