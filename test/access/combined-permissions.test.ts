/** What an account holds, and that what is remembered of it is forgotten when it must be; on both databases. */
import { expect } from 'chai'
import { CHANGES_SINCE, MAX_CHANGES } from '../../src/access/freshness-store.ts'
import { ALL_ALL } from '../../src/access/permission.ts'
import { createTokenClaims } from '../../src/access/token-claims.ts'
import { SYSTEM } from '../../src/audit-event.ts'
import { uuidv7 } from '../../src/ids.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { openPglite } from '../../src/storage/pglite.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import type { Executor } from '../../src/storage/tables.ts'
import { type AccessModel, accessModel, processOver } from '../support/access-model.ts'
import { freshDatabase, freshPgliteDirectory } from '../support/database.ts'
import { lostDatabase } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

interface Opened {
  database: OpenDatabase
  close(): Promise<void>
}

const DATABASES: [name: string, open: (onQuery: (sql: string) => void) => Promise<Opened>][] = [
  [
    'PostgreSQL',
    async (onQuery) => {
      const fresh = await freshDatabase()
      const database = await openPostgres(fresh.url, { onQuery })
      return { database, close: () => database.close().then(fresh.drop) }
    },
  ],
  [
    'PGlite',
    async (onQuery) => {
      const { directory, remove } = await freshPgliteDirectory()
      const database = await openPglite(directory, { onQuery })
      return { database, close: () => database.close().then(remove) }
    },
  ],
]

