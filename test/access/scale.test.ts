/**
 * A hundred thousand accounts, a thousand roles, ten thousand permissions and teams: no statement of a decision or a list
 * goes through a whole table, and what each looks at is of the size of its answer.
 */
import { expect } from 'chai'
import { CompiledQuery, sql } from 'kysely'
import { withUnusedServer } from '../../src/cli/unused-server.ts'
import { cursorFor } from '../../src/http/pagination.ts'
import type { Route } from '../../src/http/route.ts'
import { PASSWORD, type TokenResponse } from '../support/code-flow.ts'
import { type CountedWorld, startCountedWorld } from '../support/counted-world.ts'
import { type Reply, send } from '../support/http.ts'
import { idOf, loadModel } from '../support/large-model.ts'

const SIZE = { accounts: 100_000, roles: 1_000, permissions: 10_000, teams: 10_000, others: 10_000 }
/** A table of fewer rows, such as that of the roles, is read as a whole for less than an index would cost. */
const BIG = 2_000
/** Rows of big tables that one statement may look at: what an account holds by its roles, or a page and some more. */
const MOST = 1_000
const LIMIT = 20

interface Statement {
  text: string
  parameters: readonly unknown[]
}
interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows'?: number
  'Actual Loops'?: number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: Plan[]
}

/** What is asked of a list: of which object it is, and queries that begin, go on and search. */
interface Row {
  of?: string
  queries: readonly string[]
}

const byKey = (beginning: string, deep: string, kind: Parameters<typeof idOf>[0] = 'role'): Row => ({
  queries: [
    '',
    `search=${beginning}`,
    `search=${deep}`,
    'search=nothing-begins-so',
    `cursor=${cursorFor([deep, idOf(kind, 0)])}`,
    `search=${beginning}&cursor=${cursorFor([deep, idOf(kind, 0)])}`,
  ],
})
const of = (id: string, row: Row): Row => ({ ...row, of: id })
const team = idOf('team', 7)
const group = idOf('group', 7)
const account = idOf('account', 77_777)
const role = idOf('role', 8)
const byMember: Row = { queries: ['', `cursor=${cursorFor([idOf('account', 50_007)])}`] }
const bySession: Row = { queries: ['', `cursor=${cursorFor([Date.now(), 'g.abcdefghij'])}`] }
const byId = { queries: ['', `cursor=${cursorFor([idOf('signIn', 50_000)])}`] }

const LISTS: Readonly<Record<string, Row>> = {
  listPermissions: byKey('area-', 'area-50:act-5', 'permission'),
  listRoles: byKey('role-', 'role-5'),
  listResources: byKey('resource-', 'resource-5', 'resource'),
  listRolePermissions: of(role, byKey('area-', 'area-65', 'permission')),
  listRoleIncludes: of(role, byKey('role-', 'role-5')),
  listAccountRoles: of(account, byKey('role-', 'role-5')),
  listAccountPermissions: of(account, byKey('area-', 'area-77', 'permission')),
  listTeams: byKey('team-', 'team-5', 'team'),
  listTeamRoles: of(team, byKey('role-', 'role-5')),
  listTeamMembers: of(team, byMember),
  listVisibilityGroups: byKey('group-', 'group-5', 'group'),
  listVisibilityGroupMembers: of(group, byMember),
  listAccounts: {
    queries: [
      ...['', 'search=user-', 'search=user-777', 'search=name-', 'search=NAME-99999', 'search=nobody', 'search=u'],
      `cursor=${cursorFor([0, 'user-5', idOf('account', 0)])}`,
      `search=name-&cursor=${cursorFor([1, 'name-5', idOf('account', 0)])}`,
    ],
  },
  listClients: {
    queries: [
      ...['', 'search=name', 'search=app-', 'search=app-777', 'search=nobody'],
      `cursor=${cursorFor([0, 'name 5', 'app-5'])}`,
      `search=app&cursor=${cursorFor([1, 'app-5', 'app-5'])}`,
    ],
  },
  listAuditEvents: {
    queries: [
      ...['', `actor=${idOf('account', 0)}`, `actor=${idOf('account', 77_777)}`],
      ...[`target=account:${idOf('account', 0)}`, 'action=role.created', 'action=account.*', 'action=none.*'],
      `cursor=${cursorFor([idOf('event', 50_000)])}`,
      `action=role.created&cursor=${cursorFor([idOf('event', 50_000)])}`,
      'since=2020-01-01T00:00:00Z&until=2020-02-01T00:00:00Z',
    ],
  },
  listMySignIns: byId,
  listMySessions: bySession,
  listAccountSessions: of(account, bySession),
}

