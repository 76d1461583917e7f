import { expect } from 'chai'
import fc from 'fast-check'
import { type PolicyExpression, satisfies } from '../../src/access/policy-expression.ts'
import { createPermissionChanges } from '../../src/verifier/permission-changes.ts'
import { createVerifier, type Verifier, type VerifierOptions } from '../../src/verifier/verifier.ts'
import { AUDIENCE, codeOf, type FakeIssuer, inSeconds, startFakeIssuer, until } from './fake-issuer.ts'

const QUERY: PolicyExpression = { any: ['orders:admin', { all: ['orders:read', 'orders:edit'] }] }
const COMBINED = '/api/v1/accounts/'
/** Issued long after everything that a stream has told. */
const LATER = { iat: inSeconds(3_600), exp: inSeconds(7_200) }

describe('permissions and roles by a verifier', function () {
  this.timeout(10_000)
  let server: FakeIssuer
  let verifiers: Verifier[]

  beforeEach(async () => {
    server = await startFakeIssuer()
    verifiers = []
  })
  afterEach(async () => {
    for (const verifier of verifiers) verifier.close()
    await server.stop()
  })

  const make = (options: Partial<VerifierOptions> = {}): Verifier => {
    const verifier = createVerifier({
      issuer: server.issuer,
      audience: AUDIENCE,
      stream: true,
      credentials: { clientId: 'orders', clientSecret: 'secret' },
      ...options,
    })
    verifiers.push(verifier)
    return verifier
  }
  const asked = () => server.visitsTo(COMBINED).length
  const may = async (verifier: Verifier, claims: object, query: PolicyExpression = QUERY) => {
    const token = await verifier.verify(await server.sign({ ...claims }))
    return codeOf(verifier.requirePermissions(token, query))
  }

  it('are taken from the token that was issued after all that has changed', async () => {
    const verifier = make()
    for (const [permissions, verdict] of [
      [['orders:read', 'orders:edit'], 'accepted'],
      [['orders:admin'], 'accepted'],
      [['all_all'], 'accepted'],
      [['orders:read'], 'insufficient_permissions'],
      [[], 'insufficient_permissions'],
    ]) {
      expect(await may(verifier, { ...LATER, permissions }), String(permissions)).to.equal(verdict)
    }
    expect(asked()).to.equal(0)
  })

  it('are decided as the server decides', async () => {
    const verifier = make({ stream: false })
    const { query } = fc.letrec<{ query: PolicyExpression; keys: PolicyExpression[] }>((tie) => ({
      query: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('a', 'b', 'c', 'all_all'),
        tie('keys').map((any) => ({ any })),
        tie('keys').map((all) => ({ all })),
      ),
      keys: fc.array(tie('query'), { minLength: 1, maxLength: 3 }),
    }))
    const held = fc.subarray(['a', 'b', 'c', 'all_all'])
    const base = await verifier.verify(await server.sign())
    await fc.assert(
      fc.asyncProperty(query, held, async (question, permissions) => {
        const token = { ...base, claims: { ...base.claims, permissions } }
        const verdict = await codeOf(verifier.requirePermissions(token, question))
        expect(verdict === 'accepted').to.equal(satisfies(question, new Set(permissions)))
      }),
    )
  })

  it('are asked for, once, where the token does not say them', async () => {
    server.state.holdings.set('account-1', { permissions: ['orders:admin'], roles: [] })
    server.state.holdings.set('poor', { permissions: ['orders:read'], roles: [] })
    const verifier = make()
    for (const claims of [{}, { permissions_omitted: true }, { permissions_omitted: true, permissions: [] }]) {
      expect(await may(verifier, { ...LATER, ...claims })).to.equal('accepted')
    }
    expect(asked()).to.equal(1)
    expect(await may(verifier, { ...LATER, sub: 'poor' })).to.equal('insufficient_permissions')
    expect(await may(verifier, { ...LATER, sub: 'nobody/../account-1' })).to.equal('insufficient_permissions')
    expect(server.visitsTo(COMBINED).at(-1)?.path).to.include('nobody%2F..%2Faccount-1')
  })

  it('are asked for once by all who ask at the same time', async () => {
    server.state.holdings.set('account-1', { permissions: ['orders:admin'], roles: [] })
    const verifier = make()
    await verifier.ready()
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => may(verifier, LATER)))
    expect(new Set(verdicts)).to.deep.equal(new Set(['accepted']))
    expect(asked()).to.equal(1)
  })

  it('are asked for again when the stream says that they have changed', async () => {
    const verifier = make()
    await verifier.ready()
    server.state.holdings.set('account-1', { permissions: ['orders:admin'], roles: [] })
    expect(await may(verifier, LATER)).to.equal('accepted')
    server.state.holdings.set('account-1', { permissions: [], roles: [] })
    expect(await may(verifier, LATER), 'remembered').to.equal('accepted')
    server.tell('permissions', { account: 'account-1', version: 2, at_ms: Date.now() })
    await until(async () => (await may(verifier, LATER)) === 'insufficient_permissions')
    server.state.holdings.set('account-1', { permissions: ['orders:admin'], roles: [] })
    server.tell('permissions', { everyone: true, version: 3, at_ms: Date.now() })
    await until(async () => (await may(verifier, LATER)) === 'accepted')
  })

  it('in a token that is older than a change do not count any more', async () => {
    const verifier = make()
    await verifier.ready()
    const claims = { ...LATER, permissions: ['orders:admin'] }
    const changedAt = LATER.iat * 1000
    server.state.holdings.set('account-1', { permissions: [], roles: [] })
    server.tell('permissions', { account: 'account-2', version: 2, at_ms: changedAt })
    server.tell('permissions', { account: 'account-1', version: 2, at_ms: changedAt - 60_000 })
    await until(async () => (await may(verifier, { ...claims, sub: 'account-2' })) !== 'accepted')
    expect(await may(verifier, claims)).to.equal('accepted')
    server.tell('permissions', { account: 'account-1', version: 3, at_ms: changedAt + 1 })
    await until(async () => (await may(verifier, claims)) === 'insufficient_permissions')
    expect(await may(verifier, { ...claims, iat: LATER.iat + 60 }), 'a newer token').to.equal('accepted')
  })

  it('in a token are believed by their version, not by the time of whoever issued it', async () => {
    const verifier = make()
    await verifier.ready()
    server.tell('permissions', { everyone: true, version: 5, at_ms: Date.now() })
    const claims = { permissions: ['orders:admin'] }
    await until(async () => (await may(verifier, { ...claims, pv: 5, iat: inSeconds(-60) })) === 'accepted')
    expect(asked()).to.equal(0)
    server.state.holdings.set('account-1', { permissions: [], roles: [] })
    server.tell('permissions', { account: 'account-1', version: 6, at_ms: Date.now() - 60_000 })
    await until(async () => (await may(verifier, { ...LATER, ...claims, pv: 5 })) === 'insufficient_permissions')
    expect(await may(verifier, { ...claims, pv: 6 })).to.equal('accepted')
  })

  it('are asked for once more a while after a change: not every process may have heard of it', async () => {
    const verifier = make()
    await verifier.ready()
    // What a process answers that has not heard of the change yet.
    server.state.holdings.set('account-1', { permissions: ['orders:admin'], roles: [] })
    server.tell('permissions', { account: 'account-1', version: 2, at_ms: Date.now() })
    expect(await may(verifier, LATER)).to.equal('accepted')
    server.state.holdings.set('account-1', { permissions: [], roles: [] })
    await until(async () => (await may(verifier, LATER)) === 'insufficient_permissions')
    const before = asked()
    expect(await may(verifier, LATER)).to.equal('insufficient_permissions')
    expect(asked(), 'remembered from then on').to.be.within(before, before + 1)
  })

  it('in a token that is older than the stream are asked for: what changed before was never told', async () => {
    server.state.holdings.set('account-1', { permissions: [], roles: [] })
    expect(await may(make(), { permissions: ['orders:admin'] })).to.equal('insufficient_permissions')
  })

  it('in a token are believed without a stream', async () => {
    expect(await may(make({ stream: false }), { permissions: ['orders:admin'] })).to.equal('accepted')
  })

  it('that cannot be asked for are not assumed', async () => {
    const verifier = make()
    await verifier.ready()
    for (const [status, body] of [
      [500, '{}'],
      [403, '{}'],
      [401, '{}'],
      [200, '{}'],
      [200, '{"permissions":"orders:admin","roles":[]}'],
      [200, '{"permissions":["orders:admin"]}'],
    ] as const) {
      server.state.intercept = (path, response) => {
        if (!path.startsWith(COMBINED)) return false
        response.writeHead(status).end(body)
        return true
      }
      expect(await may(verifier, LATER), `${status} ${body}`).to.equal('permissions_unavailable')
    }
    const alone = createVerifier({ issuer: server.issuer, audience: AUDIENCE, stream: false })
    expect(await may(alone, LATER), 'without credentials').to.equal('permissions_unavailable')
  })

  it('are asked for with another token when the old one is not taken any more', async () => {
    const verifier = make()
    server.state.holdings.set('account-1', { permissions: ['orders:admin'], roles: [] })
    server.state.intercept = (path, response) => {
      if (!path.startsWith(COMBINED) || asked() > 1) return false
      response.writeHead(401).end()
      return true
    }
    expect(await may(verifier, LATER)).to.equal('permissions_unavailable')
    expect(await may(verifier, LATER)).to.equal('accepted')
    const [first, second] = server.visitsTo(COMBINED).map(({ headers }) => headers.authorization)
    expect(first).to.not.equal(second)
  })

  it('that change while they are asked for are asked for again', async () => {
    const verifier = make()
    await verifier.ready()
    server.state.intercept = (path, response) => {
      if (!path.startsWith(COMBINED) || asked() > 1) return false
      server.tell('permissions', { account: 'account-1', version: 2, at_ms: Date.now() })
      // What was true when the question came, told when it is so no more.
      setTimeout(() => response.end('{"permissions":["orders:admin"],"roles":[]}'), 100)
      return true
    }
    server.state.holdings.set('account-1', { permissions: [], roles: [] })
    expect(await may(verifier, LATER)).to.equal('insufficient_permissions')
    expect(asked()).to.equal(2)
  })

  it('are nothing that a client holds by itself', async () => {
    const verifier = make()
    const client = { sub: 'app', client_id: 'app', gid: undefined, suid: undefined, roles: undefined }
    expect(await may(verifier, client)).to.equal('insufficient_permissions')
    expect(asked()).to.equal(0)
  })

  it('are the same for roles, of which none is everything', async () => {
    const verifier = make()
    await verifier.ready()
    const has = async (claims: object, query: PolicyExpression) => {
      const token = await verifier.verify(await server.sign({ ...claims }))
      return codeOf(verifier.requireRoles(token, query))
    }
    expect(await has({ ...LATER, roles: ['editor'] }, { any: ['editor', 'admin'] })).to.equal('accepted')
    expect(await has({ ...LATER, roles: ['editor'] }, { all: ['editor', 'admin'] })).to.equal(
      'insufficient_permissions',
    )
    expect(await has({ ...LATER, roles: ['all_all'] }, 'editor')).to.equal('insufficient_permissions')
    expect(asked()).to.equal(0)
    server.state.holdings.set('account-1', { permissions: [], roles: ['admin'] })
    expect(await has({ roles: ['editor'] }, 'admin'), 'an older token').to.equal('accepted')
    expect(await has({ roles: ['editor'] }, 'editor'), 'an older token').to.equal('insufficient_permissions')
  })

  it('are asked for by a rule that can be read', async () => {
    const verifier = make({ stream: false })
    for (const query of [{}, { any: [] }, { none: ['a'] }, 'a b', null, 5, { any: ['a'], all: ['a'] }]) {
      const given = query as PolicyExpression // what plain JavaScript may hand over
      expect(await may(verifier, {}, given), JSON.stringify(query)).to.match(/malformed/)
      expect(() => verifier.http(() => {}, { permissions: given }), JSON.stringify(query)).to.throw(TypeError)
      expect(() => verifier.koa({ roles: given }), JSON.stringify(query)).to.throw(TypeError)
    }
  })
})

