/** The verifier against real server processes, through a network that breaks. */
import { expect } from 'chai'
import { decodeProtectedHeader } from 'jose'
import { rotateKeys } from '../../src/oidc/key-rotation.ts'
import { createVerifier, type Verifier, type VerifierEvent, type VerifierOptions } from '../../src/verifier/verifier.ts'
import { accessModel } from '../support/access-model.ts'
import { createApi } from '../support/api.ts'
import { type CodeFlow, createCodeFlow, PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { freePort, startServer, startWorld, type World } from '../support/world.ts'
import { AUDIENCE, codeOf, until } from './fake-issuer.ts'

describe('a verifier of a real server', function () {
  this.timeout(30_000)
  let world: World
  /** Between the verifier and the first process; the second one is reached directly, by everybody else. */
  let proxy: FaultProxy
  let flow: CodeFlow
  let credentials: { clientId: string; clientSecret: string }
  let verifiers: Verifier[]
  let serial = 0

  before(async function () {
    this.timeout(60_000)
    const port = await freePort()
    proxy = await createFaultProxy(`http://127.0.0.1:${port}`)
    const issuer = `http://localhost:${new URL(proxy.url).port}`
    world = await startWorld({ servers: 2, issuer, env: { USHER_PORT: String(port) } })
    const { clients, access } = world.core
    const app = await clients.create({
      ...{
        id: 'app',
        type: 'web',
        firstParty: true,
        audience: AUDIENCE,
        scopes: ['openid', 'offline_access', 'orders:read'],
      },
      ...{ grantTypes: ['password', 'refresh_token', 'client_credentials'] },
    })
    flow = createCodeFlow(world, { id: 'app', secret: app.secret, redirectUri: '' })
    const service = await clients.create({
      ...{ id: 'orders', type: 'machine', audience: AUDIENCE, scopes: ['events:read', 'access:read'] },
    })
    credentials = { clientId: 'orders', clientSecret: service.secret ?? '' }
    await access.initialize()
    await accessModel(world.stores.database.db).resource('order', AUDIENCE, true)
    for (const key of ['orders:read', 'orders:edit']) await access.ensurePermission({ key })
    await access.ensureRole({ key: 'clerk', permissions: ['orders:read'] })
  })
  after(async () => {
    await world?.stop()
    await proxy?.close()
  })
  beforeEach(() => {
    verifiers = []
  })
  afterEach(async () => {
    for (const verifier of verifiers) verifier.close()
    await proxy.heal()
  })

  const make = (options: Partial<VerifierOptions> = {}): Verifier => {
    const verifier = createVerifier({ issuer: world.issuer, audience: AUDIENCE, stream: true, credentials, ...options })
    verifiers.push(verifier)
    return verifier
  }
  const newAccount = async (...roles: string[]) => {
    serial += 1
    const email = `verified-${serial}@example.org`
    const { id } = await world.core.accounts.create({ email, password: PASSWORD, emailVerified: true })
    for (const role of roles) await world.core.access.assignRole(id, role)
    return { id, email }
  }
  type Account = Awaited<ReturnType<typeof newAccount>>
  /** Always by the second process. */
  const signIn = async ({ email }: Account): Promise<TokenResponse> => {
    const form = { grant_type: 'password', username: email, password: PASSWORD, scope: 'openid orders:read' }
    return tokensOf(await flow.post('/oauth2/token', form, 1))
  }
  const clientToken = async () => {
    const reply = await flow.post('/oauth2/token', { grant_type: 'client_credentials', scope: 'orders:read' }, 1)
    return tokensOf(reply).access_token
  }
  const verdictOn = (verifier: Verifier, token: string) => codeOf(verifier.verify(token))
  const dies = (verifier: Verifier, token: string, attempts?: number) =>
    until(async () => (await verdictOn(verifier, token)) === 'revoked', attempts)

  it('believes tokens of people and of clients, for this service alone', async () => {
    const verifier = make()
    const account = await newAccount()
    const { access_token: token, refresh_token: refresh, id_token: id } = await signIn(account)
    const { subject, clientId, scopes } = await verifier.verify(token)
    expect([subject, clientId, [...scopes]]).to.deep.equal([account.id, 'app', ['openid', 'orders:read']])
    expect((await verifier.verify(await clientToken())).subject).to.equal('app')
    expect(await verdictOn(make({ audience: 'https://elsewhere.example' }), token)).to.equal('wrong_audience')
    expect(await verdictOn(verifier, id)).to.equal('wrong_type')
    expect(await verdictOn(verifier, refresh)).to.equal('wrong_type')
    const own = await createApi(world, 1)('POST', '/session', { json: { login: account.email, password: PASSWORD } })
    expect(await verdictOn(verifier, own.json<TokenResponse>().access_token)).to.equal('wrong_audience')
  })

  it('refuses at once what was revoked on another process, in whatever way', async () => {
    const verifier = make()
    await verifier.ready()
    const [witness, account] = [(await signIn(await newAccount())).access_token, await newAccount()]
    const ways: [name: string, revoke: (tokens: TokenResponse) => Promise<unknown>][] = [
      ['the token', ({ access_token }) => flow.revoke(access_token, 1)],
      ['the grant', ({ refresh_token }) => flow.revoke(refresh_token, 1)],
      ['the account, disabled', () => world.core.accounts.disable(account.id)],
    ]
    for (const [name, revoke] of ways) {
      const tokens = await signIn(account)
      expect(await verdictOn(verifier, tokens.access_token), name).to.equal('accepted')
      await revoke(tokens)
      await dies(verifier, tokens.access_token)
      expect(await verdictOn(verifier, witness), `others than ${name}`).to.equal('accepted')
    }
  })

  it('spares the session that has ended all the others', async () => {
    const verifier = make()
    await verifier.ready()
    const account = await newAccount()
    const [other, api] = [await signIn(account), createApi(world, 1)]
    const json = { login: account.email, password: PASSWORD }
    const mine = (await api('POST', '/session', { json })).json<TokenResponse>().access_token
    const ended = await api('DELETE', '/me/sessions', { bearer: mine })
    expect(ended.status, ended.text).to.be.oneOf([200, 204])
    await dies(verifier, other.access_token)
    const spared = make({ audience: `${world.issuer}/api/v1` })
    await spared.ready()
    expect(await verdictOn(spared, mine)).to.equal('accepted')
  })

  it('kills what a client held that is deleted', async () => {
    const verifier = make()
    await verifier.ready()
    const input = { id: 'gone', type: 'machine', audience: AUDIENCE, scopes: ['orders:read'] } as const
    const { secret } = await world.core.clients.create(input)
    const gone = createCodeFlow(world, { id: 'gone', secret, redirectUri: '' })
    const reply = await gone.post('/oauth2/token', { grant_type: 'client_credentials' }, 1)
    const token = tokensOf(reply).access_token
    expect(await verdictOn(verifier, token)).to.equal('accepted')
    await world.core.clients.remove('gone')
    await dies(verifier, token)
  })

  it('knows from the beginning what was revoked before', async () => {
    const { access_token: token } = await signIn(await newAccount())
    await flow.revoke(token, 1)
    expect(await verdictOn(make(), token)).to.equal('revoked')
  })

  it('refuses nobody when its connection is cut, and has missed nothing afterwards', async () => {
    const events: VerifierEvent[] = []
    const verifier = make({ onEvent: (event) => events.push(event) })
    await verifier.ready()
    const [{ access_token: dead }, { access_token: alive }] = [
      await signIn(await newAccount()),
      await signIn(await newAccount()),
    ]
    expect(await verdictOn(verifier, dead)).to.equal('accepted')
    await proxy.refuse()
    await flow.revoke(dead, 1)
    expect(await verdictOn(verifier, alive)).to.equal('accepted')
    await proxy.heal()
    await dies(verifier, dead)
    expect(await verdictOn(verifier, alive)).to.equal('accepted')
    expect(events.map(({ kind }) => kind))
      .to.include('stream_disconnected')
      .and.not.include('stream_down')
    expect(
      events.filter(({ kind }) => kind === 'stream_current'),
      'it went on where it was',
    ).to.have.length(1)
  })

  it('lets nobody in while a half-open connection tells nothing, unless told to', async () => {
    const [closed, open] = [
      make({ streamDownSeconds: 2 }),
      make({ streamDownSeconds: 2, whenStreamIsDown: 'expiry_only' }),
    ]
    await Promise.all([closed.ready(), open.ready()])
    const { access_token: token } = await signIn(await newAccount())
    expect([await verdictOn(closed, token), await verdictOn(open, token)]).to.deep.equal(['accepted', 'accepted'])
    proxy.stall()
    await until(async () => (await verdictOn(closed, token)) === 'stream_down')
    expect(await verdictOn(open, token)).to.equal('accepted')
    await flow.revoke(token, 1)
    expect(await verdictOn(closed, token)).to.equal('stream_down')
    await proxy.heal()
    await dies(closed, token)
    await dies(open, token)
  })

  it('asks for permissions that the token does not say, and hears when they change', async () => {
    const verifier = make()
    await verifier.ready()
    const account = await newAccount('clerk')
    const { access_token: text } = await signIn(account)
    const token = await verifier.verify(text)
    expect(token.claims.permissions).to.deep.equal(['orders:read'])
    const may = () => codeOf(verifier.requirePermissions(token, { any: ['orders:read', 'orders:edit'] }))
    const isClerk = () => codeOf(verifier.requireRoles(token, 'clerk'))
    expect([await may(), await isClerk()]).to.deep.equal(['accepted', 'accepted'])
    await world.core.access.removeRole(account.id, 'clerk')
    await until(async () => (await may()) === 'insufficient_permissions')
    expect(await isClerk()).to.equal('insufficient_permissions')
    await world.core.access.assignRole(account.id, 'clerk')
    await until(async () => (await may()) === 'accepted')
  })

  it('works with a clock that is wrong by half a minute', async () => {
    for (const offset of [-30_000, 30_000]) {
      const verifier = make({ now: () => Date.now() + offset })
      await verifier.ready()
      const { access_token: token } = await signIn(await newAccount())
      expect(await verdictOn(verifier, token), `${offset}`).to.equal('accepted')
      await flow.revoke(token, 1)
      await dies(verifier, token)
    }
  })

  it('takes up new keys as they come into use', async () => {
    const verifier = make()
    const rotate = () =>
      rotateKeys(world.config.keysDir, { longestTokenSeconds: 3_600, jwksCacheSeconds: 300, force: true })
    const before = await clientToken()
    expect(await verdictOn(verifier, before)).to.equal('accepted')
    // Published by every process before any of them signs with it.
    await rotate()
    for (const server of [0, 1]) {
      const kids = async () =>
        (await flow.get('/.well-known/jwks.json', {}, server)).json<{ keys: object[] }>().keys.length
      await until(async () => (await kids()) > 2, 1_000)
    }
    await rotate()
    const isNew = (token: string) => decodeProtectedHeader(token).kid !== decodeProtectedHeader(before).kid
    await until(async () => isNew(await clientToken()), 1_000)
    expect(await verdictOn(verifier, await clientToken())).to.equal('accepted')
    expect(await verdictOn(verifier, before)).to.equal('accepted')
  })

  it('is told by the next process what was revoked while its own was dead', async () => {
    const verifier = make({ streamDownSeconds: 2 })
    await verifier.ready()
    const { access_token: token } = await signIn(await newAccount())
    expect(await verdictOn(verifier, token)).to.equal('accepted')
    const [first] = world.servers
    first?.process.kill('SIGKILL')
    await until(async () => (await verdictOn(verifier, token)) === 'stream_down')
    await flow.revoke(token, 1)
    world.servers[0] = await startServer(world.env)
    await dies(verifier, token, 1_000)
    expect(await verdictOn(verifier, (await signIn(await newAccount())).access_token)).to.equal('accepted')
  })
})
