/**
 * Hostile bodies, queries and headers, for every declared route: what is malformed is refused as such, is never a fault of
 * the server and never leaves a trace. Each beside what is as near to it as can be and is taken. The depth of questions
 * about permissions is in decisions.test.ts.
 */
import { expect } from 'chai'
import { sql } from 'kysely'
import { withUnusedServer } from '../../src/cli/unused-server.ts'
import { paramsOf } from '../../src/http/api.ts'
import type { Route } from '../../src/http/route.ts'
import {
  type Administration,
  BAD_QUERIES,
  BAD_REQUEST,
  type Keyed,
  NOBODY,
  type Page,
  startAdministration,
} from '../support/administration.ts'
import { pointersOf, problemOf } from '../support/api.ts'
import { PASSWORD } from '../support/code-flow.ts'
import { type Reply, send } from '../support/http.ts'

type BodyRoute = Route & { body: NonNullable<Route['body']> }
type Member = readonly [name: string, schema: Readonly<Record<string, unknown>>]

const JSON_LIMIT = 64 * 1024
const FORM_LIMIT = 64 * 1024
const TOO_LARGE = [413, 'payload_too_large']
const LONG = `${'a'.repeat(60_000)}!`
/** AuthZEN lets requests carry more than is known; these decide only, and write nothing. */
const OPEN_BODIES = ['evaluateAccess', 'evaluateAccesses']
/** What nobody says of himself. */
const FORGED = {
  is_superuser: true,
  roles: ['superuser'],
  is_staff: true,
  password_hash: 'x',
  created_at: '2020-01-01T00:00:00Z',
  is_system: true,
}

let routes: readonly Route[] = []
await withUnusedServer((server) => {
  routes = server.routes()
})
const withBody = routes.filter((route): route is BodyRoute => route.body !== undefined)
const lists = routes.filter(({ page }) => page !== undefined)

