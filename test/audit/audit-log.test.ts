import { expect } from 'chai'
import { CompiledQuery, sql } from 'kysely'
import { type AuditLog, createAuditLog } from '../../src/audit/audit-log.ts'
import { createAuditStore } from '../../src/audit/audit-store.ts'
import { OPERATOR, owner } from '../../src/audit-event.ts'
import { uuidv7 } from '../../src/ids.ts'
import { freshPglite } from '../support/database.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'

const MANY = 20_000
const SECOND = 1_000
const START = Date.parse('2030-01-01T00:00:00Z')

describe('the audit log', function () {
  this.timeout(60_000)
  let stores: OpenStores
  let audit: AuditLog
  let asked: CompiledQuery[] = []
  const kinds = ['role.created', 'role.changed', 'roles.imported', 'account.created', 'account.role_assigned']
  /** What the rows were made from: the test's own idea of every answer. */
  const made: { id: string; actor: string; action: string; target: string; at: number }[] = []

  before(async () => {
    stores = await openStores()
    audit = createAuditLog({ db: stores.db, store: createAuditStore() })
    for (let place = 0; place < MANY; place += 1) {
      const at = START + Math.floor(place / 2) * SECOND
      made.push({
        id: uuidv7(at),
        actor: `actor-${place % 97}`,
        action: kinds[(place * 7) % kinds.length] ?? '',
        target: `target-${place % 501}`,
        at,
      })
    }
    await sql`
      insert into audit_events (id, actor_kind, actor_id, action, target_kind, target_id, created_at)
      select id::uuid, 'account', actor, action, 'role', target, to_timestamp(at / 1000.0)
      from jsonb_to_recordset(${JSON.stringify(made)}::jsonb) as x (id text, actor text, action text, target text, at float8)
    `.execute(stores.db)
    await sql`analyze audit_events`.execute(stores.db)
  })
  after(() => stores.close())

  type Query = Parameters<AuditLog['list']>[0]
  const newest = (matches: (row: (typeof made)[number]) => boolean, limit: number) =>
    made
      .filter(matches)
      .map(({ id }) => id)
      .sort()
      .reverse()
      .slice(0, limit)
  const ids = async (query: Query) => (await audit.list(query)).map(({ id }) => id)

  const CASES: [name: string, query: Omit<Query, 'limit'>, matches: (row: (typeof made)[number]) => boolean][] = [
    ['everything', {}, () => true],
    ['an actor', { filter: { actor: 'actor-5' } }, (row) => row.actor === 'actor-5'],
    ['a target', { filter: { target: { kind: 'role', id: 'target-9' } } }, (row) => row.target === 'target-9'],
    ['a target of another kind', { filter: { target: { kind: 'team', id: 'target-9' } } }, () => false],
    ['an action', { filter: { action: 'role.created' } }, (row) => row.action === 'role.created'],
    ['a family of actions', { filter: { action: 'role.*' } }, (row) => row.action.startsWith('role.')],
    ['a family nobody knows', { filter: { action: 'cat.*' } }, () => false],
  ]
  /** Wide and narrow, so that each end decides about some page of every filter. */
  const spanOf = (since: number | undefined, until: number | undefined) => ({
    ...(since === undefined ? {} : { since: new Date(START + since * SECOND) }),
    ...(until === undefined ? {} : { until: new Date(START + until * SECOND) }),
  })
  const SPANS: [since: number | undefined, until: number | undefined][] = [
    [undefined, undefined],
    [9_500, undefined],
    [9_990, undefined],
    [undefined, 9_000],
    [undefined, 10],
    [8_500, 9_000],
    [8_990, 9_000],
  ]

  for (const [name, query, matches] of CASES) {
    for (const [since, until] of SPANS) {
      it(`finds ${name} from ${since ?? 'ever'} to ${until ?? 'now'}, newest first, page by page`, async () => {
        const span = spanOf(since, until)
        const holds = (at: number) => at >= (span.since?.getTime() ?? 0) && at < (span.until?.getTime() ?? Infinity)
        const expected = newest((row) => matches(row) && holds(row.at), 60)
        const first = await ids({ ...query, ...span, limit: 30 })
        const after = first.at(-1)
        const second = after === undefined ? [] : await ids({ ...query, ...span, after, limit: 30 })
        expect([...first, ...second]).to.deep.equal(expected)
      })
    }

    it(`reads ${name} off an index, never the whole table`, async () => {
      asked = []
      const noting = noted(stores.db)
      const span = spanOf(2_000, 9_000)
      await createAuditLog({ db: noting, store: createAuditStore() }).list({ ...query, ...span, limit: 20 })
      const [statement] = asked
      if (!statement) throw new Error('nothing was asked')
      const plan = await planOf(statement)
      expect(plan, plan).to.match(/Index/)
      expect(plan).not.to.match(/Seq Scan on audit_events/)
    })
  }

  /** The same database; what is asked of it is kept in `asked`. */
  function noted(db: OpenStores['db']): OpenStores['db'] {
    return db.withPlugin({
      transformQuery: ({ node, queryId }) => {
        asked.push(db.getExecutor().compileQuery(node, queryId))
        return node
      },
      transformResult: async ({ result }) => result,
    })
  }

  async function planOf({ sql: text, parameters }: CompiledQuery): Promise<string> {
    const { rows } = await stores.db.executeQuery(CompiledQuery.raw(`explain ${text}`, [...parameters]))
    return JSON.stringify(rows)
  }

  it('keeps what is recorded, as it was, for whoever asks for one event', async () => {
    const actor = { ...owner('anna', { requestId: 'request-1', address: '192.0.2.7' }), clientId: 'app' }
    const event = {
      action: 'team.changed' as const,
      target: { kind: 'team' as const, id: 't-1' },
      before: { key: 'a', list: [1, { b: null }] },
      after: { key: 'ä😀' },
    }
    await audit.record(stores.db, actor, event)
    const [entry] = await audit.list({ filter: { target: { kind: 'team', id: 't-1' } }, limit: 1 })
    expect(entry).to.deep.include({ before: event.before, after: event.after, action: 'team.changed' })
    expect(entry).to.deep.include({ requestId: 'request-1', address: '192.0.2.7' })
    expect(entry?.actor).to.deep.equal({ kind: 'account', id: 'anna', clientId: 'app' })
    expect(await audit.find(entry?.id ?? '')).to.deep.equal(entry)
    expect(await audit.find(uuidv7())).to.equal(undefined)
  })

  it('tells its own log of what it could not keep, and never who makes the change', async () => {
    const lost = await lostDatabase()
    const losses: unknown[] = []
    const broken = createAuditLog({ db: lost.db, store: createAuditStore(), onLoss: (loss) => losses.push(loss) })
    await broken.note(OPERATOR, { action: 'key.rotated', target: { kind: 'key', id: 'k' }, after: { a: 1 } })
    await lost.close()
    expect(losses).to.have.length(1)
    expect(losses[0]).to.include({ action: 'key.rotated' }).and.not.to.have.property('after')
  })

  it('keeps everything for ever unless it is told how long', async () => {
    const clock = { now: () => START + 400 * 86_400_000 * 100 }
    expect(await createAuditLog({ db: stores.db, store: createAuditStore(), clock }).removeOld()).to.equal(0)
  })

  it('removes what is older than the days it is told, in small batches, and nothing younger', async () => {
    const day = 86_400_000
    const embedded = await freshPglite()
    for (const { db, count } of [
      // With what was recorded today, which is long before all the others.
      { db: stores.db, count: 1_001 },
      { db: embedded.db, count: 0 },
    ]) {
      const clock = { now: () => START + 500 * SECOND + 30 * day }
      const log = createAuditLog({ db, store: createAuditStore(), retentionDays: 30, batch: 64, clock })
      expect(await log.removeOld()).to.equal(count)
      expect(await log.removeOld()).to.equal(0)
    }
    const { rows } = await sql<{ id: string }>`select id from audit_events order by id limit 1`.execute(stores.db)
    expect(rows[0]?.id).to.equal(made[1_000]?.id)
    await embedded.close()
  })
})
