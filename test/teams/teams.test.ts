import { expect } from 'chai'
import fc from 'fast-check'
import { OPERATOR } from '../../src/audit-event.ts'
import { AppError } from '../../src/errors.ts'
import { uuidv7 } from '../../src/ids.ts'
import { inTransaction } from '../../src/storage/transaction.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'
import { type TeamWorld, teamsOn } from './teams-on.ts'

const NOBODY = '01a1fbc9-bba0-7cd7-b106-413d8ad57f49'
/** A cycle or a tree too deep is one thing, a database that refuses what was worked out another. */
const unlessRefused = (work: Promise<unknown>) =>
  work.catch((error: unknown) => {
    if (!(error instanceof AppError)) throw error
  })
const of = ({ code, status }: AppError) => [status, code]

describe('teams', function () {
  this.timeout(20_000)
  let stores: OpenStores
  let world: TeamWorld
  beforeEach(async () => {
    stores = await openStores()
    world = await teamsOn(stores.db)
  })
  afterEach(() => stores.close())

  /** An account that holds these permissions by itself, as an actor. */
  const holder = async (...permissions: string[]) => {
    const id = await world.account()
    const role = await world.role(`holder-${id}`, permissions)
    await world.access.assignRole(id, role)
    return { id, actor: world.actorOf(id) }
  }

  describe('lie in a tree', () => {
    it('with a parent by key, described and moved', async () => {
      const { teams } = world
      const top = await world.team('top')
      const team = await teams.create(OPERATOR, { key: 'team', description: 'A team', parent: 'top' })
      expect(team).to.include({ key: 'team', description: 'A team', parent: 'top' })
      expect(await teams.find(team.id)).to.deep.equal(team)
      const described = await teams.update(OPERATOR, team.id, { description: 'Ours' })
      expect(described).to.include({ description: 'Ours', parent: 'top' })
      expect(await teams.update(OPERATOR, team.id, { parent: null })).to.include({ description: 'Ours', parent: null })
      await teams.remove(OPERATOR, top.id)
      expect(of(await refusal(teams.find(top.id)))).to.deep.equal([404, 'not_found'])
    })

    it('whose keys are not taken twice, also by rivals', async () => {
      const rivals = await Promise.allSettled(Array.from({ length: 4 }, () => world.team('team')))
      expect(rivals.filter(({ status }) => status === 'fulfilled')).to.have.length(1)
      expect(of(await refusal(world.team('team')))).to.deep.equal([409, 'conflict'])
    })

    it('without a cycle, whoever is moved first', async () => {
      const { teams } = world
      const [a, b] = [await world.team('a'), await world.team('b')]
      const below = await world.team('below', 'a')
      for (const parent of ['a', 'below']) {
        expect(of(await refusal(teams.update(OPERATOR, a.id, { parent })))).to.deep.equal([409, 'cycle'])
      }
      const rivals = await Promise.allSettled([
        teams.update(OPERATOR, a.id, { parent: 'b' }),
        teams.update(OPERATOR, b.id, { parent: 'below' }),
      ])
      expect(rivals.map(({ status }) => status).sort()).to.deep.equal(['fulfilled', 'rejected'])
      const parents = [(await teams.find(a.id)).parent, (await teams.find(b.id)).parent]
      expect(parents.filter((parent) => parent === null)).to.have.length(1)
      expect((await teams.find(below.id)).parent).to.equal('a')
    })

    it('at most five deep, by creation or by moving what has teams below it', async () => {
      const { teams } = world
      for (const [index, key] of ['1', '2', '3', '4'].entries()) await world.team(key, index === 0 ? null : `${index}`)
      const branch = await world.team('branch')
      const leaf = await world.team('leaf', 'branch')
      expect(of(await refusal(teams.update(OPERATOR, branch.id, { parent: '4' })))).to.deep.equal([409, 'conflict'])
      await teams.update(OPERATOR, branch.id, { parent: '3' })
      expect(of(await refusal(world.team('6', 'leaf')))).to.deep.equal([409, 'conflict'])
      expect(await world.store.tree.depthOf(stores.db, leaf.id)).to.equal(5)
    })

    it('refuse a parent and a key that cannot be', async () => {
      const { teams } = world
      const team = await world.team('team')
      for (const bad of [{ key: ' ' }, { key: 'x', parent: 'nowhere' }, { key: 'x', description: 'a\nb' }]) {
        expect(of(await refusal(teams.create(OPERATOR, bad))), JSON.stringify(bad)).to.deep.equal([400, 'bad_request'])
      }
      const error = await refusal(teams.update(OPERATOR, team.id, { parent: 'nowhere' }))
      expect(error.faults[0]?.pointer).to.equal('/parent')
      for (const id of [NOBODY, 'x']) {
        for (const work of [
          () => teams.find(id),
          () => teams.update(OPERATOR, id, {}),
          () => teams.remove(OPERATOR, id),
        ]) {
          expect(of(await refusal(work()))).to.deep.equal([404, 'not_found'])
        }
      }
    })

    it('are searched by the beginning of their keys, in pages', async () => {
      for (const key of ['ops', 'Ops-eu', 'ops-us', 'other']) await world.team(key)
      const first = await world.teams.list({ search: 'OPS', limit: 2 })
      expect(first.items.map(({ key }) => key)).to.deep.equal(['ops', 'Ops-eu'])
      const after = { text: String(first.next?.[0]), id: String(first.next?.[1]) }
      const second = await world.teams.list({ search: 'ops', limit: 2, after })
      expect(second).to.deep.include({ next: undefined })
      expect(second.items.map(({ key }) => key)).to.deep.equal(['ops-us'])
    })

    it('know everything above them, whatever is moved where', async () => {
      const names = Array.from({ length: 7 }, (_, index) => `t${index}`)
      const moves = fc.array(fc.tuple(fc.nat(6), fc.option(fc.nat(6))), { maxLength: 15 })
      await fc.assert(
        fc.asyncProperty(moves, async (list) => {
          await stores.db.deleteFrom('teams').execute()
          const ids = new Map<string, string>()
          for (const key of names) ids.set(key, (await world.team(key)).id)
          for (const [moved, parent] of list) {
            const to = parent === null ? null : `t${parent}`
            await unlessRefused(world.teams.update(OPERATOR, ids.get(`t${moved}`) ?? '', { parent: to }))
          }
          const rows = await stores.db.selectFrom('teams').select(['id', 'parent_id']).execute()
          const parentOf = new Map(rows.map((row) => [row.id, row.parent_id]))
          const chain = (id: string | null | undefined): string[] => (id ? [id, ...chain(parentOf.get(id))] : [])
          const naive = rows.flatMap(({ id }) => chain(id).map((above) => `${id} ${above}`))
          const links = await stores.db.selectFrom('team_closure').selectAll().execute()
          expect(links.map((link) => `${link.team_id} ${link.ancestor_id}`).sort()).to.deep.equal(naive.sort())
          for (const { id } of rows) expect(chain(id).length).to.be.at.most(5)
        }),
        { numRuns: 12 },
      )
    })
  })

  describe('reach', () => {
    it('their members and those of the teams below, and nobody else', async () => {
      const { teams } = world
      const [top, low] = [await world.team('top'), await world.team('low', 'top')]
      await world.team('aside')
      await teams.addRole(OPERATOR, top.id, await world.role('reader', ['read']))
      await teams.addRole(OPERATOR, low.id, await world.role('writer', ['write']))
      const [above, below, aside] = [await world.account(), await world.account(), await world.account()]
      await teams.addMember(OPERATOR, top.id, { accountId: above })
      await teams.addMember(OPERATOR, low.id, { accountId: below })
      await teams.addMember(OPERATOR, (await teams.findByKey('aside'))?.id ?? '', { accountId: aside })
      expect(await world.held(above)).to.deep.equal(['read'])
      expect(await world.held(below)).to.deep.equal(['read', 'write'])
      expect(await world.held(aside)).to.deep.equal([])
      await teams.update(OPERATOR, low.id, { parent: 'aside' })
      expect(await world.held(below)).to.deep.equal(['write'])
      await teams.remove(OPERATOR, low.id, { force: true })
      expect(await world.held(below)).to.deep.equal([])
    })

    it('with what other processes must forget: every team below, and every member that comes or goes', async () => {
      const { teams } = world
      const [top, low] = [await world.team('top'), await world.team('low', 'top')]
      const role = await world.role('reader', ['read'])
      const account = await world.account()
      const both = [`team ${top.id}`, `team ${low.id}`].sort()
      const { role: given } = await teams.addRole(OPERATOR, top.id, role)
      expect(await world.touched()).to.deep.equal(both)
      await teams.removeRole(OPERATOR, top.id, given.id)
      expect(await world.touched()).to.deep.equal(both)
      await teams.addMember(OPERATOR, low.id, { accountId: account })
      expect(await world.touched()).to.deep.equal([`account ${account}`])
      await teams.update(OPERATOR, top.id, { description: 'The same rights as before' })
      expect(await world.touched()).to.deep.equal([])
      await world.team('roof')
      await teams.update(OPERATOR, top.id, { parent: 'roof' })
      expect(await world.touched()).to.deep.equal(both)
      await teams.remove(OPERATOR, low.id, { force: true })
      expect(await world.touched()).to.deep.equal([`account ${account}`, `team ${low.id}`])
    })
  })

  describe('have members', () => {
    it('added once, also by rivals, and made managers', async () => {
      const { teams } = world
      const team = await world.team('team')
      const accountId = await world.account()
      const rivals = await Promise.all(
        Array.from({ length: 4 }, () => teams.addMember(OPERATOR, team.id, { accountId })),
      )
      expect(rivals.filter(({ isNew }) => isNew)).to.have.length(1)
      expect(await teams.manages(accountId, team.id)).to.equal(false)
      const { isNew, member } = await teams.addMember(OPERATOR, team.id, { accountId, isManager: true })
      expect([isNew, member.isManager]).to.deep.equal([false, true])
      expect((await teams.addMember(OPERATOR, team.id, { accountId })).member.isManager, 'left out').to.equal(true)
      expect(await teams.manages(accountId, team.id)).to.equal(true)
      await teams.removeMember(OPERATOR, team.id, accountId)
      expect(await teams.manages(accountId, team.id)).to.equal(false)
      expect(of(await refusal(teams.removeMember(OPERATOR, team.id, accountId)))).to.deep.equal([404, 'not_found'])
      const actions = (await world.events(team.id)).map(({ action }) => action)
      expect(actions).to.deep.equal([
        ...['team.created', 'team.member_added', 'team.member_changed', 'team.member_removed'],
      ])
    })

    it('that are accounts', async () => {
      const team = await world.team('team')
      const error = await refusal(world.teams.addMember(OPERATOR, team.id, { accountId: NOBODY }))
      expect([...of(error), error.faults[0]?.pointer]).to.deep.equal([400, 'bad_request', '/account_id'])
      expect(of(await refusal(world.teams.removeMember(OPERATOR, team.id, 'x')))).to.deep.equal([404, 'not_found'])
    })

    it('whose managers manage neither the teams below nor, once disabled, anything', async () => {
      const { teams } = world
      const [top, low] = [await world.team('top'), await world.team('low', 'top')]
      const accountId = await world.account()
      await teams.addMember(OPERATOR, top.id, { accountId, isManager: true })
      expect([await teams.manages(accountId, top.id), await teams.manages(accountId, low.id)]).to.deep.equal([
        true,
        false,
      ])
      expect([await teams.manages('x', top.id), await teams.manages(accountId, 'x')]).to.deep.equal([false, false])
      await stores.db.updateTable('accounts').set({ status: 'disabled' }).where('id', '=', accountId).execute()
      expect(await teams.manages(accountId, top.id)).to.equal(false)
    })

    it('in the order of their accounts, in pages', async () => {
      const team = await world.team('team')
      const ids = [await world.account(), await world.account(), await world.account()]
      for (const accountId of ids.toReversed()) await world.teams.addMember(OPERATOR, team.id, { accountId })
      const { items, next } = await world.teams.members(team.id, { limit: 2 })
      expect(items.map(({ accountId }) => accountId)).to.deep.equal(ids.slice(0, 2))
      const rest = await world.teams.members(team.id, { limit: 2, after: String(next?.[0]) })
      expect(rest.items.map(({ accountId }) => accountId)).to.deep.equal(ids.slice(2))
      expect(rest.next).to.equal(undefined)
    })
  })

  describe('give nothing away that the actor does not hold', () => {
    it('not by a role, nor do they let it be taken', async () => {
      const { teams } = world
      const team = await world.team('team')
      const role = await world.role('deleter', ['delete'])
      const [weak, strong] = [await holder('teams_admin'), await holder('teams_admin', 'delete')]
      const error = await refusal(teams.addRole(weak.actor, team.id, role))
      expect([...of(error), error.faults[0]?.message]).to.deep.equal([403, 'forbidden', 'you do not hold delete'])
      expect(of(await refusal(teams.addRole(strong.actor, team.id, 'superuser')))).to.deep.equal([403, 'forbidden'])
      const given = await teams.addRole(strong.actor, team.id, role)
      expect(given.isNew).to.equal(true)
      expect(of(await refusal(teams.removeRole(weak.actor, team.id, given.role.id)))).to.deep.equal([403, 'forbidden'])
      await teams.removeRole(strong.actor, team.id, given.role.id)
      expect(await world.store.roles(stores.db, team.id)).to.deep.equal([])
    })

    it('not by a role with roles in it', async () => {
      await world.role('inner', ['delete'])
      await world.access.ensureRole({ key: 'outer', includes: ['inner'] })
      const team = await world.team('team')
      const weak = await holder('teams_admin')
      expect(of(await refusal(world.teams.addRole(weak.actor, team.id, 'outer')))).to.deep.equal([403, 'forbidden'])
    })

    it('not by a member, also of a team below, and also by a manager', async () => {
      const { teams } = world
      const [top, low] = [await world.team('top'), await world.team('low', 'top')]
      const [weak, somebody] = [await holder('teams_admin'), await world.account()]
      await teams.addMember(OPERATOR, low.id, { accountId: somebody, isManager: true })
      await teams.addRole(OPERATOR, top.id, await world.role('deleter', ['delete']))
      for (const team of [top, low]) {
        for (const accountId of [weak.id, somebody]) {
          const add = teams.addMember(weak.actor, team.id, { accountId, isManager: false })
          expect(of(await refusal(add))).to.deep.equal([403, 'forbidden'])
        }
      }
      expect(of(await refusal(teams.removeMember(weak.actor, low.id, somebody)))).to.deep.equal([403, 'forbidden'])
      const another = await world.account()
      await teams.addMember(world.actorOf(somebody), low.id, { accountId: another })
      expect(await world.held(another), 'a member holds it and may give it').to.deep.equal(['delete'])
    })

    it('not by a move, to or from what holds more', async () => {
      const { teams } = world
      const [rich, team] = [await world.team('rich'), await world.team('team')]
      await teams.addRole(OPERATOR, rich.id, await world.role('deleter', ['delete']))
      const [weak, strong] = [await holder('teams_admin'), await holder('teams_admin', 'delete')]
      const move = (actor: typeof OPERATOR, parent: string | null) => teams.update(actor, team.id, { parent })
      expect(of(await refusal(move(weak.actor, 'rich')))).to.deep.equal([403, 'forbidden'])
      expect((await move(strong.actor, 'rich')).parent).to.equal('rich')
      expect(of(await refusal(move(weak.actor, null)))).to.deep.equal([403, 'forbidden'])
      await teams.addMember(OPERATOR, team.id, { accountId: await world.account() })
      expect(of(await refusal(teams.remove(weak.actor, team.id, { force: true })))).to.deep.equal([403, 'forbidden'])
      await teams.remove(strong.actor, team.id, { force: true })
    })
  })

  it('have no role that everybody or nobody has', async () => {
    const team = await world.team('team')
    for (const key of ['user', 'non_registered']) {
      expect(of(await refusal(world.teams.addRole(OPERATOR, team.id, key)))).to.deep.equal([409, 'conflict'])
    }
    expect(of(await refusal(world.teams.addRole(OPERATOR, team.id, 'nothing')))).to.deep.equal([400, 'bad_request'])
    expect(of(await refusal(world.teams.removeRole(OPERATOR, team.id, uuidv7())))).to.deep.equal([404, 'not_found'])
  })

  it('stay while they are used, and go by force but for the teams below', async () => {
    const { teams } = world
    const [top, low] = [await world.team('top'), await world.team('low', 'top')]
    await teams.addMember(OPERATOR, low.id, { accountId: await world.account() })
    for (const options of [{}, { force: true }]) {
      expect(of(await refusal(teams.remove(OPERATOR, top.id, options)))).to.deep.equal([409, 'in_use'])
    }
    expect(of(await refusal(teams.remove(OPERATOR, low.id)))).to.deep.equal([409, 'in_use'])
    await teams.remove(OPERATOR, low.id, { force: true })
    await teams.addRole(OPERATOR, top.id, await world.role('reader', ['read']))
    expect(of(await refusal(teams.remove(OPERATOR, top.id)))).to.deep.equal([409, 'in_use'])
    await teams.remove(OPERATOR, top.id, { force: true })
    const [event] = (await world.events(top.id)).toReversed()
    expect(event).to.deep.include({ action: 'team.deleted', actor_kind: 'operator' })
    expect(event?.before).to.include({ key: 'top', members: 0, roles: 1 })
  })

  it('become what a file describes, and then stay so', async () => {
    const { teams } = world
    const [one, other] = [await world.account(), await world.account()]
    for (const key of ['reader', 'writer']) await world.role(key, [key])
    const top = { key: 'top', description: 'Top', roles: ['reader'] }
    const low = { key: 'low', parent: 'top', roles: ['writer'], members: [{ accountId: one, isManager: true }] }
    expect([await teams.ensure(top), await teams.ensure(low)]).to.deep.equal(['created', 'created'])
    expect([await teams.ensure(top), await teams.ensure(low)]).to.deep.equal(['unchanged', 'unchanged'])
    expect(await teams.ensure({ key: 'low' }), 'nothing said').to.equal('unchanged')
    expect(await teams.ensure({ ...low, members: [{ accountId: other }] })).to.equal('changed')
    expect(await teams.ensure({ ...low, roles: [] })).to.equal('changed')
    expect(await teams.ensure({ key: 'low', parent: null })).to.equal('changed')
    expect((await teams.all()).map(({ key, parent, roles }) => [key, parent, roles])).to.deep.equal([
      ['low', null, []],
      ['top', null, ['reader']],
    ])
    expect(of(await refusal(teams.ensure({ key: 'low', roles: ['nothing'] })))).to.deep.equal([400, 'bad_request'])
    const takenBack = inTransaction(stores.db, async (executor) => {
      expect(await teams.ensure({ key: 'rehearsed', roles: ['reader'] }, executor)).to.equal('created')
      throw new Error('dry run')
    })
    await takenBack.catch(() => undefined)
    expect(await teams.findByKey('rehearsed')).to.equal(undefined)
  })

  it('answer nothing while the database does not', async () => {
    const lost = await lostDatabase()
    const blind = (await import('../../src/teams/team-store.ts')).createTeamStore()
    expect(of(await refusal(blind.findByKey(lost.db, 'x')))).to.deep.equal([503, 'temporarily_unavailable'])
    await lost.close()
  })
})