describe('hostile input', function () {
  this.timeout(60_000)
  let at: Administration

  before(async function () {
    this.timeout(60_000)
    at = await startAdministration()
  })
  after(() => at?.world.stop())

  /** By whoever may do everything; what the path names is not there, or is theirs. */
  async function call(route: Route, body: string | undefined, { query = '', headers = {} } = {}): Promise<Reply> {
    const { world, root } = at
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name) =>
      name === 'id' && route.who.self !== undefined ? root.id : exampleOf(route, name),
    )
    return send(world.servers[0]?.address ?? '', world.issuer, path + query, {
      method: route.method.toUpperCase(),
      ...(body === undefined ? {} : { json: body }),
      headers: { Authorization: `Bearer ${root.bearer}`, ...headers },
    })
  }

  const exampleOf = (route: Route, name: string): string =>
    JSON.stringify(paramsOf(route)[name]?.schema).includes('uuid') ? NOBODY : 'g.abcdefghij'

  async function countsOf(): Promise<unknown> {
    const { rows } = await sql`
      select (select count(*) from accounts) as accounts, (select count(*) from roles) as roles,
        (select count(*) from permissions) as permissions, (select count(*) from teams) as teams,
        (select count(*) from clients) as clients, (select count(*) from resources) as resources,
        (select count(*) from visibility_groups) as groups, (select count(*) from account_roles) as assigned,
        (select count(*) from audit_events) as events`.execute(at.world.stores.database.db)
    return rows[0]
  }

  /** Every one of these is refused, and nothing has come of it. */
  async function refuses(route: Route, bodies: readonly string[], expected: readonly unknown[]): Promise<void> {
    const before = await countsOf()
    for (const body of bodies) {
      const reply = await call(route, body)
      expect(problemOf(reply), `${route.id} ${body.slice(0, 120)}: ${reply.text}`).to.deep.equal(expected)
    }
    expect(await countsOf(), route.id).to.deep.equal(before)
  }

  for (const route of withBody) {
    const isOpen = OPEN_BODIES.includes(route.id)

    if (!isOpen) {
      it(`${route.id} takes no member that it has not declared (A099)`, async () => {
        expect(route.body.additionalProperties).to.equal(false)
        for (const name of Object.keys(FORGED)) expect(Object.keys(route.body.properties)).not.to.include(name)
        const before = await countsOf()
        const reply = await call(route, JSON.stringify(FORGED))
        expect(problemOf(reply), reply.text).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(reply)).to.include.members(Object.keys(FORGED).map((name) => `/${name}`))
        expect(await countsOf()).to.deep.equal(before)
      })
    }

    it(`${route.id} takes no key that reaches for prototypes (A102)`, () =>
      refuses(
        route,
        [
          '{"__proto__":{"isAdmin":true}}',
          '{"constructor":{"prototype":{"isAdmin":true}}}',
          '{"prototype":{}}',
          ...membersOf(route).map(([name]) => `{${JSON.stringify(name)}:{"__proto__":{"isAdmin":true}}}`),
          ...membersOf(route).map(([name]) => `{${JSON.stringify(name)}:[{"constructor":{"prototype":{}}}]}`),
        ],
        BAD_REQUEST,
      ))

    it(`${route.id} reads no more than 64 KiB (A103)`, () =>
      refuses(route, [' '.repeat(JSON_LIMIT + 1), `{"a":"${'a'.repeat(1024 * 1024)}"}`], TOO_LARGE))

    it(`${route.id} stands texts without end, of the wrong kind, halved and broken (A106, A108)`, async () => {
      const { never, long, odd } = TRAPS
      const before = await countsOf()
      for (const [name, schema] of membersOf(route)) {
        for (const trap of [...never, ...(isOpen ? [] : strangersTo(schema)), ...long]) {
          const reply = await call(route, bodyWith(name, trap))
          const about = `${name}=${trap.slice(0, 60)}: ${reply.text.slice(0, 300)}`
          if (long.includes(trap)) expect(reply.status, about).to.be.within(400, 499)
          else expect(problemOf(reply), about).to.deep.equal(BAD_REQUEST)
        }
      }
      expect(await countsOf()).to.deep.equal(before)
      for (const [name] of membersOf(route)) {
        for (const text of odd) {
          const reply = await call(route, bodyWith(name, text))
          expect(reply.status, `${name}=${text}: ${reply.text.slice(0, 300)}`).to.be.below(500)
        }
      }
    })
  }

  for (const route of lists) {
    it(`${route.id} begins at no cursor of others and sorts by nothing that it is told (A109)`, async () => {
      const before = await countsOf()
      const queries = [
        ...BAD_QUERIES,
        'sort=id;drop table accounts',
        '__proto__[isAdmin]=1',
        'constructor=x',
        'offset=1',
      ]
      for (const query of queries.map((text) => `?${text.replaceAll(' ', '%20')}`)) {
        if (route.page?.search === undefined && query.includes('search=')) continue
        const reply = await call(route, undefined, { query })
        expect(problemOf(reply), `${query}: ${reply.text}`).to.deep.equal(BAD_REQUEST)
      }
      const own = `?limit=1&search=${encodeURIComponent("'; drop table accounts; --")}`
      if (route.page?.search !== undefined) {
        const reply = await call(route, undefined, { query: own })
        expect([200, 404], reply.text).to.include(reply.status)
        if (reply.status === 200) expect(reply.json<Page<unknown>>().items).to.deep.equal([])
      }
      const first = await call(route, undefined, { query: '?limit=1' })
      expect([200, 404], first.text).to.include(first.status)
      const { next_cursor: cursor } = first.json<Page<unknown>>()
      if (cursor) {
        expect((await call(route, undefined, { query: `?limit=1&cursor=${cursor}` })).status).to.equal(200)
      }
      expect(await countsOf()).to.deep.equal(before)
    })
  }

  it('does not reach the prototypes of the server, which creates as before', async () => {
    const asRoot = at.calling(at.root)
    const attributes = { tags: ['a'], nested: { proto: 1, hasOwnProperty: 'x', toString: 'y' } }
    const email = 'proto@example.org'
    const reply = await asRoot('POST', '/accounts', { email, attributes })
    expect([reply.status, reply.json().attributes]).to.deep.equal([201, attributes])
    expect((await asRoot('POST', '/roles', { key: 'hasOwnProperty' })).status).to.equal(201)
    expect((await asRoot('POST', '/roles', { key: 'constructor' })).status).to.equal(201)
    expect(problemOf(await asRoot('POST', '/roles', { key: '__proto__' }))).to.deep.equal(BAD_REQUEST)
  })

  it('is a body of the largest size no more than one of the smallest', async () => {
    const padded = (length: number) => {
      const json = JSON.stringify({ key: at.unique('padded') })
      return json + ' '.repeat(length - json.length)
    }
    expect((await at.calling(at.root)('POST', '/roles', padded(JSON_LIMIT))).status).to.equal(201)
    expect(problemOf(await at.calling(at.root)('POST', '/roles', padded(JSON_LIMIT + 1)))).to.deep.equal(TOO_LARGE)
  })

  it('is no JSON that is nested deeper than anybody writes', async () => {
    const asRoot = at.calling(at.root)
    const { id } = (await asRoot('POST', '/accounts', { email: 'deep@example.org' })).json<Keyed>()
    const { id: client } = (await asRoot('POST', '/clients', { type: 'machine' })).json<Keyed>()
    const nested = (levels: number, [open, close]: readonly [string, string]) =>
      `{"a":${open.repeat(levels - 2)}1${close.repeat(levels - 2)}}`
    const KINDS = [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const
    const calls = (value: string): [method: string, path: string, json: string][] => [
      ['POST', '/accounts', `{"email":"${at.unique('deep')}@example.org","attributes":${value}}`],
      ['POST', '/accounts', `{"email":"${at.unique('deep')}@example.org","profile":{"address":${value}}}`],
      ['PATCH', `/accounts/${id}`, `{"attributes":${value}}`],
      ['PATCH', '/me', `{"attributes":${value}}`],
      ['POST', '/clients', `{"type":"machine","metadata":${value}}`],
      ['PATCH', `/clients/${client}`, `{"metadata":${value}}`],
    ]
    const before = await countsOf()
    for (const kind of KINDS) {
      for (const levels of [18, 100, 1_000, 10_000]) {
        for (const [method, path, json] of calls(nested(levels, kind))) {
          const reply = await asRoot(method, path, json, { 'Idempotency-Key': at.unique('deep-one') })
          const about = `${method} ${path} ${levels} ${kind[0]}: ${reply.text.slice(0, 200)}`
          expect(problemOf(reply), about).to.deep.equal(BAD_REQUEST)
        }
      }
    }
    expect(await countsOf()).to.deep.equal(before)
    for (const kind of KINDS) {
      for (const [method, path, json] of calls(nested(15, kind))) {
        const reply = await asRoot(method, path, json)
        expect(reply.status, `${method} ${path}: ${reply.text}`).to.be.within(200, 201)
      }
    }
  })

  it('is a header, an address or a form of the largest size, beyond which none is read (A103)', async () => {
    const { world } = at
    const [address, issuer] = [world.servers[0]?.address ?? '', world.issuer]
    // The server may have closed the connection before all of it was sent.
    const reset = (error: unknown) => {
      expect(error).to.have.property('code', 'ECONNRESET')
      return { status: 431 }
    }
    const huge = await send(address, issuer, '/', { headers: { 'X-Long': 'x'.repeat(100 * 1024) } }).catch(reset)
    expect(huge.status).to.equal(431)
    const long = await send(address, issuer, `/api/v1/roles?search=${'a'.repeat(20 * 1024)}`).catch(reset)
    expect([414, 431]).to.include(long.status)
    const token = (fields: string) =>
      send(address, issuer, '/oauth2/token', {
        json: `grant_type=client_credentials&${fields}`,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      })
    for (const fields of [
      `scope=${'a'.repeat(FORM_LIMIT)}`,
      `scope=${'a'.repeat(1024 * 1024)}`,
      Array.from({ length: 10_000 }, (_, place) => `k${place}=`).join('&'),
    ]) {
      const reply = await token(fields)
      expect([400, 413], `${fields.length}: ${reply.text.slice(0, 200)}`).to.include(reply.status)
    }
    const polluted = await token('a[__proto__][x]=1&__proto__[isAdmin]=1&constructor=x')
    expect([400, 401]).to.include(polluted.status)
    expect((await send(address, issuer, `/api/v1/roles?search=${'a'.repeat(200)}`)).status).to.equal(401)
    const cause = { headers: { Authorization: `Bearer ${at.root.bearer}` } }
    expect((await send(address, issuer, `/api/v1/roles?search=${'a'.repeat(200)}`, cause)).status).to.equal(200)
  })

  it('is a header that goes on and on (A106)', async () => {
    const [role] = await at.all('/roles', 100)
    const route = routes.find(({ id }) => id === 'readRole') as Route
    const text = `${'a'.repeat(12_000)}!`
    for (const name of [
      ...['User-Agent', 'Accept', 'Accept-Language', 'X-Forwarded-Proto', 'X-Forwarded-For', 'Forwarded', 'Origin'],
      ...['Referer', 'If-None-Match', 'If-Match', 'Cookie', 'X-Request-Id', 'Idempotency-Key', 'Traceparent'],
    ]) {
      for (const value of [
        text,
        `"${text}"`,
        `${'a;q='.repeat(3_000)}!`,
        `${'en-'.repeat(4_000)}`,
        ','.repeat(12_000),
      ]) {
        const reply = await call({ ...route, path: `/api/v1/roles/${role?.id}` }, undefined, {
          headers: { [name]: value },
        })
        expect(reply.status, `${name}: ${reply.text.slice(0, 100)}`).to.be.below(500)
      }
    }
    for (const value of [`Bearer ${text}`, `Basic ${text}`, text, `Bearer ${'a.'.repeat(6_000)}`, `DPoP ${text}`]) {
      const reply = await call(route, undefined, { headers: { Authorization: value } })
      expect(reply.status, value.slice(0, 20)).to.equal(401)
    }
    expect((await at.asAdmin('GET', `/roles/${role?.id}`)).status).to.equal(200)
  })

  it('is a password beyond 256 characters, and not one of 256 that are rare (A107)', async () => {
    const asRoot = at.calling(at.root)
    const longest = `${'🦊'.repeat(128)}${'ж'.repeat(128)}`
    const login = 'long-password@example.org'
    const before = await countsOf()
    for (const password of [`${longest}x`, 'x'.repeat(257), 'x'.repeat(4_097)]) {
      const reply = await asRoot('POST', '/accounts', { email: login, password })
      expect(reply.status, reply.text).to.equal(400)
      expect((await at.api('POST', '/session', { json: { login, password } })).status).to.be.within(400, 401)
    }
    expect(
      problemOf(await asRoot('POST', '/accounts', { email: login, password: 'x'.repeat(1024 * 1024) })),
    ).to.deep.equal(TOO_LARGE)
    expect(await countsOf()).to.deep.equal(before)
    const created = await asRoot('POST', '/accounts', { email: login, password: longest, email_verified: true })
    expect(created.status, created.text).to.equal(201)
    expect((await at.api('POST', '/session', { json: { login, password: longest } })).status).to.equal(200)
    expect((await at.api('POST', '/session', { json: { login, password: PASSWORD } })).status).to.equal(401)
  })

  it('is no number beyond all numbers, which would be stored as none', async () => {
    const asRoot = at.calling(at.root)
    for (const [path, json] of [
      ['/accounts', '{"email":"beyond@example.org","attributes":{"height":1e999}}'],
      ['/accounts', '{"email":"beyond@example.org","attributes":{"list":[-1e999]}}'],
      ['/clients', '{"type":"machine","metadata":{"default_max_age":1e999}}'],
      ['/clients', '{"type":"machine","access_token_ttl_seconds":1e999}'],
    ] as const) {
      expect(problemOf(await asRoot('POST', path, json)), json).to.deep.equal(BAD_REQUEST)
    }
    const attributes = { least: -1e308, most: 1e308, small: 5e-324 }
    const reply = await asRoot('POST', '/accounts', { email: 'numbers@example.org', attributes })
    expect([reply.status, reply.json().attributes]).to.deep.equal([201, attributes])
  })

  it('is not text of all the world, which comes back as it went (A108)', async () => {
    const asRoot = at.calling(at.root)
    const description = `Жёлтый 🦊 «${'日本'.repeat(50)}» e\u0301 \u202e \ufeff`
    const reply = await asRoot('POST', '/roles', { key: at.unique('world'), description })
    expect(reply.status, reply.text).to.equal(201)
    expect((await asRoot('GET', `/roles/${reply.json<Keyed>().id}`)).json()).to.include({ description })
    const longest = 'я'.repeat(500)
    const second = await asRoot('POST', '/roles', { key: 'k'.repeat(100), description: longest })
    expect([second.status, second.json().description]).to.deep.equal([201, longest])
  })
})