const holders = [0, 1, 999, 50_000, 77_777, 99_999].map((place) => idOf('account', place))
const DECISIONS: readonly string[] = holders.flatMap((holder, place) => [
  `/api/v1/users/${holder}/combined_permissions`,
  `/api/v1/users/${holder}/combined_permissions/validation?permissions=area-1:act-1&explain=true`,
  `/api/v1/visibility/decision?viewer=${holder}&owner=${holders[(place + 1) % holders.length]}&level=group_and_below`,
])

const other = idOf('account', 1)
const WRITES: readonly (readonly [method: string, path: string, json?: object])[] = [
  ['POST', `/api/v1/accounts/${other}/roles`, { role: 'role-500' }],
  ['DELETE', `/api/v1/accounts/${other}/roles/${idOf('role', 500)}`],
  ['POST', `/api/v1/accounts/${other}/permissions`, { permission: 'area-0:act-500' }],
  ['PATCH', `/api/v1/accounts/${other}`, { first_name: 'Ann' }],
  ['POST', `/api/v1/roles/${role}/permissions`, { permission: 'area-0:act-500' }],
  ['POST', `/api/v1/roles/${role}/includes`, { role: 'role-500' }],
  ['DELETE', `/api/v1/roles/${idOf('role', 500)}?force=true`],
  ['DELETE', `/api/v1/permissions/${idOf('permission', 501)}?force=true`],
  ['POST', `/api/v1/teams/${team}/members`, { account_id: other }],
  ['POST', `/api/v1/teams/${team}/roles`, { role: 'role-501' }],
  ['PATCH', `/api/v1/teams/${idOf('team', 9_000)}`, { parent: 'team-100' }],
  ['DELETE', `/api/v1/teams/${idOf('team', 9_001)}?force=true`],
  ['POST', `/api/v1/visibility_groups/${group}/members`, { account_id: other }],
  ['DELETE', `/api/v1/accounts/${idOf('account', 2)}`],
]

let routes: readonly Route[] = []
await withUnusedServer((server) => {
  routes = server.routes()
})
const lists = routes.filter(({ page }) => page !== undefined)

