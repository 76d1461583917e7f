import { expect } from 'chai'
import fc from 'fast-check'
import { createAccessChanges } from '../../src/access/access-change.ts'
import { createAccessChangeStore } from '../../src/access/access-change-store.ts'
import { createFreshness } from '../../src/access/freshness.ts'
import { createFreshnessStore } from '../../src/access/freshness-store.ts'
import { createAuditStore } from '../../src/audit/audit-store.ts'
import { OPERATOR } from '../../src/audit-event.ts'
import { systemClock } from '../../src/clock.ts'
import { AppError } from '../../src/errors.ts'
import { uuidv7 } from '../../src/ids.ts'
import type { Database } from '../../src/storage/tables.ts'
import { inTransaction } from '../../src/storage/transaction.ts'
import { createVisibility, type Visibility } from '../../src/visibility/visibility.ts'
import { isVisible, LEVELS, type Level } from '../../src/visibility/visibility-decision.ts'
import { createVisibilityStore } from '../../src/visibility/visibility-store.ts'
import { freshPglite } from '../support/database.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const NOBODY = '01a1fbc9-bba0-7cd7-b106-413d8ad57f49'
/** A cycle or a tree too deep is one thing, a database that refuses what was worked out another. */
const unlessRefused = (work: Promise<unknown>) =>
  work.catch((error: unknown) => {
    if (!(error instanceof AppError)) throw error
  })
const of = ({ code, status }: AppError) => [status, code]

/** Processes over one database that tell each other of what is new, as over Redis. */
function processes(clock = systemClock) {
  const listeners: (() => void)[] = []
  const announce = () => {
    for (const listener of listeners) listener()
  }
  return (db: Database): Visibility => {
    const freshness = createFreshness({
      db,
      store: createFreshnessStore(),
      clock,
      onAnnouncement: (listener) => void listeners.push(listener),
    })
    const { insert: audit } = createAuditStore()
    const changes = createAccessChanges({ db, store: createAccessChangeStore(), audit, announce })
    return createVisibility({ db, changes, store: createVisibilityStore(), freshness })
  }
}

describe('the visibility decision', () => {
  it('is that of a walk up the tree, for any tree, any places and any level', () => {
    const scene = fc.record({
      parents: fc.array(fc.nat(1_000), { minLength: 1, maxLength: 15 }),
      places: fc.tuple(fc.nat(1_000), fc.nat(1_000)),
      level: fc.constantFrom(...LEVELS),
      isSame: fc.boolean(),
    })
    fc.assert(
      fc.property(scene, ({ parents, places, level, isSame }) => {
        const size = parents.length
        const parentOf = (group: number) => (group === 0 ? undefined : (parents[group] ?? 0) % group)
        const [at, ownerAt] = [places[0] % size, places[1] % size]
        const up: number[] = []
        for (let group: number | undefined = at; group !== undefined; group = parentOf(group)) up.push(group)
        const viewer = { accountId: 'viewer', groupId: `${at}`, chain: new Set(up.map(String)) }
        const owner = isSame ? viewer : { accountId: 'owner', groupId: `${ownerAt}` }
        const naive = {
          owner: isSame,
          group: isSame || at === ownerAt,
          group_and_below: isSame || up.includes(ownerAt),
          everyone: true,
        }
        expect(isVisible(level, viewer, owner)).to.equal(naive[level])
      }),
    )
  })
})

