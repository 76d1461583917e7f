/** What other services live on: whether a token is good, and whether an account may. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { decodeJwt, importJWK, SignJWT } from 'jose'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { type AccessModel, accessModel } from '../support/access-model.ts'
import { BAD_REQUEST, FORBIDDEN, NOBODY, NOT_FOUND, UNAUTHENTICATED } from '../support/administration.ts'
import { type Api, createApi, pointersOf, problemOf } from '../support/api.ts'
import { createCodeFlow, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { postgresUrl } from '../support/database.ts'
import { createProver } from '../support/dpop.ts'
import { eventually, until } from '../support/eventually.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { basic, send } from '../support/http.ts'
import { type PeopledWorld, startPeopledWorld } from '../support/people.ts'
import { startWorld, type World } from '../support/world.ts'

const SHOP = 'https://shop.example'

interface Decision {
  valid: boolean
  explanation?: { decision: object; missing: string[] }
}

describe('decisions over REST', function () {
  this.timeout(30_000)
  let at: PeopledWorld
  let world: World
  let api: Api
  let another: Api
  let model: AccessModel
  let service: string

  before(async function () {
    this.timeout(40_000)
    at = await startPeopledWorld({
      permissions: ['movies:read', 'movies:edit', 'movies:delete'],
      roles: {
        editor: ['movies:read', 'movies:edit'],
        admin: ['permissions_admin'],
        'people-admin': ['accounts_admin'],
        'team-admin': ['teams_admin'],
      },
    })
    ;({ world, api, another } = at)
    model = accessModel(world.stores.database.db)
    service = await at.machine('movies', ['access:read'])
    await world.core.clients.create({
      id: 'shop',
      type: 'spa',
      firstParty: true,
      grantTypes: ['password'],
      scopes: ['openid'],
      audience: SHOP,
    })
  })
  after(() => at?.world.stop())

  const tokenOf = async (login: string, more: object = {}) => (await at.signIn(login, more)).access_token
  const ask = (id: string, permissions: string, more = '', bearer: string | undefined = service, call = api) =>
    call(
      'GET',
      `/accounts/${id}/combined_permissions/validation?permissions=${encodeURIComponent(permissions)}${more}`,
      {
        bearer,
      },
    )
  const askByBody = (id: string, json: unknown, bearer: string | undefined = service) =>
    api('POST', `/accounts/${id}/combined_permissions/validation`, { bearer, json })

  describe('GET /auth_token/validation', () => {
    const judge = (headers: Record<string, string>, call = api) => call('GET', '/auth_token/validation', { headers })
    const judgeToken = async (token: string, call = api) => {
      const { status, text, headers } = await judge({ Authorization: `Bearer ${token}` }, call)
      return { status, body: JSON.parse(text), challenge: headers['www-authenticate'] }
    }
    const VALID = { status: 200, body: { msg: 'Token is valid' }, challenge: undefined }
    const UNVERIFIABLE = { status: 422, body: { msg: 'Signature verification failed' }, challenge: undefined }
    const refused = (msg: string) => ({
      status: 401,
      body: { msg },
      challenge: 'Bearer realm="usher", error="invalid_token"',
    })

    /** Signed with the key that signs access tokens. */
    async function signed(claims: object, typ = 'at+jwt'): Promise<string> {
      const keyring = await openKeyring({ dir: world.config.keysDir, production: false, secrets: world.config })
      const jwk = keyring.engineJwks().keys.find(({ alg }) => alg === 'ES256')
      if (!jwk?.kid) throw new Error('no key')
      return new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'ES256', typ, kid: jwk.kid })
        .sign(await importJWK(jwk, 'ES256'))
    }

    it('takes no request without a bearer token', async () => {
      const none = await judge({})
      expect(problemOf(none)).to.deep.equal(UNAUTHENTICATED)
      expect(none.headers['www-authenticate']).to.equal('Bearer realm="usher"')
      for (const value of ['Bearer', 'Bearer ', 'Basic YTpi', 'DPoP abc', 'bearer a b', `Bearer ${service}, x`]) {
        expect(problemOf(await judge({ Authorization: value })), value).to.deep.equal(UNAUTHENTICATED)
      }
    })

    it('finds good the tokens of accounts and of clients, for whatever audience', async () => {
      const { bearer, email } = await at.somebody()
      expect(await judgeToken(bearer)).to.deep.equal(VALID)
      expect(await judgeToken(await tokenOf(email, { client_id: 'shop' }))).to.deep.equal(VALID)
      expect(await judgeToken(service)).to.deep.equal(VALID)
      expect((await judge({ Authorization: `Bearer ${service}` })).headers['cache-control']).to.equal('no-store')
    })

    it('tells of a token whose time is over, also when it was revoked', async () => {
      const { bearer } = await at.somebody()
      const { iat = 0, ...claims } = decodeJwt(bearer)
      const old = await signed({ ...claims, iat: iat - 1_000, exp: iat - 500 })
      expect(await judgeToken(old)).to.deep.equal(refused('Token has expired'))
      await api('DELETE', '/session', { bearer })
      expect(await judgeToken(old)).to.deep.equal(refused('Token has expired'))
    })

    it('tells of a revoked token at once, and soon in every process', async () => {
      const { bearer } = await at.somebody()
      expect(await judgeToken(bearer, another)).to.deep.equal(VALID)
      await api('DELETE', '/session', { bearer })
      const isRefused = async (call: Api) =>
        expect(await judgeToken(bearer, call)).to.deep.equal(refused('Token has been revoked'))
      await isRefused(api)
      await eventually(() => isRefused(another))
    })

    it('cannot verify what is not an access token of ours', async () => {
      const { bearer } = await at.somebody()
      const [header, , signature] = bearer.split('.')
      const claims = decodeJwt(bearer)
      const forged = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
        .sign(new Uint8Array(32))
      const raised = Buffer.from(JSON.stringify({ ...claims, roles: ['superuser'] })).toString('base64url')
      const tokens = [
        'x',
        'a.b.c',
        forged,
        `${header}.${raised}.${signature}`,
        `${header}.${bearer.split('.')[1]}.`,
        await signed(claims, 'JWT'),
        await signed({ ...claims, iss: 'https://other.example' }),
        await signed({ ...claims, exp: undefined }),
        // A fault in the signature is told before one in the time.
        (await signed({ ...claims, exp: 1 })).replace(/.{10}$/, 'AAAAAAAAAA'),
      ]
      for (const token of tokens) expect(await judgeToken(token), token).to.deep.equal(UNVERIFIABLE)
    })

    it('does not find good as a bearer token what is bound to a key (RFC 9449)', async () => {
      const { secret = '' } = await world.core.clients.create({ id: 'bound', type: 'machine', scopes: ['access:read'] })
      const prove = await createProver()
      const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
        form: { grant_type: 'client_credentials', scope: 'access:read' },
        headers: { Authorization: basic('bound', secret), DPoP: await prove(`${world.issuer}/oauth2/token`) },
      })
      const { access_token: bearer, token_type } = reply.json<TokenResponse>()
      expect(token_type).to.equal('DPoP')
      const answer = await judge({ Authorization: `Bearer ${bearer}` })
      expect(problemOf(answer)).to.deep.equal(UNAUTHENTICATED)
      expect(answer.headers['www-authenticate']).to.match(/^DPoP /)
    })
  })

  describe('are for', () => {
    const ROUTES = (id: string): [method: string, path: string, json?: object][] =>
      ['accounts', 'users'].flatMap((owner): [string, string, object?][] => [
        ['GET', `/${owner}/${id}/combined_permissions`],
        ['GET', `/${owner}/${id}/combined_permissions/validation?permissions=movies:edit`],
        ['POST', `/${owner}/${id}/combined_permissions/validation`, { permissions: 'movies:edit' }],
      ])

    it('nobody without a token, whatever they ask', async () => {
      for (const [method, path] of [...ROUTES(NOBODY), ...ROUTES('non_registered'), ...ROUTES('x')]) {
        expect(problemOf(await api(method, path, { json: method === 'POST' ? '{' : undefined }))).to.deep.equal(
          UNAUTHENTICATED,
        )
      }
    })

    it('no other account, no administrator of other things, no client without the scope, no token for another service', async () => {
      const [owner, other, teams] = [
        await at.somebody('editor'),
        await at.somebody('editor'),
        await at.somebody('team-admin'),
      ]
      const admin = await at.somebody('admin')
      const others = [
        other.bearer,
        teams.bearer,
        await at.machine(`scopeless-${owner.id}`, []),
        await at.machine(`greedy-${owner.id}`, ['access:read', 'other:read'], 'other:read'),
        await tokenOf(admin.email, { client_id: 'shop' }),
      ]
      for (const bearer of others) {
        for (const [method, path, json] of ROUTES(owner.id)) {
          expect(problemOf(await api(method, path, { bearer, json })), path).to.deep.equal(FORBIDDEN)
        }
      }
    })

    it('the account itself, administrators, and clients with access:read', async () => {
      const owner = await at.somebody('editor')
      const callers = [
        service,
        owner.bearer,
        await tokenOf(owner.email, { client_id: 'shop' }),
        (await at.somebody('admin')).bearer,
        (await at.somebody('people-admin')).bearer,
        (await at.somebody('superuser')).bearer,
      ]
      for (const bearer of callers) {
        for (const [method, path, json] of ROUTES(owner.id)) {
          const reply = await api(method, path, { bearer, json })
          expect(reply.status, reply.text).to.equal(200)
          expect(reply.json()).to.deep.equal(
            path.endsWith('combined_permissions') ? { permissions: ['movies:edit', 'movies:read'] } : { valid: true },
          )
          expect(reply.headers['cache-control']).to.equal('no-store')
        }
      }
    })

    it('no administrator any longer whose role was taken away through another process', async () => {
      const [admin, owner] = [await at.somebody('admin'), await at.somebody('editor')]
      expect((await ask(owner.id, 'movies:edit', '', admin.bearer, another)).status).to.equal(200)
      await world.core.access.removeRole(admin.id, 'admin')
      await until(async () => (await ask(owner.id, 'movies:edit', '', admin.bearer, another)).status === 403)
    })
  })

  it('know no account that is not there, and no id of another form', async () => {
    for (const id of [NOBODY, 'x', 'registered', `${NOBODY}x`]) {
      expect(problemOf(await ask(id, 'a'))).to.deep.equal(NOT_FOUND)
      expect(problemOf(await askByBody(id, { permissions: 'a' }))).to.deep.equal(NOT_FOUND)
      expect(problemOf(await api('GET', `/users/${id}/combined_permissions`, { bearer: service }))).to.deep.equal(
        NOT_FOUND,
      )
    }
  })

  it('are the same for an id in capital letters', async () => {
    const { id } = await at.somebody('editor')
    expect((await ask(id.toUpperCase(), 'movies:edit')).json()).to.deep.equal({ valid: true })
  })

  describe('answer a question', () => {
    const QUESTIONS: [permissions: unknown, isMet: boolean][] = [
      ['movies:edit', true],
      ['movies:delete', false],
      ['all_all', false],
      ['no-such-permission', false],
      [{ any: ['movies:delete', 'movies:edit'] }, true],
      [{ all: ['movies:delete', 'movies:edit'] }, false],
      [{ all: ['movies:read', { any: ['movies:edit', 'x'] }] }, true],
    ]
    for (const [permissions, isMet] of QUESTIONS) {
      it(`${JSON.stringify(permissions)}: ${isMet}, by query and by body`, async () => {
        const { id } = await at.somebody('editor')
        expect((await ask(id, JSON.stringify(permissions))).json()).to.deep.equal({ valid: isMet })
        expect((await askByBody(id, { permissions })).json()).to.deep.equal({ valid: isMet })
      })
    }

    it('for those who have not signed in by the role non_registered', async () => {
      expect((await ask('non_registered', 'movies:public')).json()).to.deep.equal({ valid: false })
      await world.core.access.ensurePermission({ key: 'movies:public' })
      await world.core.access.ensureRole({ key: 'non_registered', permissions: ['movies:public'] })
      await until(async () => (await ask('non_registered', 'movies:public')).json<Decision>().valid)
      expect((await ask('non_registered', 'movies:edit')).json()).to.deep.equal({ valid: false })
    })

    it('and say why, when asked', async () => {
      const { id } = await at.somebody('editor')
      const question = JSON.stringify({ all: ['movies:edit', 'movies:delete'] })
      const expected: Decision = {
        valid: false,
        explanation: {
          decision: {
            valid: false,
            match: 'all',
            parts: [
              {
                valid: true,
                permission: 'movies:edit',
                by: [{ kind: 'role', permission: 'movies:edit', roles: ['editor'] }],
              },
              { valid: false, permission: 'movies:delete', by: [] },
            ],
          },
          missing: ['movies:delete'],
        },
      }
      expect((await ask(id, question, '&explain=true')).json()).to.deep.equal(expected)
      expect((await askByBody(id, { permissions: JSON.parse(question), explain: true })).json()).to.deep.equal(expected)
      expect((await ask(id, question, '&explain=false')).json()).to.deep.equal({ valid: false })
    })

    it('the same for all who ask at the same moment', async () => {
      const { id } = await at.somebody('editor')
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, index) => ask(id, 'movies:edit', '', service, index % 2 ? api : another)),
      )
      for (const reply of replies) expect(reply.json()).to.deep.equal({ valid: true })
    })
  })

  describe('refuse a malformed question', () => {
    const FAULTS: [permissions: unknown, pointer: string][] = [
      ['', ''],
      ['a b', ''],
      [{}, ''],
      [{ any: [] }, '/any'],
      [{ any: ['a'], all: ['a'] }, ''],
      [{ any: ['a', { all: [7] }] }, '/any/1/all/0'],
      [{ some: ['a'] }, '/some'],
    ]
    for (const [permissions, pointer] of FAULTS) {
      it(`${JSON.stringify(permissions)} at "${pointer}"`, async () => {
        const byQuery = await ask(NOBODY, JSON.stringify(permissions))
        expect(problemOf(byQuery)).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(byQuery)).to.deep.equal([pointer])
        const byBody = await askByBody(NOBODY, { permissions })
        expect(problemOf(byBody)).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(byBody)).to.deep.equal([`/permissions${pointer}`])
      })
    }

    it('that is missing, given twice, no JSON or not alone', async () => {
      const path = `/accounts/${NOBODY}/combined_permissions/validation`
      const queries = [
        '',
        '?permissions=a&permissions=b',
        '?permissions=%7B',
        '?permissions=a&explain=yes',
        '?permissions=a&x=1',
      ]
      for (const query of queries) {
        expect(problemOf(await api('GET', `${path}${query}`, { bearer: service })), query).to.deep.equal(BAD_REQUEST)
      }
      for (const json of [
        {},
        { permissions: 1 },
        { permissions: 'a', x: 1 },
        { permissions: 'a', explain: 'true' },
        '{',
      ]) {
        expect(problemOf(await askByBody(NOBODY, json)), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
      }
      const hostile = '{"permissions":{"__proto__":{"any":["a"]}}}'
      expect(problemOf(await askByBody(NOBODY, hostile))).to.deep.equal(BAD_REQUEST)
    })

    it('that is deeper or wider than anybody needs, and answers one at the limit', async () => {
      const { id } = await at.somebody('editor')
      const deep = (levels: number) => `${'{"any":['.repeat(levels)}"movies:edit"${']}'.repeat(levels)}`
      const wide = (parts: number) => ({ permissions: { any: [...new Array(parts - 1).fill('x'), 'movies:edit'] } })
      expect((await ask(id, deep(16))).json()).to.deep.equal({ valid: true })
      expect((await askByBody(id, wide(999))).json()).to.deep.equal({ valid: true })
      for (const levels of [17, 500]) expect(problemOf(await ask(id, deep(levels)))).to.deep.equal(BAD_REQUEST)
      for (const levels of [17, 5_000]) {
        expect(problemOf(await askByBody(id, `{"permissions":${deep(levels)}}`))).to.deep.equal(BAD_REQUEST)
      }
      expect(problemOf(await askByBody(id, wide(1_000)))).to.deep.equal(BAD_REQUEST)
      expect(problemOf(await askByBody(id, wide(10_000)))).to.deep.equal(BAD_REQUEST)
      expect(problemOf(await askByBody(id, wide(100_000)))).to.deep.equal([413, 'payload_too_large'])
    })
  })

  describe('in tokens', () => {
    it('stand roles, also those of teams and included ones, and permissions where a resource says so', async () => {
      const audience = 'https://store.example'
      await world.core.clients.create({
        ...{ id: 'store', type: 'spa', firstParty: true, grantTypes: ['password'], scopes: ['openid'] },
        audience,
      })
      const resource = await model.resource('store', audience, true)
      const other = await model.resource('depot', 'https://depot.example', true)
      const [buy, store] = [await model.permission('shop:buy', resource), await model.permission('depot:store', other)]
      const { roleId, permissionId } = model
      const buyer = await model.role('buyer', buy, store, await permissionId('movies:read'))
      await model.include(buyer, await roleId('editor'))
      const team = await model.team('customers')
      await model.giveTeam(team, buyer)
      const { id, email } = await at.newAccount()
      await model.join(id, team)
      expect(decodeJwt(await tokenOf(email, { client_id: 'store' }))).to.deep.include({
        roles: ['buyer', 'editor', 'user'],
        permissions: ['movies:edit', 'movies:read', 'shop:buy'],
      })
      const own = decodeJwt(await tokenOf(email))
      expect(own).to.deep.include({ roles: ['buyer', 'editor', 'user'] })
      expect(own).to.not.have.property('permissions')
    })

    it('the scope access:read is there for a client that is registered for it, with the audience of this API', () => {
      expect(decodeJwt(service)).to.deep.include({ aud: `${world.issuer}/api/v1`, scope: 'access:read' })
    })
  })
})

describe('decisions over REST without the database', function () {
  this.timeout(40_000)
  let proxy: FaultProxy
  let world: World
  after(async () => {
    await world?.stop()
    await proxy?.close()
  })

  it('are none: 503, neither yes nor no', async () => {
    proxy = await createFaultProxy(postgresUrl())
    world = await startWorld({ databaseUrl: proxy.url })
    await world.core.access.initialize()
    const { secret = '' } = await world.core.clients.create({ id: 'movies', type: 'machine', scopes: ['access:read'] })
    const flow = createCodeFlow(world, { id: 'movies', secret, redirectUri: '' })
    const { access_token: bearer } = tokensOf(
      await flow.post('/oauth2/token', { grant_type: 'client_credentials', scope: 'access:read' }),
    )
    const path = '/accounts/non_registered/combined_permissions/validation?permissions=a'
    const api = createApi(world)
    expect((await api('GET', path, { bearer })).json()).to.deep.equal({ valid: false })
    await proxy.refuse()
    await sleep(850)
    const reply = await api('GET', path, { bearer })
    expect(problemOf(reply)).to.deep.equal([503, 'temporarily_unavailable'])
    expect(reply.headers['retry-after']).to.equal('1')
  })
})
