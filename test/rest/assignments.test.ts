/** /api/v1/accounts/{id}/roles and …/permissions: what accounts are given. */
import { expect } from 'chai'
import {
  type Administration,
  BAD_REQUEST,
  FORBIDDEN,
  letsIn,
  NOBODY,
  NOT_FOUND,
  type Page,
  refuseBadQueries,
  startAdministration,
  UNAUTHENTICATED,
} from '../support/administration.ts'
import { createApi, pointersOf, problemOf } from '../support/api.ts'
import { PASSWORD, type TokenResponse } from '../support/code-flow.ts'
import { postgresUrl } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import { createFaultProxy } from '../support/fault-proxy.ts'
import type { Person } from '../support/people.ts'
import { startWorld } from '../support/world.ts'

const LINKS = [
  { links: 'roles', member: 'role', own: 'editor', beyond: 'remover', all: 'superuser' },
  { links: 'permissions', member: 'permission', own: 'movies:edit', beyond: 'movies:delete', all: 'all_all' },
] as const

describe('what accounts are given over the API', function () {
  this.timeout(30_000)
  let at: Administration
  before(async function () {
    this.timeout(40_000)
    at = await startAdministration()
  })
  after(() => at?.world.stop())

  const idOf = async (links: string, key: string) =>
    (await at.all(`/${links}?search=${key}`, 100)).find((item) => item.key === key)?.id ?? ''
  const keysOf = async (path: string) => (await at.all(path, 1)).map(({ key }) => key)

  for (const { links, member, own, beyond, all } of LINKS) {
    const pathOf = (id: string) => `/accounts/${id}/${links}`
    const give = (id: string, key: string, as: Person = at.admin) =>
      at.calling(as)('POST', pathOf(id), { [member]: key })

    describe(links, () => {
      it('are for administrators of permissions; administrators of accounts read them, and their owner', async () => {
        const hr = await at.somebody('hr')
        const routes = [
          ['POST', pathOf(NOBODY)],
          ['DELETE', `${pathOf(NOBODY)}/${NOBODY}`],
        ] as const
        await letsIn(at, routes, [at.nobody, at.others, hr])
        await letsIn(at, [['GET', pathOf(NOBODY)]], [at.nobody, at.others])
        expect((await at.api('GET', pathOf(at.nobody.id), { bearer: hr.bearer })).status).to.equal(200)
        expect((await at.api('GET', pathOf(at.nobody.id), { bearer: at.nobody.bearer })).status).to.equal(200)
        expect(problemOf(await at.api('GET', pathOf(hr.id), { bearer: at.nobody.bearer }))).to.deep.equal(FORBIDDEN)
        const { nobody } = at
        expect(problemOf(await give(nobody.id, own, nobody))).to.deep.equal(FORBIDDEN)
        expect(problemOf(await at.api('GET', pathOf(nobody.id)))).to.deep.equal(UNAUTHENTICATED)
      })

      it('are given once and taken once, and recorded', async () => {
        const { id } = await at.somebody()
        const given = await give(id, own)
        expect(given.status, given.text).to.equal(201)
        expect(given.json()).to.include({ key: own })
        const again = await give(id, own)
        expect([again.status, again.json()]).to.deep.equal([200, given.json()])
        const listed = (await at.asAdmin('GET', pathOf(id))).json<Page<object>>()
        expect(listed).to.deep.equal({ items: [given.json()], next_cursor: null })
        const cut = `${pathOf(id)}/${given.json<{ id: string }>().id}`
        expect((await at.asAdmin('DELETE', cut)).status).to.equal(204)
        expect(problemOf(await at.asAdmin('DELETE', cut))).to.deep.equal(NOT_FOUND)
        expect(await keysOf(pathOf(id))).to.deep.equal([])
        const events = await at.eventsOf(id)
        expect(events.slice(-2).map(({ action, before, after }) => [action, before, after])).to.deep.equal(
          links === 'roles'
            ? [
                ['account.role_assigned', null, { role: own }],
                ['account.role_removed', { role: own }, null],
              ]
            : [
                ['account.permission_given', null, { permission: own }],
                ['account.permission_taken', { permission: own }, null],
              ],
        )
      })

      it('beyond the administrator are neither given nor taken, to himself or to others', async () => {
        const { id } = await at.somebody()
        for (const key of [beyond, all]) {
          for (const account of [at.admin.id, id]) {
            const reply = await give(account, key)
            expect(problemOf(reply), `${key}`).to.deep.equal(FORBIDDEN)
            expect(reply.text).to.match(/you do not hold (all_all|movies:delete)/)
          }
        }
        expect((await give(id, beyond, at.root)).status).to.equal(201)
        const cut = `${pathOf(id)}/${await idOf(links, beyond)}`
        expect(problemOf(await at.asAdmin('DELETE', cut))).to.deep.equal(FORBIDDEN)
        expect(problemOf(await give(id, own)), 'the account holds more now').to.deep.equal(FORBIDDEN)
        expect(problemOf(await give(at.root.id, own))).to.deep.equal(FORBIDDEN)
        expect(await keysOf(pathOf(id))).to.deep.equal([beyond])
        expect((await at.calling(at.root)('DELETE', cut)).status).to.equal(204)
      })

      it('of nobody and to nobody are not found; what is malformed has a pointer', async () => {
        const { id } = await at.somebody()
        for (const account of [NOBODY, 'x', '%00']) {
          expect(problemOf(await at.asAdmin('GET', pathOf(account)))).to.deep.equal(NOT_FOUND)
          expect(problemOf(await give(account, own))).to.deep.equal(NOT_FOUND)
          expect(problemOf(await at.asAdmin('DELETE', `${pathOf(id)}/${account}`))).to.deep.equal(NOT_FOUND)
        }
        for (const json of [{}, { [member]: 'none' }, { [member]: 1 }, { [member]: '' }]) {
          const reply = await at.asAdmin('POST', pathOf(id), json)
          expect(problemOf(reply), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
          expect(pointersOf(reply)).to.include(`/${member}`)
        }
        await refuseBadQueries((query) => at.asAdmin('GET', `${pathOf(id)}?${query}`))
      })

      it('are listed by pages that neither repeat nor skip', async () => {
        const { id } = await at.somebody()
        const prefix = at.unique('Given')
        const keys: string[] = []
        for (const end of ['b', 'a', 'C']) {
          const { key } = await at.create(`/${links}`, { key: `${prefix}.${end}` })
          await give(id, key, at.root)
          keys.push(key)
        }
        await give(id, own, at.root)
        expect(await keysOf(`${pathOf(id)}?search=${prefix}`)).to.deep.equal([1, 0, 2].map((place) => keys[place]))
        expect(await keysOf(pathOf(id))).to.have.lengthOf(4)
      })

      it('given by many at once are given once', async () => {
        const { id } = await at.somebody()
        const rivals = await Promise.all(
          Array.from({ length: 6 }, (_, place) =>
            (place % 2 ? at.api : at.another)('POST', pathOf(id), { bearer: at.admin.bearer, json: { [member]: own } }),
          ),
        )
        expect(rivals.map(({ status }) => status).sort()).to.deep.equal([200, 200, 200, 200, 200, 201])
      })
    })
  }

  it('takes effect on the next request to the same server and soon on every other, and so does its end', async () => {
    const { id, bearer } = await at.somebody()
    const mayList = (call = at.api) => call('GET', '/permissions', { bearer }).then(({ status }) => status)
    const asRoot = at.calling(at.root)
    /** The news is on its way when the answer leaves. */
    const isSoonEverywhere = async (status: number) => {
      expect(await mayList()).to.equal(status)
      await until(async () => (await mayList(at.another)) === status)
    }
    expect([await mayList(), await mayList(at.another)]).to.deep.equal([403, 403])
    for (let round = 0; round < 5; round += 1) {
      await asRoot('POST', `/accounts/${id}/permissions`, { permission: 'permissions_admin' })
      await isSoonEverywhere(200)
      await asRoot('DELETE', `/accounts/${id}/permissions/${await idOf('permissions', 'permissions_admin')}`)
      await isSoonEverywhere(403)
    }
  })

  it('keeps the last superuser, and gives nobody what everybody or nobody has', async () => {
    const superuser = await idOf('roles', 'superuser')
    const first = await at.world.core.accounts.findByLogin('admin@example.org')
    const asRoot = at.calling(at.root)
    expect((await asRoot('DELETE', `/accounts/${first?.id}/roles/${superuser}`)).status).to.equal(204)
    const last = await asRoot('DELETE', `/accounts/${at.root.id}/roles/${superuser}`)
    expect(problemOf(last)).to.deep.equal([409, 'conflict'])
    for (const role of ['user', 'non_registered']) {
      expect(problemOf(await asRoot('POST', `/accounts/${at.nobody.id}/roles`, { role }))).to.deep.equal([
        409,
        'conflict',
      ])
    }
  })

  it('answers 503 while the database does not, and has given nothing', async function () {
    this.timeout(60_000)
    const proxy = await createFaultProxy(postgresUrl())
    const world = await startWorld({ databaseUrl: proxy.url })
    try {
      const { accounts, access } = world.core
      const { id, email } = await accounts.create({
        email: 'root@example.org',
        password: PASSWORD,
        emailVerified: true,
      })
      await access.assignRole(id, 'superuser')
      await access.ensureRole({ key: 'editor' })
      const api = createApi(world)
      const session = await api('POST', '/session', { json: { login: email, password: PASSWORD } })
      const { access_token: bearer } = session.json<TokenResponse>()
      const assign = () => api('POST', `/accounts/${id}/roles`, { bearer, json: { role: 'editor' } })
      await proxy.refuse()
      const refused = await assign()
      expect(problemOf(refused)).to.deep.equal([503, 'temporarily_unavailable'])
      expect(Number(refused.headers['retry-after'])).to.be.at.least(1)
      expect(await access.rolesOf(id)).to.deep.equal(['superuser', 'user'])
      await proxy.heal()
      expect((await assign()).status).to.equal(201)
    } finally {
      await proxy.heal()
      await world.stop()
      await proxy.close()
    }
  })
})