describe('visibility groups', function () {
  this.timeout(20_000)
  let stores: OpenStores
  let visibility: Visibility
  let another: Visibility
  beforeEach(async () => {
    stores = await openStores()
    const start = processes()
    visibility = start(stores.db)
    another = start(stores.db)
  })
  afterEach(() => stores.close())

  const account = async (): Promise<string> => {
    const id = uuidv7()
    const json = JSON.stringify({})
    await stores.db
      .insertInto('accounts')
      .values({ id, email: `${id}@example.org`, profile: json, attributes: json })
      .execute()
    return id
  }
  const group = (key: string, parent?: string) => visibility.create(OPERATOR, { key, parent })
  const idOf = async (key: string): Promise<string> => (await visibility.findByKey(key))?.id ?? ''
  const accountIn = async (key: string): Promise<string> => {
    const id = await account()
    await visibility.putMember(OPERATOR, await idOf(key), id)
    return id
  }
  const decide = (viewer: string, owner: string, level: Level) => visibility.decide({ viewer, owner, level })

  describe('begin', () => {
    it('with one root, however many servers begin at once', async () => {
      const rivals = await Promise.all([visibility, another, visibility, another].map((one) => one.initialize()))
      expect(rivals.flatMap(({ created }) => created)).to.deep.equal(['root'])
      expect(await visibility.initialize()).to.deep.equal({ created: [] })
      expect((await visibility.all()).map(({ key, parent }) => [key, parent])).to.deep.equal([['root', null]])
    })

    it('with a root that nobody has made', async () => {
      expect((await visibility.list({ limit: 5 })).items.map(({ key }) => key)).to.deep.equal(['root'])
      expect((await group('below')).parent).to.equal('root')
    })

    it('with a root that stays', async () => {
      const [root] = await visibility.all()
      await group('below')
      const id = root?.id ?? ''
      for (const work of [
        () => visibility.update(OPERATOR, id, { parent: 'below' }),
        () => visibility.update(OPERATOR, id, { parent: 'root' }),
        () => visibility.remove(OPERATOR, id, { force: true }),
        () => visibility.ensure({ key: 'root', parent: 'below' }),
        () => group('root'),
      ]) {
        expect(of(await refusal(work()))).to.deep.equal([409, 'conflict'])
      }
      expect((await visibility.update(OPERATOR, id, { description: 'Us' })).description).to.equal('Us')
    })
  })

  describe('lie in a tree', () => {
    it('without a cycle, whichever of two opposite moves comes first', async () => {
      const [a, b] = [await group('a'), await group('b')]
      expect(of(await refusal(visibility.update(OPERATOR, a.id, { parent: 'a' })))).to.deep.equal([409, 'cycle'])
      const rivals = await Promise.allSettled([
        visibility.update(OPERATOR, a.id, { parent: 'b' }),
        another.update(OPERATOR, b.id, { parent: 'a' }),
      ])
      expect(rivals.map(({ status }) => status).sort()).to.deep.equal(['fulfilled', 'rejected'])
    })

    it('at most sixteen deep', async () => {
      for (let depth = 2; depth <= 16; depth += 1) await group(`g${depth}`, depth === 2 ? 'root' : `g${depth - 1}`)
      expect(of(await refusal(group('g17', 'g16')))).to.deep.equal([409, 'conflict'])
      const aside = await group('aside')
      await group('below', 'aside')
      const move = visibility.update(OPERATOR, aside.id, { parent: 'g15' })
      expect(of(await refusal(move))).to.deep.equal([409, 'conflict'])
      expect((await visibility.update(OPERATOR, aside.id, { parent: 'g14' })).parent).to.equal('g14')
    })

    it('refuse what cannot be', async () => {
      expect(of(await refusal(group('x', 'nowhere')))).to.deep.equal([400, 'bad_request'])
      expect(of(await refusal(group('x y')))).to.deep.equal([400, 'bad_request'])
      await group('x')
      expect(of(await refusal(group('x')))).to.deep.equal([409, 'conflict'])
      const works = [
        () => visibility.find(NOBODY),
        () => visibility.update(OPERATOR, 'x', {}),
        () => visibility.remove(OPERATOR, ''),
      ]
      for (const work of works) expect(of(await refusal(work()))).to.deep.equal([404, 'not_found'])
    })

    it('and the decision is that of a walk up it, in every process, whatever was moved meanwhile', async () => {
      const keys = Array.from({ length: 6 }, (_, index) => `g${index}`)
      await visibility.initialize()
      const people = new Map<string, string>()
      for (const key of keys) {
        await group(key)
        people.set(key, await accountIn(key))
      }
      people.set('root', await account())
      const moves = fc.array(fc.tuple(fc.nat(5), fc.nat(6)), { minLength: 1, maxLength: 5 })
      await fc.assert(
        fc.asyncProperty(moves, async (list) => {
          for (const [moved, to] of list) {
            const parent = keys[to] ?? 'root'
            await unlessRefused(visibility.update(OPERATOR, await idOf(`g${moved}`), { parent }))
          }
          const all = await visibility.all()
          const parentOf = new Map(all.map(({ key, parent }) => [key, parent]))
          const chain = (key: string | null | undefined): string[] => (key ? [key, ...chain(parentOf.get(key))] : [])
          const keyOf = new Map(all.map(({ id, key }) => [id, key]))
          const links = await stores.db.selectFrom('visibility_closure').selectAll().execute()
          const stored = links.map((link) => `${keyOf.get(link.group_id)} ${keyOf.get(link.ancestor_id)}`)
          const naive = all.flatMap(({ key }) => chain(key).map((above) => `${key} ${above}`))
          expect(stored.sort()).to.deep.equal(naive.sort())
          for (const [at, viewer] of people) {
            for (const [ownerAt, owner] of people) {
              const isSeen = await another.decide({ viewer, owner, level: 'group_and_below' })
              expect(isSeen, `${at} looks at ${ownerAt}`).to.equal(chain(at).includes(ownerAt))
            }
          }
        }),
        { numRuns: 6 },
      )
    })
  })

  it('are kept by the embedded database as well', async () => {
    const embedded = await freshPglite()
    const here = processes()(embedded.db)
    const a = await here.create(OPERATOR, { key: 'a' })
    await here.create(OPERATOR, { key: 'b', parent: 'a' })
    await here.create(OPERATOR, { key: 'c' })
    expect(of(await refusal(here.update(OPERATOR, a.id, { parent: 'b' })))).to.deep.equal([409, 'cycle'])
    expect((await here.update(OPERATOR, a.id, { parent: 'c' })).parent).to.equal('c')
    expect(await createVisibilityStore().tree.heightOf(embedded.db, a.id)).to.equal(2)
    await embedded.close()
  })

  describe('have members', () => {
    it('each in exactly one of them, and in the root unless put elsewhere', async () => {
      const [a, b] = [await group('a'), await group('b', 'a')]
      const id = await account()
      const root = await idOf('root')
      expect((await visibility.members(root, { limit: 5 })).items).to.deep.equal([{ accountId: id, createdAt: null }])
      const put = (groupId: string) => visibility.putMember(OPERATOR, groupId, id)
      expect([(await put(a.id)).isNew, (await put(a.id)).isNew, (await put(b.id)).isNew]).to.deep.equal([
        true,
        false,
        true,
      ])
      expect((await visibility.members(a.id, { limit: 5 })).items).to.deep.equal([])
      expect((await visibility.members(b.id, { limit: 5 })).items.map(({ accountId }) => accountId)).to.deep.equal([id])
      expect((await visibility.members(root, { limit: 5 })).items).to.deep.equal([])
      expect(of(await refusal(visibility.takeOutMember(OPERATOR, a.id, id)))).to.deep.equal([404, 'not_found'])
      await visibility.takeOutMember(OPERATOR, b.id, id)
      expect(of(await refusal(visibility.takeOutMember(OPERATOR, root, id)))).to.deep.equal([409, 'conflict'])
      expect((await put(root)).isNew, 'already there').to.equal(false)
      await put(a.id)
      expect((await put(root)).isNew).to.equal(true)
      expect(of(await refusal(visibility.putMember(OPERATOR, a.id, NOBODY)))).to.deep.equal([400, 'bad_request'])
      const events = await stores.db.selectFrom('audit_events').selectAll().where('target_id', '=', b.id).execute()
      expect(events.map(({ action }) => action).sort()).to.deep.equal([
        'visibility_group.created',
        'visibility_group.member_added',
        'visibility_group.member_removed',
      ])
    })

    it('put there once by rivals', async () => {
      const { id } = await group('a')
      const somebody = await account()
      const rivals = await Promise.all(
        [visibility, another, visibility, another].map((one) => one.putMember(OPERATOR, id, somebody)),
      )
      expect(rivals.filter(({ isNew }) => isNew)).to.have.length(1)
    })

    it('in the order of their accounts, in pages, also those of the root', async () => {
      const ids = [await account(), await account(), await account()]
      const root = await idOf('root')
      const { items, next } = await visibility.members(root, { limit: 2 })
      const rest = await visibility.members(root, { limit: 2, after: String(next?.[0]) })
      expect([...items, ...rest.items].map(({ accountId }) => accountId)).to.deep.equal(ids)
      expect(rest.next).to.equal(undefined)
    })
  })

  it('stay while they are used; by force their members go to the one above', async () => {
    const [a, b] = [await group('a'), await group('b', 'a')]
    const member = await accountIn('b')
    expect(of(await refusal(visibility.remove(OPERATOR, a.id, { force: true })))).to.deep.equal([409, 'in_use'])
    expect(of(await refusal(visibility.remove(OPERATOR, b.id)))).to.deep.equal([409, 'in_use'])
    const colleague = await accountIn('a')
    expect(await decide(colleague, member, 'group'), 'remembered').to.equal(false)
    await visibility.remove(OPERATOR, b.id, { force: true })
    expect((await visibility.members(a.id, { limit: 5 })).items.map(({ accountId }) => accountId)).to.have.members([
      member,
      colleague,
    ])
    expect(await decide(colleague, member, 'group')).to.equal(true)
    await visibility.remove(OPERATOR, a.id, { force: true })
    expect(await stores.db.selectFrom('visibility_members').selectAll().execute()).to.deep.equal([])
    expect(await another.decide({ viewer: member, owner: await account(), level: 'group' })).to.equal(true)
  })

  it('become what a file describes, and then stay so', async () => {
    const member = await account()
    const top = { key: 'top', description: 'Top' }
    const low = { key: 'low', parent: 'top', members: [member] }
    expect([await visibility.ensure(top), await visibility.ensure(low)]).to.deep.equal(['created', 'created'])
    expect([await visibility.ensure(top), await visibility.ensure(low)]).to.deep.equal(['unchanged', 'unchanged'])
    expect(await visibility.ensure({ key: 'low' })).to.equal('unchanged')
    expect(await visibility.ensure({ key: 'low', parent: 'root' })).to.equal('changed')
    expect(await visibility.ensure({ key: 'top', members: [member] })).to.equal('changed')
    expect((await visibility.all()).map(({ key, parent }) => [key, parent])).to.deep.equal([
      ['root', null],
      ['low', 'root'],
      ['top', 'root'],
    ])
    const rehearsal = inTransaction(stores.db, async (executor) => {
      expect(await visibility.ensure({ key: 'rehearsed' }, executor)).to.equal('created')
      throw new Error('dry run')
    })
    await rehearsal.catch(() => undefined)
    expect(await visibility.findByKey('rehearsed')).to.equal(undefined)
  })

  describe('decide', () => {
    it('by levels', async () => {
      await group('a')
      await group('b', 'a')
      const [root, a, other, b] = [await account(), await accountIn('a'), await accountIn('a'), await accountIn('b')]
      const seen = async (viewer: string, owner: string) => {
        const levels = await Promise.all(LEVELS.map((level) => decide(viewer, owner, level)))
        return LEVELS.filter((_, index) => levels[index])
      }
      expect(await seen(a, a)).to.deep.equal(LEVELS)
      expect(await seen(a, other)).to.deep.equal(['group', 'group_and_below', 'everyone'])
      expect(await seen(b, a)).to.deep.equal(['group_and_below', 'everyone'])
      expect(await seen(a, b)).to.deep.equal(['everyone'])
      expect(await seen(a, root)).to.deep.equal(['group_and_below', 'everyone'])
      expect(await seen(root, a)).to.deep.equal(['everyone'])
    })

    it('nothing about accounts that there are not, or are not any more', async () => {
      const [one, gone] = [await account(), await account()]
      expect(await decide(one, gone, 'everyone')).to.equal(true)
      for (const nobody of [NOBODY, 'x', '']) {
        expect(of(await refusal(decide(nobody, one, 'everyone')))).to.deep.equal([404, 'not_found'])
        expect(of(await refusal(decide(one, nobody, 'owner')))).to.deep.equal([404, 'not_found'])
      }
      expect(await decide(one.toUpperCase(), one, 'owner')).to.equal(true)
    })

    it('from memory, without asking the database again, until something is touched', async () => {
      const asked: string[] = []
      const counted = await openStores((sql) => void asked.push(sql))
      let lateMs = 0
      const mine = processes({ now: () => Date.now() + lateMs })(counted.db)
      const elsewhere = processes()(counted.db)
      const ids = [uuidv7(), uuidv7()] as const
      const json = JSON.stringify({})
      for (const id of ids) {
        const row = { id, email: `${id}@example.org`, profile: json, attributes: json }
        await counted.db.insertInto('accounts').values(row).execute()
      }
      const { id } = await mine.create(OPERATOR, { key: 'a' })
      const question = { viewer: ids[0], owner: ids[1], level: 'group' } as const
      expect(await mine.decide(question)).to.equal(true)
      asked.length = 0
      expect(await mine.decide(question)).to.equal(true)
      expect(asked.filter((sql) => /visibility_|accounts/.test(sql))).to.deep.equal([])
      // Not announced to this process: its memory is believed for less than a second.
      await elsewhere.putMember(OPERATOR, id, ids[0])
      lateMs = 1_000
      expect(await mine.decide(question)).to.equal(false)
      await counted.close()
    })

    it('nothing while the database does not answer', async () => {
      const lost = await lostDatabase()
      const blind = processes()(lost.db)
      const question = { viewer: NOBODY, owner: NOBODY, level: 'owner' } as const
      expect(of(await refusal(blind.decide(question)))).to.deep.equal([503, 'temporarily_unavailable'])
      await lost.close()
    })
  })
})
