/**
 * Who may call what: every declared route by every kind of caller, against a table written by hand. The table is compared
 * with what the routes declare and with what server processes answer, so neither of the two can move alone.
 */
import { expect } from 'chai'
import { withUnusedServer } from '../../src/cli/unused-server.ts'
import { paramsOf } from '../../src/http/api.ts'
import type { Need } from '../../src/http/gatekeeper.ts'
import type { Route } from '../../src/http/route.ts'
import { FORBIDDEN, NOBODY, UNAUTHENTICATED } from '../support/administration.ts'
import { type Api, createApi, problemOf } from '../support/api.ts'
import { createCodeFlow, PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { listenTo } from '../support/event-stream.ts'
import { basic, type Reply, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const ADMINISTRATORS = ['permissions_admin', 'accounts_admin', 'teams_admin', 'clients_admin', 'audit_read'] as const
/** Each an account that acts through a client of the house. The manager manages a team and holds no permission. */
const PEOPLE = ['user', ...ADMINISTRATORS, 'manager', 'superuser'] as const
/** Each a client by itself, with that scope or without any. */
const SERVICES = ['access:read', 'events:read', 'no scope'] as const
/** `elsewhere` is an account that acts through a client of others, which has got every scope that it asked for. */
const CALLERS = ['nobody', 'forger', ...PEOPLE, 'elsewhere', ...SERVICES] as const
type Caller = (typeof CALLERS)[number]

/** What stands in the place of an id: the caller's own, somebody else's, the team that the manager manages, another. */
type Whose = 'own' | 'another' | 'managed' | 'unmanaged'

interface Visitor {
  id: string
  bearer: string | undefined
}

interface Row {
  may: readonly Caller[]
  /** What the path names, by parameter; what is left out names nothing. */
  at?: Readonly<Record<string, Whose>>
  query?: Readonly<Record<string, string>>
  body?: (unique: string, idOf: (whose: Whose) => string) => unknown
  /** The declaration lets more callers in, and the use case refuses some of them. */
  isNarrowed?: true
  /** It would end what other rows rest on, so everybody comes with a session of their own. */
  isHarmful?: true
  /** Where a caller who may call is answered as one who may not, for the request's own sake. */
  answers?: Partial<Record<Caller, number>>
}

const EVERYBODY: Row = { may: CALLERS }
const SOMEBODY: Row = { may: PEOPLE }
const holders = (...permissions: readonly (typeof ADMINISTRATORS)[number][]): Row => ({
  may: [...permissions, 'superuser'],
})
const PERMISSIONS = holders('permissions_admin')
const ACCOUNTS = holders('accounts_admin')
const CLIENTS = holders('clients_admin')
const TEAMS = holders('teams_admin')
const KEYED = { body: (key: string) => ({ key }) }
const NOTHING = { body: () => ({}) }

const OWN = { at: { id: 'own' } } as const
const ANOTHERS = { at: { id: 'another' } } as const
const ASKERS = [...PEOPLE, 'elsewhere', 'access:read'] as const
const OF_OTHERS = ['access:read', 'permissions_admin', 'accounts_admin', 'superuser'] as const
const COMBINED: readonly Row[] = [
  { ...OWN, may: ASKERS },
  { ...ANOTHERS, may: OF_OTHERS },
]
const asking = (more: Partial<Row>): readonly Row[] => COMBINED.map((row) => ({ ...row, ...more }))
const QUESTION = asking({ query: { permissions: 'movies:edit' } })
const QUESTION_BY_BODY = asking({ body: () => ({ permissions: 'movies:edit' }) })

const evaluating = (whose: Whose, many: boolean): Partial<Row> => ({
  body(_, idOf) {
    const subject = { type: 'user', id: idOf(whose) }
    const rest = { action: { name: 'edit' }, resource: { type: 'movies', id: '1' } }
    return many ? { ...rest, evaluations: [{ subject }, { subject }] } : { subject, ...rest }
  },
})
const evaluations = (many: boolean): readonly Row[] => [
  { may: [...PEOPLE, 'access:read'], ...evaluating('own', many) },
  { may: OF_OTHERS, ...evaluating('another', many), isNarrowed: true },
]

const MANAGED = { at: { id: 'managed' } } as const
const UNMANAGED = { at: { id: 'unmanaged' } } as const
const byManagersToo = (more: Partial<Row> = {}): readonly Row[] => [
  { may: ['teams_admin', 'superuser', 'manager'], ...MANAGED, ...more },
  { ...TEAMS, ...UNMANAGED, ...more },
]
const notByManagers = (more: Partial<Row> = {}): Row => ({ ...TEAMS, ...MANAGED, ...more })

const TABLE: Readonly<Record<string, Row | readonly Row[]>> = {
  signIn: { ...EVERYBODY, ...NOTHING },
  refreshSession: { ...EVERYBODY, body: () => ({ refresh_token: '' }) },
  // Looks at the token itself, which may be in a cookie.
  signOut: { ...SOMEBODY, isNarrowed: true, isHarmful: true },
  register: { ...EVERYBODY, ...NOTHING },
  verifyRegistration: { ...EVERYBODY, ...NOTHING },
  requestPasswordReset: { ...EVERYBODY, ...NOTHING },
  confirmPasswordReset: { ...EVERYBODY, ...NOTHING },
  validateToken: { ...EVERYBODY, answers: { nobody: 401 } },
  getAuthzenConfiguration: EVERYBODY,

  getMe: SOMEBODY,
  changeMe: { ...SOMEBODY, ...NOTHING },
  changeMyPassword: { ...SOMEBODY, ...NOTHING },
  requestEmailChange: { ...SOMEBODY, ...NOTHING },
  confirmEmailChange: { ...SOMEBODY, ...NOTHING },
  listMySignIns: SOMEBODY,
  exportMe: SOMEBODY,
  deleteMe: { ...SOMEBODY, isHarmful: true },
  listMySessions: SOMEBODY,
  endMySession: SOMEBODY,
  endMyOtherSessions: { ...SOMEBODY, isHarmful: true },

  listAccounts: ACCOUNTS,
  createAccount: { ...ACCOUNTS, body: (unique) => ({ email: `${unique}@example.org` }) },
  // An administrator may not be refused here by the ceiling, so what is changed is nothing, or nobody's.
  getAccount: [
    { ...ACCOUNTS, ...OWN },
    { ...ACCOUNTS, ...ANOTHERS },
  ],
  changeAccount: [
    { ...ACCOUNTS, ...OWN, ...NOTHING },
    { ...ACCOUNTS, ...ANOTHERS, ...NOTHING },
  ],
  deleteAccount: ACCOUNTS,
  sendPasswordReset: ACCOUNTS,
  listAccountSessions: [
    { ...ACCOUNTS, ...OWN },
    { ...ACCOUNTS, ...ANOTHERS },
  ],
  endAccountSessions: ACCOUNTS,
  endAccountSession: { ...ACCOUNTS, ...OWN },

  listAccountRoles: [
    { may: [...PEOPLE, 'elsewhere'], ...OWN },
    { ...holders('permissions_admin', 'accounts_admin'), ...ANOTHERS },
  ],
  assignRole: [
    { ...PERMISSIONS, ...OWN, body: () => ({ role: 'no-such-role' }) },
    { ...PERMISSIONS, ...ANOTHERS, body: () => ({ role: 'no-such-role' }) },
  ],
  unassignRole: { ...PERMISSIONS, ...OWN },
  listAccountPermissions: [
    { may: [...PEOPLE, 'elsewhere'], ...OWN },
    { ...holders('permissions_admin', 'accounts_admin'), ...ANOTHERS },
  ],
  givePermission: [
    { ...PERMISSIONS, ...OWN, body: () => ({ permission: 'no-such-permission' }) },
    { ...PERMISSIONS, ...ANOTHERS, body: () => ({ permission: 'no-such-permission' }) },
  ],
  takePermission: { ...PERMISSIONS, ...OWN },

  listPermissions: PERMISSIONS,
  createPermission: { ...PERMISSIONS, ...KEYED },
  readPermission: PERMISSIONS,
  changePermission: { ...PERMISSIONS, ...NOTHING },
  deletePermission: PERMISSIONS,
  listRoles: PERMISSIONS,
  createRole: { ...PERMISSIONS, ...KEYED },
  readRole: PERMISSIONS,
  changeRole: { ...PERMISSIONS, ...NOTHING },
  deleteRole: PERMISSIONS,
  listRolePermissions: PERMISSIONS,
  addRolePermission: { ...PERMISSIONS, body: () => ({ permission: 'movies:edit' }) },
  removeRolePermission: PERMISSIONS,
  listRoleIncludes: PERMISSIONS,
  includeRole: { ...PERMISSIONS, body: () => ({ role: 'user' }) },
  excludeRole: PERMISSIONS,
  listResources: PERMISSIONS,
  createResource: { ...PERMISSIONS, ...KEYED },
  readResource: PERMISSIONS,
  changeResource: { ...PERMISSIONS, ...NOTHING },
  deleteResource: PERMISSIONS,

  listClients: CLIENTS,
  createClient: { ...CLIENTS, body: () => ({ type: 'machine' }) },
  getClient: CLIENTS,
  changeClient: { ...CLIENTS, ...NOTHING },
  deleteClient: CLIENTS,
  rotateClientSecret: CLIENTS,

  listAuditEvents: holders('audit_read'),
  getAuditEvent: holders('audit_read'),

  evaluateAccess: evaluations(false),
  evaluateAccesses: evaluations(true),
  readCombinedPermissions: COMBINED,
  validatePermissions: QUESTION,
  validatePermissionsByBody: QUESTION_BY_BODY,
  readCombinedPermissionsOfUser: COMBINED,
  validatePermissionsOfUser: QUESTION,
  validatePermissionsByBodyOfUser: QUESTION_BY_BODY,
  streamRevocations: { may: ['events:read'] },

  listTeams: TEAMS,
  createTeam: { ...TEAMS, ...KEYED },
  readTeam: byManagersToo(),
  changeTeam: notByManagers(NOTHING),
  deleteTeam: notByManagers(), // which it is not, because it has a member
  listTeamMembers: byManagersToo(),
  addTeamMember: byManagersToo({ body: () => ({ account_id: NOBODY }) }),
  removeTeamMember: byManagersToo(),
  listTeamRoles: byManagersToo(),
  addTeamRole: notByManagers({ body: () => ({ role: 'no-such-role' }) }),
  removeTeamRole: notByManagers(),

  listVisibilityGroups: TEAMS,
  createVisibilityGroup: { ...TEAMS, ...KEYED },
  readVisibilityGroup: TEAMS,
  changeVisibilityGroup: { ...TEAMS, ...NOTHING },
  deleteVisibilityGroup: TEAMS,
  listVisibilityGroupMembers: TEAMS,
  putIntoVisibilityGroup: { ...TEAMS, body: () => ({ account_id: NOBODY }) },
  takeOutOfVisibilityGroup: TEAMS,
  decideVisibility: [
    { may: ASKERS, query: { viewer: 'own', owner: 'another', level: 'group' } },
    { may: [...OF_OTHERS, 'teams_admin'], query: { viewer: 'another', owner: 'own', level: 'group' } },
  ],
}

const rowsOf = (id: string): readonly Row[] => {
  const rows = TABLE[id] ?? []
  return 'may' in rows ? [rows] : rows
}

/** Whom the declaration of a route lets in, with what this row asks for. */
function isDeclared(who: Need, caller: Caller, { at = {}, query = {} }: Row): boolean {
  if (who.anyone) return true
  if (caller === 'nobody' || caller === 'forger') return false
  if (isOneOf(SERVICES, caller)) return who.scopes?.includes(caller) === true
  if (who.self !== undefined && at[who.self] === 'own') return true
  if (who.selfQuery !== undefined && query[who.selfQuery] === 'own') return true
  if (caller === 'elsewhere') return false
  if (who.account) return true
  if (who.permissions && (caller === 'superuser' || who.permissions.includes(caller))) return true
  return caller === 'manager' && who.manages !== undefined && at[who.manages] === 'managed'
}

const isOneOf = <T extends Caller>(group: readonly T[], caller: Caller): caller is T =>
  (group as readonly Caller[]).includes(caller)

let routes: readonly Route[] = []
await withUnusedServer((server) => {
  routes = server.routes()
})

describe('who may call what', function () {
  this.timeout(60_000)
  let world: World
  let apis: Api[]
  let another: string
  const visitors = new Map<Caller, Visitor>()
  const teamIds = new Map<Whose, string>()
  const clients = new Map<Caller, string>()
  let serial = 0

  before(async () => {
    world = await startWorld({ servers: 2 })
    apis = [createApi(world, 0), createApi(world, 1)]
    const { access, teams, clients: registry } = world.core
    await access.initialize()
    await access.ensurePermission({ key: 'movies:edit' })
    for (const permission of ADMINISTRATORS)
      await access.ensureRole({ key: `holds:${permission}`, permissions: [permission] })
    for (const key of ['managed', 'unmanaged'] as const) {
      await teams.ensure({ key })
      teamIds.set(key, (await teams.findByKey(key))?.id ?? '')
    }
    await registry.create({
      id: 'elsewhere',
      type: 'spa',
      redirectUris: ['https://elsewhere.example/cb'],
      scopes: ['openid', 'profile', 'access:read', 'events:read'],
    })
    for (const caller of SERVICES) {
      const scopes = caller === 'no scope' ? [] : [caller]
      const { client, secret = '' } = await registry.create({ type: 'machine', scopes })
      clients.set(caller, basic(client.id, secret))
    }
    another = (await person('another')).id
    for (const caller of CALLERS) visitors.set(caller, await arrive(caller))
  })
  after(() => world?.stop())

  /** Whoever comes again is somebody else of the same kind. */
  async function arrive(caller: Caller): Promise<Visitor> {
    if (caller === 'nobody') return { id: another, bearer: undefined }
    if (isOneOf(SERVICES, caller)) return { id: another, bearer: await serviceToken(caller) }
    if (caller === 'forger') return { id: another, bearer: forgedFrom((await person('superuser')).bearer) }
    return person(caller)
  }

  async function person(caller: string): Promise<Visitor & { bearer: string }> {
    const { access, accounts, teams } = world.core
    serial += 1
    const login = `person-${serial}@example.org`
    const { id } = await accounts.create({ email: login, password: PASSWORD, emailVerified: true })
    if (isOneOf(ADMINISTRATORS, caller as Caller)) await access.assignRole(id, `holds:${caller}`)
    if (caller === 'superuser') await access.assignRole(id, 'superuser')
    if (caller === 'manager') {
      await teams.addMember({ kind: 'operator' }, teamIds.get('managed') ?? '', { accountId: id, isManager: true })
      await teams.addMember({ kind: 'operator' }, teamIds.get('unmanaged') ?? '', { accountId: id, isManager: false })
    }
    if (caller === 'elsewhere') return { id, bearer: await tokenOfOthers(login) }
    const reply = await apis[0]?.('POST', '/session', { json: { login, password: PASSWORD } })
    expect(reply?.status, reply?.text).to.equal(200)
    return { id, bearer: reply?.json<TokenResponse>().access_token ?? '' }
  }

  async function tokenOfOthers(login: string): Promise<string> {
    const flow = createCodeFlow(world, { id: 'elsewhere', redirectUri: 'https://elsewhere.example/cb' })
    const scope = 'openid profile access:read events:read'
    const authorization = await flow.authorize(flow.newAgent(), { scope }, { login, password: PASSWORD })
    const tokens = tokensOf(await flow.redeem(authorization))
    expect(tokens.scope.split(' ')).to.include.members(scope.split(' '))
    return tokens.access_token
  }

  async function serviceToken(caller: Caller): Promise<string> {
    const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
      form: { grant_type: 'client_credentials', ...(caller === 'no scope' ? {} : { scope: caller }) },
      headers: { Authorization: clients.get(caller) ?? '' },
    })
    return tokensOf(reply).access_token
  }

  async function call(route: Route, row: Row, caller: Caller): Promise<Pick<Reply, 'status'> & Partial<Reply>> {
    const found = row.isHarmful ? undefined : visitors.get(caller)
    const { id, bearer } = found ?? (await arrive(caller))
    serial += 1
    const server = serial % 2
    const idOf = (whose: Whose): string =>
      whose === 'own' ? id : whose === 'another' ? another : (teamIds.get(whose) ?? NOBODY)
    if (route.id === 'streamRevocations' && row.may.includes(caller)) {
      const address = world.servers[server]?.address ?? ''
      const listener = await listenTo({ address, issuer: world.issuer, bearer: bearer ?? '' })
      listener.close()
      return { status: listener.status }
    }
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name) => (row.at?.[name] ? idOf(row.at[name]) : NOBODY))
    const search = new URLSearchParams(row.query)
    for (const [name, value] of search) if (value === 'own' || value === 'another') search.set(name, idOf(value))
    const json = row.body?.(`matrix-${serial}`, idOf)
    return send(world.servers[server]?.address ?? '', world.issuer, `${path}?${search}`, {
      method: route.method.toUpperCase(),
      ...(json === undefined ? {} : { json }),
      headers: bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` },
    })
  }

  it('is written down for every route, and for no other', () => {
    expect(Object.keys(TABLE)).to.have.members(routes.map(({ id }) => id))
    for (const { id } of routes) expect(rowsOf(id), id).not.to.deep.equal([])
  })

  it('is asked of real parameters only', () => {
    for (const route of routes) {
      for (const { at = {}, query = {} } of rowsOf(route.id)) {
        expect(Object.keys(paramsOf(route)), route.id).to.include.members(Object.keys(at))
        expect(Object.keys(route.query ?? {}), route.id).to.include.members(Object.keys(query))
      }
      const isPersonal = route.who.self !== undefined || route.who.selfQuery !== undefined
      const isManaged = route.who.manages !== undefined
      if (isPersonal || isManaged) expect(rowsOf(route.id), route.id).to.have.lengthOf(2)
    }
  })

  for (const route of routes) {
    for (const row of rowsOf(route.id)) {
      const about = Object.entries({ ...row.at, ...row.query }).map(([name, value]) => `${name}=${value}`)
      const name = [route.id, ...about].join(' ')

      it(`${name}: as declared`, () => {
        const declared = CALLERS.filter((caller) => isDeclared(route.who, caller, row))
        if (row.isNarrowed) expect(declared).to.include.members([...row.may])
        else expect(declared).to.have.members([...row.may])
      })

      it(`${name}: as answered`, async () => {
        for (const caller of CALLERS) {
          const reply = await call(route, row, caller)
          const about = `${caller}: ${reply.status} ${reply.text}`
          const expected = row.answers?.[caller]
          if (expected !== undefined) expect(reply.status, about).to.equal(expected)
          else if (row.may.includes(caller)) {
            expect([401, 403], about).not.to.include(reply.status)
            expect(reply.status, about).to.be.below(500)
          } else {
            const isUnknown = caller === 'nobody' || caller === 'forger'
            expect(problemOf(reply as Reply), about).to.deep.equal(isUnknown ? UNAUTHENTICATED : FORBIDDEN)
          }
        }
      })
    }
  }
})

/** With rights that the signature does not cover. */
function forgedFrom(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), permissions: ['all_all'] }
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}