for (const [name, open] of DATABASES) {
  describe(`combined permissions on ${name}`, function () {
    this.timeout(20_000)
    const queries: string[] = []
    let opened: Opened
    let db: OpenDatabase['db']
    let model: AccessModel
    let serial = 0

    before(async function () {
      this.timeout(40_000)
      opened = await open((sql) => queries.push(sql))
      db = opened.database.db
      model = accessModel(db)
      const all = await model.permission(ALL_ALL)
      await model.role('superuser', all)
      await model.role('user')
      await model.role('non_registered')
    })
    after(() => opened?.close())

    const unique = (word: string): string => {
      serial += 1
      return `${word}-${serial}`
    }
    /** Statements, without the one that all decisions of 800 ms share. */
    async function costOf(work: () => Promise<unknown>): Promise<number> {
      const before = queries.length
      await work()
      return queries.slice(before).filter((query) => query !== CHANGES_SINCE).length
    }
    /** A permission, and a role that holds it. */
    async function editor() {
      const key = unique('edit')
      const permission = await model.permission(key)
      const roleKey = unique('editor')
      return { key, permission, role: await model.role(roleKey, permission), roleKey }
    }

    describe('are the union of', () => {
      it('nothing, for an account that was given nothing', async () => {
        const { decisions } = processOver(db)
        const account = await model.account()
        expect(await decisions.combinedPermissions(account)).to.deep.equal([])
        expect(await decisions.authorizedRoles(account)).to.deep.equal(['user'])
      })

      it('its own permissions and those of its roles', async () => {
        const { decisions } = processOver(db)
        const [own, { key, role, roleKey }] = [unique('own'), await editor()]
        const account = await model.account()
        await model.grant(account, await model.permission(own))
        await model.assign(account, role)
        expect(await decisions.combinedPermissions(account)).to.deep.equal([key, own].sort())
        expect(await decisions.authorizedRoles(account)).to.deep.equal([roleKey, 'user'].sort())
      })

      it('those of included roles, however deep and by how many ways', async () => {
        const { decisions } = processOver(db)
        const [top, left, right, bottom] = [await editor(), await editor(), await editor(), await editor()]
        for (const middle of [left, right]) {
          await model.include(middle.role, bottom.role)
          await model.include(top.role, middle.role)
        }
        const account = await model.account()
        await model.assign(account, top.role)
        const keys = [top, left, right, bottom].map(({ key }) => key)
        expect(await decisions.combinedPermissions(account)).to.deep.equal(keys.sort())
        const roles = [top, left, right, bottom].map(({ roleKey }) => roleKey)
        expect(await decisions.authorizedRoles(account)).to.deep.equal([...roles, 'user'].sort())
        const other = await model.account()
        await model.assign(other, left.role)
        expect(await decisions.combinedPermissions(other)).to.deep.equal([left.key, bottom.key].sort())
      })

      it('those of its teams and the teams above, not those below or beside', async () => {
        const { decisions } = processOver(db)
        const [above, own, below, beside] = [await editor(), await editor(), await editor(), await editor()]
        const company = await model.team(unique('company'))
        const unit = await model.team(unique('unit'), company)
        const group = await model.team(unique('group'), unit)
        const sister = await model.team(unique('sister'), company)
        await model.giveTeam(company, above.role)
        await model.giveTeam(unit, own.role)
        await model.giveTeam(group, below.role)
        await model.giveTeam(sister, beside.role)
        const account = await model.account()
        await model.join(account, unit)
        expect(await decisions.combinedPermissions(account)).to.deep.equal([above.key, own.key].sort())
      })

      it('nothing at all for a disabled account', async () => {
        const { decisions } = processOver(db)
        const { role, key } = await editor()
        const account = await model.account('disabled')
        await model.assign(account, role)
        await model.assign(account, await model.roleId('superuser'))
        expect(await decisions.combinedPermissions(account)).to.deep.equal([])
        expect(await decisions.authorizedRoles(account)).to.deep.equal([])
        expect(await decisions.decide(account, { any: [key] })).to.equal(false)
        expect(await decisions.holdsAny(account, [ALL_ALL])).to.equal(false)
      })
    })

    it('of whoever has not signed in are those of non_registered', async () => {
      const { decisions } = processOver(db)
      const { key, permission } = await editor()
      await model.hold(await model.roleId('non_registered'), permission)
      expect(await decisions.combinedPermissions('non_registered')).to.include(key)
      expect(await decisions.authorizedRoles('non_registered')).to.deep.equal(['non_registered'])
      expect(await decisions.combinedPermissions(await model.account())).to.not.include(key)
    })

    it('of nobody known are none: denied, and named as unknown to who asks for the list', async () => {
      const { decisions } = processOver(db)
      for (const id of [uuidv7(), 'my-client', '', '__proto__']) {
        expect(await decisions.decide(id, 'anything')).to.equal(false)
        expect(await decisions.holdsAny(id, ['anything'])).to.equal(false)
        expect(await decisions.authorizedRoles(id)).to.deep.equal([])
        expect(await refusal(decisions.combinedPermissions(id))).to.include({ status: 404, code: 'not_found' })
        expect(await refusal(decisions.answer(id, 'anything'))).to.include({ status: 404, code: 'not_found' })
      }
    })

    it('with all_all meet every question', async () => {
      const { decisions } = processOver(db)
      const account = await model.account()
      await model.assign(account, await model.roleId('superuser'))
      expect(await decisions.decide(account, { all: ['anything', { any: ['else'] }] })).to.equal(true)
      expect(await decisions.holdsAny(account, ['teams_admin'])).to.equal(true)
      expect(await decisions.holdsAny(account, [])).to.equal(false)
    })

    describe('in memory', () => {
      it('cost nothing once they are known; an account new to it costs one statement when its roles are known', async () => {
        const { decisions } = processOver(db)
        const { role, key } = await editor()
        const [first, second] = [await model.account(), await model.account()]
        for (const account of [first, second]) await model.assign(account, role)
        await decisions.decide(first, key)
        await decisions.decide(first, key)
        expect(await costOf(() => decisions.decide(first, key))).to.equal(0)
        expect(await costOf(() => decisions.decide(second, key))).to.equal(1)
      })

      it('are asked for once by all who ask at the same moment', async () => {
        const { decisions } = processOver(db)
        const { role, key } = await editor()
        const account = await model.account()
        await model.assign(account, role)
        const ask = () => Promise.all(Array.from({ length: 50 }, () => decisions.decide(account, key)))
        expect(await costOf(ask)).to.equal(3) // the version, the account, its roles
      })

      const CHANGES: [
        what: string,
        prepare: () => Promise<{ account: string; key: string; change: Parameters<typeof apply>[1] }>,
        after: boolean,
      ][] = [
        [
          'a role given',
          async () => {
            const [account, { role, key }] = [await model.account(), await editor()]
            return {
              account,
              key,
              change: { touch: ['account', account], write: (trx) => model.assign(account, role, trx) },
            }
          },
          true,
        ],
        [
          'a role taken away',
          async () => {
            const [account, { role, key }] = [await model.account(), await editor()]
            await model.assign(account, role)
            const write = (trx: Executor) => model.unassign(account, role, trx)
            return { account, key, change: { touch: ['account', account], write } }
          },
          false,
        ],
        [
          'a permission taken from a role that an assigned one includes',
          async () => {
            const [account, top, bottom] = [await model.account(), await editor(), await editor()]
            await model.include(top.role, bottom.role)
            await model.assign(account, top.role)
            const write = (trx: Executor) =>
              trx.deleteFrom('role_permissions').where('role_id', '=', bottom.role).execute()
            return { account, key: bottom.key, change: { touch: ['role', bottom.role], write } }
          },
          false,
        ],
        [
          'a role included in an assigned one',
          async () => {
            const [account, top, bottom] = [await model.account(), await editor(), await editor()]
            await model.assign(account, top.role)
            const write = (trx: Executor) => model.include(top.role, bottom.role, trx)
            return { account, key: bottom.key, change: { touch: ['role', top.role], write } }
          },
          true,
        ],
        [
          'a role given to the team above',
          async () => {
            const [account, { role, key }] = [await model.account(), await editor()]
            const above = await model.team(unique('above'))
            const team = await model.team(unique('team'), above)
            await model.join(account, team)
            return {
              account,
              key,
              change: { touch: ['team', above], write: (trx) => model.giveTeam(above, role, trx) },
            }
          },
          true,
        ],
        [
          'a team left',
          async () => {
            const [account, { role, key }] = [await model.account(), await editor()]
            const team = await model.team(unique('team'))
            await model.giveTeam(team, role)
            await model.join(account, team)
            const write = (trx: Executor) => trx.deleteFrom('team_members').where('account_id', '=', account).execute()
            return { account, key, change: { touch: ['account', account], write } }
          },
          false,
        ],
        [
          'the account disabled',
          async () => {
            const [account, { role, key }] = [await model.account(), await editor()]
            await model.assign(account, role)
            const write = (trx: Executor) =>
              trx.updateTable('accounts').set({ status: 'disabled' }).where('id', '=', account).execute()
            return { account, key, change: { touch: ['account', account], write } }
          },
          false,
        ],
      ]

      function apply(
        { changes }: Pick<ReturnType<typeof processOver>, 'changes'>,
        { touch, write }: { touch: ['account' | 'role' | 'team', string]; write(trx: Executor): Promise<unknown> },
      ): Promise<void> {
        return changes.change(SYSTEM, async (change) => {
          change.touch(...touch)
          await write(change.executor)
        })
      }

      for (const [what, prepare, after] of CHANGES) {
        it(`${what} is seen by the next decision here, and by other processes when they look again`, async () => {
          const here = processOver(db)
          const there = processOver(db)
          const { account, key, change } = await prepare()
          for (const each of [here, there]) expect(await each.decisions.decide(account, key)).to.equal(!after)
          await apply(here, change)
          expect(await here.decisions.decide(account, key)).to.equal(after)
          there.freshness.markStale()
          expect(await there.decisions.decide(account, key)).to.equal(after)
        })
      }

      it('are no longer believed when they were confirmed 800 ms ago, by either clock', async () => {
        let now = Date.now()
        const { decisions } = processOver(db, { clock: { now: () => now } })
        const { role, key } = await editor()
        const account = await model.account()
        await model.assign(account, role)
        expect(await decisions.decide(account, key)).to.equal(true)
        await processOver(db).changes.change(SYSTEM, async (change) => {
          change.touch('account', account)
          await model.unassign(account, role, change.executor)
        })
        now += 801
        expect(await decisions.decide(account, key)).to.equal(false)
        now -= 10_000 // a clock set back proves nothing
        const before = queries.length
        await decisions.decide(account, key)
        expect(queries.length, 'asked again').to.be.above(before)
      })

      it('are all forgotten after a change of more than can be learned one by one', async () => {
        const { decisions, freshness } = processOver(db)
        const { role, key } = await editor()
        const account = await model.account()
        await model.assign(account, role)
        expect(await decisions.decide(account, key)).to.equal(true)
        await processOver(db).changes.change(SYSTEM, async (change) => {
          for (let count = 0; count < MAX_CHANGES; count += 1) change.touch('account', uuidv7())
          change.touch('account', account)
          await model.unassign(account, role, change.executor)
        })
        freshness.markStale()
        expect(await decisions.decide(account, key)).to.equal(false)
      })

      it('are all forgotten by a process that slept longer than changes are kept', async () => {
        let now = Date.now()
        const sleeper = processOver(db, { clock: { now: () => now } })
        const { role, key } = await editor()
        const account = await model.account()
        await model.assign(account, role)
        expect(await sleeper.decisions.decide(account, key)).to.equal(true)
        await processOver(db).changes.change(SYSTEM, async (change) => {
          change.touch('account', account)
          await model.unassign(account, role, change.executor)
        })
        await db
          .updateTable('access_changes')
          .set({ created_at: new Date(now - 2 * 3_600_000) })
          .execute()
        await sleeper.freshness.removeOld()
        expect(await db.selectFrom('access_changes').select('version').execute()).to.deep.equal([])
        now += 3_600_000
        expect(await sleeper.decisions.decide(account, key)).to.equal(false)
      })

      it('do not take up what was read just before a change and came back after it', async () => {
        const { role, key } = await editor()
        const account = await model.account()
        await model.assign(account, role)
        const gate = Promise.withResolvers<void>()
        const reached = Promise.withResolvers<void>()
        // The first answer about the account is held back on its way.
        let isFirst = true
        const slow = new Proxy(db, {
          get(target, property) {
            const value = Reflect.get(target, property)
            if (property !== 'executeQuery') return typeof value === 'function' ? value.bind(target) : value
            return async (query: { sql: string }) => {
              const answer = await target.executeQuery(query as Parameters<typeof target.executeQuery>[0])
              if (isFirst && query.sql.includes("'account' as kind")) {
                isFirst = false
                reached.resolve()
                await gate.promise
              }
              return answer
            }
          },
        })
        const late = processOver(slow)
        const early = late.decisions.decide(account, key)
        await reached.promise
        await processOver(db).changes.change(SYSTEM, async (change) => {
          change.touch('account', account)
          await model.unassign(account, role, change.executor)
        })
        late.freshness.markStale()
        const during = late.decisions.decide(account, key)
        expect(await during, 'began after the change').to.equal(false)
        gate.resolve()
        await early
        expect(await late.decisions.decide(account, key), 'remembered').to.equal(false)
      })
    })

    describe('in tokens', () => {
      it('are those of the audience and those of no resource, where its resources say so', async () => {
        const { decisions, freshness } = processOver(db)
        const [shop, silent] = ['https://shop.example', 'https://silent.example'].map((url) => `${url}/${unique('a')}`)
        if (!shop || !silent) throw new Error('no audience')
        const resource = await model.resource(unique('shop'), shop, true)
        const other = await model.resource(unique('other'), silent, false)
        const account = await model.account()
        const [ours, theirs, free] = [unique('ours'), unique('theirs'), unique('free')]
        await model.grant(account, await model.permission(ours, resource))
        await model.grant(account, await model.permission(theirs, other))
        await model.assign(account, await model.role(unique('role'), await model.permission(free)))
        expect(await decisions.permissionsFor(account, shop)).to.deep.equal([ours, free].sort())
        expect(await decisions.permissionsFor(account, silent)).to.equal(undefined)
        expect(await decisions.permissionsFor(account, 'https://unknown.example')).to.equal(undefined)

        const json = JSON.stringify([ours, free].sort())
        const claims = (bytes: number) =>
          createTokenClaims({ freshness, decisions, maxPermissionsBytes: bytes })(account, shop)
        expect(await claims(json.length)).to.deep.include({ permissions: JSON.parse(json) })
        expect(await claims(json.length - 1)).to.include({ permissions_omitted: true })
        expect(await claims(json.length - 1)).to.not.have.property('permissions')
      })
    })

    describe('are explained', () => {
      it('by the account itself, by roles and the way through them, by teams', async () => {
        const { decisions } = processOver(db)
        const [top, middle, bottom] = [await editor(), await editor(), await editor()]
        await model.include(top.role, middle.role)
        await model.include(middle.role, bottom.role)
        const account = await model.account()
        const teamKey = unique('team')
        const team = await model.team(teamKey)
        await model.join(account, await model.team(unique('below'), team))
        await model.giveTeam(team, middle.role)
        await model.assign(account, top.role)
        await model.grant(account, bottom.permission)
        const { valid, explanation } = await decisions.answer(
          account,
          { all: [bottom.key, { any: ['no-such', top.key] }] },
          { isExplained: true },
        )
        expect(valid).to.equal(true)
        expect(explanation?.missing).to.deep.equal([])
        const { decision } = explanation ?? {}
        if (!decision || !('parts' in decision)) throw new Error('no parts')
        const [first, second] = decision.parts
        const permission = bottom.key
        expect(first).to.deep.include({ valid: true, permission })
        expect(first)
          .to.have.property('by')
          .with.deep.members([
            { kind: 'direct', permission },
            { kind: 'role', permission, roles: [top.roleKey, middle.roleKey, bottom.roleKey] },
            { kind: 'team', team: teamKey, permission, roles: [middle.roleKey, bottom.roleKey] },
          ])
        expect(second).to.deep.equal({
          valid: true,
          match: 'any',
          parts: [
            { valid: false, permission: 'no-such', by: [] },
            { valid: true, permission: top.key, by: [{ kind: 'role', permission: top.key, roles: [top.roleKey] }] },
          ],
        })
      })

      it('by all_all for a superuser', async () => {
        const { decisions } = processOver(db)
        const account = await model.account()
        await model.assign(account, await model.roleId('superuser'))
        const { explanation } = await decisions.answer(account, 'anything', { isExplained: true })
        expect(explanation?.decision).to.deep.equal({
          valid: true,
          permission: 'anything',
          by: [{ kind: 'role', permission: ALL_ALL, roles: ['superuser'] }],
        })
      })

      it('by what is missing first, when denied', async () => {
        const { decisions } = processOver(db)
        const account = await model.account()
        const question = { all: [{ any: ['a', { all: ['b', 'c'] }] }, 'd'] }
        const { valid, explanation } = await decisions.answer(account, question, { isExplained: true })
        expect(valid).to.equal(false)
        expect(explanation?.missing).to.deep.equal(['a', 'b'])
      })

      it('also for those who have not signed in', async () => {
        const { decisions } = processOver(db)
        const { explanation } = await decisions.answer('non_registered', 'zz', { isExplained: true })
        expect(explanation).to.deep.equal({ decision: { valid: false, permission: 'zz', by: [] }, missing: ['zz'] })
      })
    })
  })
}

describe('combined permissions without their database', () => {
  it('permit nothing and deny nothing: 503', async () => {
    const lost = await lostDatabase()
    const { decisions } = processOver(lost.db)
    const attempts = [
      decisions.decide(uuidv7(), 'a'),
      decisions.holdsAny(uuidv7(), ['a']),
      decisions.combinedPermissions(uuidv7()),
      decisions.authorizedRoles('non_registered'),
      decisions.permissionsFor(uuidv7(), 'https://shop.example'),
    ]
    for (const attempt of attempts) expect(await refusal(attempt)).to.include({ status: 503 })
    await lost.close()
  })
})