describe('what is known of changed permissions', () => {
  const claims = (sub: string, iat: number, pv?: number) => ({
    ...{ iss: 'i', sub, aud: 'a', client_id: 'c', jti: 'j', iat, exp: iat + 300 },
    ...(pv === undefined ? {} : { pv }),
  })
  const version = undefined

  it('outdates what was issued up to then, and a moment longer', () => {
    const changes = createPermissionChanges()
    changes.note({ account: 'anna', version, atMs: 100_500 })
    expect(changes.isOutdated(claims('anna', 100))).to.equal(true)
    expect(changes.isOutdated(claims('anna', 102))).to.equal(true)
    expect(changes.isOutdated(claims('anna', 103))).to.equal(false)
    expect(changes.isOutdated(claims('bert', 1))).to.equal(false)
    changes.note({ account: undefined, version, atMs: 200_000 })
    expect(changes.isOutdated(claims('anna', 150))).to.equal(true)
    expect(changes.isOutdated(claims('bert', 150))).to.equal(true)
    expect(changes.isOutdated(claims('bert', 203))).to.equal(false)
  })

  it('outdates by versions where both sides know them, whatever the clocks say', () => {
    const changes = createPermissionChanges()
    const future = 10_000
    changes.note({ account: undefined, version: undefined, atMs: 100_000 })
    expect(changes.isOutdated(claims('anna', 90, 99)), 'nothing is known of versions').to.equal(true)
    changes.note({ account: undefined, version: 5, atMs: 100_000 })
    expect(changes.isOutdated(claims('anna', 90, 5))).to.equal(false)
    expect(changes.isOutdated(claims('anna', future, 4))).to.equal(true)
    expect(changes.isOutdated(claims('anna', 90)), 'a token of another server').to.equal(true)
    changes.note({ account: 'anna', version: 7, atMs: 200_000 })
    changes.note({ account: 'anna', version: 6, atMs: 200_000 })
    expect(changes.isOutdated(claims('anna', future, 6))).to.equal(true)
    expect(changes.isOutdated(claims('anna', 90, 7))).to.equal(false)
    expect(changes.isOutdated(claims('bert', 90, 5))).to.equal(false)
    changes.note({ account: undefined, version: 9, atMs: 200_000 })
    expect(changes.isOutdated(claims('anna', future, 8))).to.equal(true)
    expect(changes.isOutdated(claims('bert', 90, 9))).to.equal(false)
  })

  it('falls back to time when something may have been missed, until it is told where things stand', () => {
    const changes = createPermissionChanges()
    for (const version of [9, undefined]) changes.note({ account: undefined, version, atMs: 100_000 })
    expect(changes.isOutdated(claims('anna', 90, 10))).to.equal(true)
    changes.note({ account: undefined, version: 3, atMs: 100_000 })
    expect(changes.isOutdated(claims('anna', 90, 3)), 'a store that was put back').to.equal(false)
    expect(changes.isOutdated(claims('anna', 200, 2))).to.equal(true)
  })

  it('counts whom there is no room for among everybody, by versions too', () => {
    const changes = createPermissionChanges({ maxAccounts: 2 })
    changes.note({ account: undefined, version: 1, atMs: 0 })
    for (const [place, account] of ['a', 'b', 'c'].entries()) changes.note({ account, version: 5 + place, atMs: 0 })
    expect(changes.isOutdated(claims('a', 90, 4))).to.equal(true)
    expect(changes.isOutdated(claims('stranger', 90, 4))).to.equal(true)
    expect(changes.isOutdated(claims('stranger', 90, 5))).to.equal(false)
  })

  it('is bounded, and whom there is no room for is asked about too often rather than too rarely', () => {
    const changes = createPermissionChanges({ maxAccounts: 2 })
    for (const account of ['a', 'b', 'c']) changes.note({ account, version, atMs: 100_000 })
    expect(changes.isOutdated(claims('a', 90))).to.equal(true)
    expect(changes.isOutdated(claims('stranger', 90))).to.equal(true)
    expect(changes.isOutdated(claims('stranger', 110))).to.equal(false)
  })
})
