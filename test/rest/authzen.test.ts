/** /access/v1: the OpenID AuthZEN Authorization API 1.0 over our own decisions. */
import { expect } from 'chai'
import { type Api, createApi, pointersOf, problemOf } from '../support/api.ts'
import { PASSWORD, type TokenResponse } from '../support/code-flow.ts'
import { until } from '../support/eventually.ts'
import { basic, type Reply, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const ONE = '/access/v1/evaluation'
const MANY = '/access/v1/evaluations'
const UNAUTHENTICATED = [401, 'unauthenticated']
const FORBIDDEN = [403, 'forbidden']
const BAD_REQUEST = [400, 'bad_request']
const NOBODY = '01890000-0000-7000-8000-000000000000'

describe('AuthZEN', function () {
  this.timeout(30_000)
  let world: World
  let api: Api
  let service: string
  let alice: { id: string; bearer: string }
  let serial = 0

  before(async function () {
    this.timeout(40_000)
    world = await startWorld({ servers: 2 })
    api = createApi(world)
    const { access, clients } = world.core
    await access.initialize()
    for (const key of ['document:read', 'publish']) await access.ensurePermission({ key })
    await access.ensureRole({ key: 'reader', permissions: ['document:read'] })
    await access.ensureRole({ key: 'publisher', permissions: ['publish'] })
    await access.ensureRole({ key: 'rights-admin', permissions: ['permissions_admin'] })
    alice = await somebody('reader')
    await clients.create({ id: 'gateway', type: 'machine', secret: 's'.repeat(40), scopes: ['access:read'] })
    await clients.create({ id: 'other', type: 'machine', secret: 's'.repeat(40), scopes: ['orders:read'] })
    service = await tokenOf('gateway')
  })
  after(() => world?.stop())

  async function somebody(role?: string) {
    serial += 1
    const email = `person-${serial}@example.org`
    const { id } = await world.core.accounts.create({ email, password: PASSWORD, emailVerified: true })
    if (role !== undefined) await world.core.access.assignRole(id, role)
    const reply = await api('POST', '/session', { json: { login: email, password: PASSWORD } })
    return { id, bearer: reply.json<TokenResponse>().access_token }
  }
  async function tokenOf(client: string): Promise<string> {
    const form = { grant_type: 'client_credentials', ...(client === 'gateway' ? { scope: 'access:read' } : {}) }
    const headers = { Authorization: basic(client, 's'.repeat(40)) }
    const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', { form, headers })
    expect(reply.status, reply.text).to.equal(200)
    return reply.json<TokenResponse>().access_token
  }
  const ask = (
    path: string,
    json: unknown,
    { bearer = service, server = 0, headers = {} }: { bearer?: string; server?: number; headers?: object } = {},
  ): Promise<Reply> =>
    send(world.servers[server]?.address ?? '', world.issuer, path, {
      method: 'POST',
      json,
      headers: { ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}), ...headers },
    })
  const about = (id: string, action: string, type = 'document', subjectType = 'user') => ({
    subject: { type: subjectType, id },
    action: { name: action },
    resource: { type, id: 'boxcarring.md' },
  })
  const answerOf = async (json: unknown, path = ONE) => {
    const reply = await ask(path, json)
    expect(reply.status, reply.text).to.equal(200)
    return reply.json<unknown>()
  }

  for (const path of [ONE, MANY]) {
    it(`${path} is for who has a token, before anything else is looked at`, async () => {
      for (const bearer of ['', 'x', `${service}x`]) {
        const reply = await ask(path, undefined, { bearer, headers: { Accept: 'text/html' } })
        expect(problemOf(reply)).to.deep.equal(UNAUTHENTICATED)
        expect(reply.headers['www-authenticate']).to.match(/^Bearer/)
      }
    })

    it(`${path} is refused to clients without the scope`, async () => {
      expect(problemOf(await ask(path, about(alice.id, 'read'), { bearer: await tokenOf('other') }))).to.deep.equal(
        FORBIDDEN,
      )
    })

    it(`${path} tells an account about itself, and about others only who administers them`, async () => {
      const [bob, admin, root] = [await somebody(), await somebody('rights-admin'), await somebody('superuser')]
      for (const type of ['user', 'account']) {
        const own = await ask(path, about(alice.id, 'read', 'document', type), { bearer: alice.bearer })
        expect(own.json(), own.text).to.deep.equal({ decision: true })
      }
      for (const subject of [bob.id, NOBODY, 'non_registered', alice.id.toUpperCase()]) {
        const reply = await ask(path, about(subject, 'read'), { bearer: alice.bearer })
        expect(problemOf(reply)).to.deep.equal(FORBIDDEN)
      }
      const machine = await ask(path, about(alice.id, 'read', 'document', 'machine'), { bearer: alice.bearer })
      expect(problemOf(machine)).to.deep.equal(FORBIDDEN)
      for (const { bearer } of [admin, root]) {
        expect((await ask(path, about(alice.id, 'read'), { bearer })).json()).to.deep.equal({ decision: true })
      }
    })

    it(`${path} refuses what is no request, and says where`, async () => {
      const right = about(alice.id, 'read')
      const wrong: [unknown, string][] = [
        [{ ...right, subject: undefined }, '/subject'],
        [{ ...right, subject: { type: 'user' } }, '/subject/id'],
        [{ ...right, subject: { type: 'user', id: '' } }, '/subject/id'],
        [{ ...right, action: { name: 7 } }, '/action/name'],
        [{ ...right, resource: 'document' }, '/resource'],
        [{ ...right, wish: true }, '/wish'],
      ]
      for (const [json, pointer] of wrong) {
        const reply = await ask(path, json)
        expect(problemOf(reply), pointer).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(reply)).to.include(pointer)
      }
      expect(problemOf(await ask(path, []))).to.deep.equal(BAD_REQUEST)
    })
  }

  it('permits who holds the permission of resource type and action, or one called as the action', async () => {
    const publisher = await somebody('publisher')
    const [root, nobody] = [await somebody('superuser'), await somebody()]
    const cases: [string, string, string, boolean][] = [
      [alice.id, 'read', 'document', true],
      [alice.id, 'read', 'letter', false],
      [alice.id, 'write', 'document', false],
      [alice.id, 'document:read', 'anything', true],
      [publisher.id, 'publish', 'anything', true],
      [publisher.id, 'read', 'document', false],
      [root.id, 'whatever', 'there is', true],
      [nobody.id, 'read', 'document', false],
      [NOBODY, 'read', 'document', false],
      ['alice@acmecorp.com', 'read', 'document', false],
      ['non_registered', 'read', 'document', false],
    ]
    for (const [id, action, type, decision] of cases) {
      expect(await answerOf(about(id, action, type)), `${id} ${action} ${type}`).to.deep.equal({ decision })
    }
  })

  it('knows no subjects but accounts', async () => {
    const answer = await answerOf(about(alice.id, 'read', 'document', 'machine'))
    expect(answer).to.deep.equal({ decision: false, context: { reason: 'unknown_subject_type' } })
  })

  it('permits nothing to a disabled account, and nothing that was taken away, on every server', async () => {
    const { id } = await somebody('reader')
    const untilEverywhere = async (decision: boolean) => {
      for (const server of [0, 1]) await untilOn(server, about(id, 'read'), decision)
    }
    expect(await answerOf(about(id, 'read'))).to.deep.equal({ decision: true })
    await world.core.accounts.disable(id)
    await untilEverywhere(false)
    await world.core.accounts.enable(id)
    await untilEverywhere(true)
    await world.core.access.removeRole(id, 'reader')
    await untilEverywhere(false)
  })

  /** Memory is confirmed within a second. */
  const untilOn = (server: number, json: unknown, decision: boolean): Promise<void> =>
    until(async () => (await ask(ONE, json, { server })).json<{ decision: boolean }>().decision === decision)

  it('takes what the examples of the specification carry besides', async () => {
    const request = about(alice.id, 'read')
    const rich = {
      subject: { ...request.subject, properties: { department: 'Sales' } },
      action: { ...request.action, properties: { method: 'GET' } },
      resource: { ...request.resource, properties: { library_record: { title: 'AuthZEN', isbn: '978-0593383322' } } },
      context: { time: '2024-10-26T01:22-07:00' },
    }
    const reply = await ask(ONE, rich, { headers: { 'X-Request-ID': 'bfe9eb29-ab87-4ca3-be83-a1d5d8305716' } })
    expect(reply.json()).to.deep.equal({ decision: true })
    expect(reply.headers['x-request-id']).to.equal('bfe9eb29-ab87-4ca3-be83-a1d5d8305716')
    expect(reply.headers['cache-control']).to.equal('no-store')
  })

  describe('several at once', () => {
    const shared = (id = alice.id) => ({ subject: { type: 'user', id }, context: { time: '2024-05-31T15:22-07:00' } })
    const read = { action: { name: 'read' }, resource: { type: 'document', id: '1' } }
    const write = { action: { name: 'write' }, resource: { type: 'document', id: '2' } }
    const decisions = async (json: object) =>
      (await answerOf(json, MANY)) as { evaluations: { decision: boolean; context?: object }[] }

    it('are answered in their order, with defaults that each may replace as a whole', async () => {
      const json = {
        ...shared(),
        action: { name: 'read' },
        evaluations: [
          { resource: { type: 'document', id: '1' } },
          { resource: { type: 'letter', id: '2' } },
          { action: { name: 'write' }, resource: { type: 'document', id: '3' } },
          { resource: { type: 'document', id: '4' }, subject: { type: 'user', id: NOBODY } },
        ],
      }
      const expected = [true, false, false, false].map((decision) => ({ decision }))
      expect(await decisions(json)).to.deep.equal({ evaluations: expected })
    })

    const semantics: [string | undefined, boolean[]][] = [
      [undefined, [true, false, true]],
      ['execute_all', [true, false, true]],
      ['deny_on_first_deny', [true, false]],
      ['permit_on_first_permit', [true]],
    ]
    for (const [semantic, expected] of semantics) {
      it(`end where ${semantic ?? 'no semantic'} says`, async () => {
        const options = semantic === undefined ? {} : { options: { evaluations_semantic: semantic, another_option: 1 } }
        const answer = await decisions({ ...shared(), ...options, evaluations: [read, write, read] })
        expect(answer.evaluations.map(({ decision }) => decision)).to.deep.equal(expected)
      })
    }

    it('deny what is incomplete, and answer the others', async () => {
      const answer = await decisions({ ...shared(), evaluations: [read, { action: read.action }, read] })
      expect(answer.evaluations[1]).to.deep.equal({
        decision: false,
        context: { error: { status: 400, message: 'The resource is missing.' } },
      })
      expect(answer.evaluations.map(({ decision }) => decision)).to.deep.equal([true, false, true])
    })

    it('are one decision when there is no list, or an empty one', async () => {
      for (const more of [{}, { evaluations: [] }]) {
        expect(await answerOf({ ...about(alice.id, 'read'), ...more }, MANY)).to.deep.equal({ decision: true })
      }
    })

    it('are refused as a whole when one of them is about somebody else', async () => {
      const evaluations = [read, { ...write, subject: { type: 'user', id: NOBODY } }]
      const reply = await ask(MANY, { ...shared(), evaluations }, { bearer: alice.bearer })
      expect(problemOf(reply)).to.deep.equal(FORBIDDEN)
    })

    it('are at most a hundred, with semantics that exist', async () => {
      const many = (count: number) => ({ ...shared(), evaluations: Array.from({ length: count }, () => read) })
      expect((await decisions(many(100))).evaluations).to.have.length(100)
      for (const json of [many(101), { ...many(1), options: { evaluations_semantic: 'maybe' } }]) {
        expect(problemOf(await ask(MANY, json))).to.deep.equal(BAD_REQUEST)
      }
    })
  })

  it('publishes where it is', async () => {
    const reply = await send(world.servers[1]?.address ?? '', world.issuer, '/.well-known/authzen-configuration')
    expect(reply.headers['content-type']).to.match(/^application\/json/)
    expect(reply.json()).to.deep.equal({
      policy_decision_point: world.issuer,
      access_evaluation_endpoint: `${world.issuer}/access/v1/evaluation`,
      access_evaluations_endpoint: `${world.issuer}/access/v1/evaluations`,
    })
  })
})