const membersOf = (route: BodyRoute): Member[] =>
  Object.entries(route.body.properties as Record<string, object>) as Member[]

const bodyWith = (name: string, value: string): string => `{${JSON.stringify(name)}:${value}}`

const TRAPS = {
  /** What no member takes. */
  never: ['"\\ud800"', '"a\\udc00b"', '"a\\u0000b"', '["\\u0000"]', '{"\\u0000":1}', '1e999', '-1e999', 'NaN', '01'],
  /** What expressions may search for ever. */
  long: [LONG, `${'a@'.repeat(30_000)}!`, `${' '.repeat(60_000)}x`, `${'a.'.repeat(30_000)}!`].map((text) =>
    JSON.stringify(text),
  ),
  /** What others make something of. */
  odd: ['', '0', '%00', "' or 1=1 --", '../../etc/passwd', '{{7*7}}', '$1'].map((text) => JSON.stringify(text)),
}

const KINDS: readonly (readonly [kind: string, value: string])[] = [
  ['string', '"x"'],
  ['number', '1'],
  ['boolean', 'true'],
  ['array', '[]'],
  ['object', '{}'],
  ['null', 'null'],
]

/** What a member of this kind is not: nothing is made of a text that looks like a number, nor the other way round. */
function strangersTo({ type, enum: values }: Member[1]): string[] {
  const types = [type ?? (values === undefined ? [] : 'string')]
    .flat()
    .map((one) => (one === 'integer' ? 'number' : one))
  if (types.length === 0) return []
  const strangers = KINDS.filter(([kind]) => !types.includes(kind)).map(([, value]) => value)
  return types.includes('string') ? strangers : [...strangers, '"1"', '"true"', '"[]"', '"1e3"']
}