describe('in a large installation', function () {
  this.timeout(60_000)
  let world: CountedWorld
  let bearer: string
  let big: ReadonlySet<string>
  let heard: Statement[] = []

  before(async function () {
    this.timeout(180_000)
    world = await startCountedWorld('redis', (text, parameters) => heard.push({ text, parameters }))
    const { access, accounts, visibility } = world.core
    await access.initialize()
    await visibility.initialize()
    await loadModel(world.database, SIZE)
    const root = await accounts.create({ email: 'root@example.org', password: PASSWORD, emailVerified: true })
    await access.assignRole(root.id, 'superuser')
    const reply = await call('POST', '/api/v1/session', { login: root.email, password: PASSWORD })
    expect(reply.status, reply.text).to.equal(200)
    bearer = reply.json<TokenResponse>().access_token
    const { rows } = await sql<{ name: string }>`
      select relname as name from pg_class where relkind = 'r' and reltuples > ${sql.lit(BIG)}`.execute(
      world.database.db,
    )
    big = new Set(rows.map(({ name }) => name))
  })
  after(() => world?.stop())

  const call = (method: string, path: string, json?: object): Promise<Reply> =>
    send(world.servers[0]?.address ?? '', world.issuer, path, {
      method,
      json,
      headers: bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` },
    })

  /** What a request has sent to the database. */
  async function statementsOf(method: string, path: string, json?: object): Promise<Statement[]> {
    heard = []
    const reply = await call(method, path, json)
    const statements = heard
    expect(reply.status, `${method} ${path}: ${reply.text}`).to.be.within(200, 204)
    return statements.filter(({ text }) => /^\s*(select|with|insert|update|delete)\b/i.test(text))
  }

  async function scansFor({ text, parameters }: Statement, options: string): Promise<Plan[]> {
    const query = CompiledQuery.raw(`explain (${options}format json) ${text}`, [...parameters])
    const { rows } = await world.database.db.executeQuery<{ 'QUERY PLAN': { Plan: Plan }[] }>(query)
    const scans = scansOf(rows[0]?.['QUERY PLAN'][0]?.Plan).filter((scan) => big.has(scan['Relation Name'] ?? ''))
    const whole = scans.filter((scan) => scan['Node Type'] === 'Seq Scan')
    expect(whole, `${text}\n${JSON.stringify(parameters)}`).to.deep.equal([])
    return scans
  }

  /** Also runs the statements once more; answers how many there were. */
  async function readsLittle(path: string): Promise<number> {
    const statements = (await statementsOf('GET', path)).filter(({ text }) => /^\s*(select|with)\b/i.test(text))
    for (const statement of statements) {
      const scans = await scansFor(statement, 'analyze, timing off, ')
      const read = scans.reduce((sum, scan) => sum + lookedAt(scan), 0)
      expect(read, `${path}\n${statement.text}\n${JSON.stringify(scans)}`).to.be.at.most(MOST)
    }
    return statements.length
  }

  it('there are tables that are big', () => {
    expect([...big]).to.include.members([
      ...['accounts', 'permissions', 'teams', 'resources', 'clients', 'visibility_groups', 'sign_ins'],
      ...['account_roles', 'account_permissions', 'role_permissions', 'role_closure', 'team_closure'],
      ...['team_members', 'team_roles', 'visibility_members', 'visibility_closure', 'audit_events'],
    ])
  })

  it('every list is looked at', () => {
    expect(Object.keys(LISTS)).to.have.members(lists.map(({ id }) => id))
    for (const { id, page } of lists) {
      const queries = LISTS[id]?.queries ?? []
      expect(
        queries.some((query) => query.includes('cursor=')),
        id,
      ).to.equal(true)
      const isSearched = queries.some((query) => query.includes('search='))
      expect(isSearched, id).to.equal(page?.search !== undefined)
    }
  })

  for (const route of lists) {
    it(`${route.id} reads a page`, async () => {
      const { of = '', queries } = LISTS[route.id] ?? { queries: [] }
      const path = route.path.replace('{id}', of)
      for (const query of queries) await readsLittle(`${path}?limit=${LIMIT}${query && `&${query}`}`)
    })
  }

  it('decisions about those who are not remembered read what these hold', async () => {
    let sent = 0
    for (const path of DECISIONS) sent += await readsLittle(path)
    expect(sent).to.be.at.least(holders.length)
  })

  for (const [method, path, json] of WRITES) {
    it(`${method} ${path.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…')} goes through no whole table`, async () => {
      const statements = await statementsOf(method, path, json)
      expect(statements).not.to.deep.equal([])
      for (const statement of statements) await scansFor(statement, '')
    })
  }
})

function scansOf(plan: Plan | undefined): Plan[] {
  if (!plan) return []
  const below = (plan.Plans ?? []).flatMap(scansOf)
  return plan['Relation Name'] === undefined ? below : [plan, ...below]
}

const lookedAt = (scan: Plan): number =>
  ((scan['Actual Rows'] ?? 0) + (scan['Rows Removed by Filter'] ?? 0) + (scan['Rows Removed by Index Recheck'] ?? 0)) *
  (scan['Actual Loops'] ?? 0)
