/** Included roles, flattened when they are written. */
import { expect } from 'chai'
import fc from 'fast-check'
import type { Access } from '../../src/access/access.ts'
import type { AccessChanges, Change } from '../../src/access/access-change.ts'
import { OPERATOR } from '../../src/audit-event.ts'
import { AppError } from '../../src/errors.ts'
import type { Database } from '../../src/storage/tables.ts'
import { accessOn, changesOn } from '../support/access.ts'
import { freshPglite } from '../support/database.ts'
import { openStores } from '../support/open-stores.ts'

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g']

type Step = { verb: 'include' | 'exclude'; role: string; other: string } | { verb: 'replace'; role: string }
type Edges = Map<string, Set<string>>

const key = fc.constantFrom(...KEYS)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 7, arbitrary: fc.record({ verb: fc.constant('include' as const), role: key, other: key }) },
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('exclude' as const), role: key, other: key }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('replace' as const), role: key }) },
)

/** What a role reaches, by the definition: itself, and whatever the roles it includes reach. */
function reached(edges: Edges, role: string): Set<string> {
  const all = [...(edges.get(role) ?? [])].flatMap((included) => [...reached(edges, included)])
  return new Set([role, ...all])
}

/** Takes the same step in the model; false where it must be refused. */
function modelled(edges: Edges, taken: Step): boolean {
  if (taken.verb === 'replace') {
    edges.delete(taken.role)
    for (const included of edges.values()) included.delete(taken.role)
    return true
  }
  const { verb, role, other } = taken
  const included = edges.get(role) ?? new Set()
  edges.set(role, included)
  if (verb === 'exclude') return included.delete(other)
  if (reached(edges, other).has(role)) return false
  included.add(other)
  return true
}

for (const [name, open] of [
  ['PostgreSQL', openStores],
  ['PGlite', freshPglite],
] as const) {
  describe(`the graph of roles on ${name}`, function () {
    this.timeout(60_000)
    let db: Database
    let close: () => Promise<void>
    let access: Access
    let changes: AccessChanges
    before(async () => {
      const stores = await open()
      db = stores.db
      close = () => stores.close()
      access = accessOn(db)
      changes = changesOn(db)
    })
    after(() => close?.())

    const idsOf = async (): Promise<Record<string, string>> => {
      const rows = await db.selectFrom('roles').select(['id', 'key']).execute()
      return Object.fromEntries(rows.map(({ id, key }) => [key, id]))
    }
    const flattened = async (): Promise<string[]> => {
      const rows = await db
        .selectFrom('role_closure')
        .innerJoin('roles as upper', 'upper.id', 'role_closure.role_id')
        .innerJoin('roles as lower', 'lower.id', 'role_closure.included_id')
        .select(['upper.key as role', 'lower.key as included'])
        .execute()
      return rows.map(({ role, included }) => `${role} ${included}`).sort()
    }

    async function take(change: Change, ids: Record<string, string>, taken: Step): Promise<boolean> {
      const id = ids[taken.role] ?? ''
      try {
        if (taken.verb === 'include') await access.roles.include(change, id, taken.other)
        else if (taken.verb === 'exclude') await access.roles.exclude(change, id, ids[taken.other] ?? '')
        else {
          await access.roles.remove(change, id, { force: true })
          ids[taken.role] = (await access.roles.create(change, { key: taken.role })).id
        }
        return true
      } catch (error) {
        if (error instanceof AppError && ['cycle', 'not_found'].includes(error.code)) return false
        throw error
      }
    }

    it('flattened is what the edges say, whatever was included, excluded and deleted; cycles are refused', () =>
      fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
          await db.deleteFrom('roles').execute()
          for (const role of KEYS) await access.roles.create(OPERATOR, { key: role })
          const ids = await idsOf()
          const edges: Edges = new Map()
          const outcomes = await changes.change(OPERATOR, async (change) => {
            const taken: boolean[] = []
            for (const each of steps) taken.push(await take(change, ids, each))
            return taken
          })
          expect(outcomes).to.deep.equal(steps.map((each) => modelled(edges, each)))
          const expected = KEYS.flatMap((role) => [...reached(edges, role)].map((other) => `${role} ${other}`))
          expect(await flattened()).to.deep.equal(expected.sort())
        }),
        { numRuns: name === 'PGlite' ? 10 : 25 },
      ))

    it('has no cycle when roles include each other at the same moment', async () => {
      for (let round = 0; round < 10; round += 1) {
        await db.deleteFrom('roles').execute()
        for (const role of ['a', 'b', 'c']) await access.roles.create(OPERATOR, { key: role })
        const { a = '', b = '', c = '' } = await idsOf()
        const rivals = [
          access.roles.include(OPERATOR, a, 'b'),
          access.roles.include(OPERATOR, b, 'c'),
          access.roles.include(OPERATOR, c, 'a'),
        ]
        const outcomes = await Promise.allSettled(rivals)
        const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
        expect(refused.map(({ reason }) => (reason as AppError).code)).to.deep.equal(['cycle'])
        expect(await flattened()).to.have.lengthOf(6)
      }
    })
  })
}
