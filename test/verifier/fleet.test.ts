/**
 * Two server processes behind one address and three services, each a process of its own that runs the installed package
 * behind all four frameworks. No two clocks agree. What is revoked anywhere is refused at all twelve doors.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { decodeProtectedHeader } from 'jose'
import { OPERATOR } from '../../src/audit-event.ts'
import { rotateKeys } from '../../src/oidc/key-rotation.ts'
import { openRedis } from '../../src/storage/redis.ts'
import { accessModel } from '../support/access-model.ts'
import { createApi } from '../support/api.ts'
import { type Balancer, createBalancer } from '../support/balancer.ts'
import { type CodeFlow, createCodeFlow, PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { forgetBelow, storeUrl } from '../support/database.ts'
import { type ServerProcess, startServer, startWorld, type World } from '../support/world.ts'
import { AUDIENCE, until } from './fake-issuer.ts'
import { installPackage, knock, type ServiceProcess, startService } from './installed-package.ts'

const SHIFTED_CLOCK = new URL('../support/shifted-clock.js', import.meta.url).href
/** Of the second server, against the first one. */
const SERVER_OFFSET_MS = -30_000
/** Of the services, against the first server. */
const SERVICE_OFFSETS_MS = [0, 30_000, -30_000]
const CUT_MS = 10_000

for (const [store, storeEnv] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`three services of two servers over ${store}`, function () {
    this.timeout(60_000)
    let balancer: Balancer
    let world: World
    let flow: CodeFlow
    let services: ServiceProcess[] = []
    let serial = 0

    before(async function () {
      this.timeout(60_000)
      balancer = await createBalancer()
      const issuer = `http://localhost:${balancer.port}`
      world = await startWorld({ issuer, env: storeEnv })
      world.servers.push(await startSecond())
      balancer.targets.push(...world.servers.map(({ address }) => new URL(address)))
      const { clients, access } = world.core
      const app = await clients.create({
        ...{ id: 'app', type: 'web', firstParty: true, audience: AUDIENCE },
        ...{ scopes: ['openid', 'offline_access', 'orders:read'] },
        ...{ grantTypes: ['password', 'refresh_token', 'client_credentials'] },
      })
      flow = createCodeFlow(world, { id: 'app', secret: app.secret, redirectUri: '' })
      await access.initialize()
      await accessModel(world.stores.database.db).resource('order', AUDIENCE, true)
      for (const key of ['orders:read', 'orders:edit']) await access.ensurePermission({ key })
      await access.ensureRole({ key: 'clerk', permissions: ['orders:edit'] })
      const { secret = '' } = await clients.create({
        ...{ id: 'orders', type: 'machine', scopes: ['events:read', 'access:read'] },
      })
      const { project } = await installPackage()
      const credentials = { clientId: 'orders', clientSecret: secret }
      services = await Promise.all(
        SERVICE_OFFSETS_MS.map((clockOffsetMs) =>
          startService(project, { issuer, audience: AUDIENCE, credentials, clockOffsetMs }),
        ),
      )
    })
    after(async () => {
      for (const service of services) service.process.kill('SIGKILL')
      await world?.stop()
      await balancer?.close()
    })
    afterEach(() => balancer.heal())
    const startSecond = (): Promise<ServerProcess> =>
      startServer(
        { ...world.env, NODE_OPTIONS: `--import ${SHIFTED_CLOCK}`, CLOCK_OFFSET_MS: String(SERVER_OFFSET_MS) },
        '127.0.0.2',
      )
    const newAccount = async (...roles: string[]) => {
      serial += 1
      const email = `fleet-${serial}@example.org`
      const { id } = await world.core.accounts.create({ email, password: PASSWORD, emailVerified: true })
      for (const role of roles) await world.core.access.assignRole(id, role)
      return { id, email }
    }
    const signIn = async ({ email }: { email: string }, server: number): Promise<TokenResponse> => {
      const form = { grant_type: 'password', username: email, password: PASSWORD, scope: 'openid orders:read' }
      return tokensOf(await flow.post('/oauth2/token', form, server))
    }
    const clientToken = async (server: number): Promise<string> =>
      tokensOf(await flow.post('/oauth2/token', { grant_type: 'client_credentials', scope: 'orders:read' }, server))
        .access_token

    const doors = () =>
      services.flatMap(({ ports }, place) =>
        Object.entries(ports).map(([name, port]) => ({ name: `service ${place + 1}, ${name}`, port })),
      )
    const answers = async (token: string) =>
      Object.fromEntries(
        await Promise.all(doors().map(async ({ name, port }) => [name, (await knock(port, token)).status] as const)),
      )
    const all = (status: number) => Object.fromEntries(doors().map(({ name }) => [name, status]))
    /** Every door comes to answer so, and stays with it. */
    const settlesAt = async (status: number, token: string, what?: string): Promise<void> => {
      let last: object = {}
      await until(async () => {
        last = await answers(token)
        return Object.values(last).every((each) => each === status)
      }, 600).catch(() => expect(last, what).to.deep.equal(all(status)))
      expect(await answers(token), `${what}, again`).to.deep.equal(all(status))
    }

    it('has twelve doors, which let in who may and nobody else', async () => {
      expect(doors()).to.have.length(12)
      for (const server of [0, 1]) {
        const [clerk, other] = [await newAccount('clerk'), await newAccount()]
        await settlesAt(200, (await signIn(clerk, server)).access_token, `a clerk of server ${server}`)
        await settlesAt(403, (await signIn(other, server)).access_token, `somebody of server ${server}`)
      }
      for (const { name, port } of doors()) expect((await knock(port)).status, name).to.equal(401)
    })

    it('hears of every kind of revocation, whichever server is told', async () => {
      const witness = await newAccount('clerk')
      type Way = (tokens: TokenResponse, account: { id: string; email: string }, server: number) => Promise<unknown>
      const ways: Record<string, Way> = {
        'a token': ({ access_token }, _, server) => flow.revoke(access_token, server),
        'the family of a refresh token': ({ refresh_token }, _, server) => flow.revoke(refresh_token, server),
        'a refresh token that is used twice': async ({ refresh_token }, _, server) => {
          const next = tokensOf(await flow.refresh(refresh_token, {}, server))
          tokensOf(await flow.refresh(next.refresh_token, {}, 1 - server))
          expect((await flow.refresh(refresh_token, {}, server)).status).to.equal(400)
        },
        'all sessions of an account': (_, { id }) => world.core.sessions.endAll(id),
        'a password that is changed': (_, { id }) =>
          world.core.accounts.update(id, { password: 'another horse battery staple' }),
        'an account that is disabled': (_, { id }) => world.core.accounts.disable(id),
        'an account that is deleted': (_, { id }) => world.core.accounts.remove(id),
        'an account that is asked to be deleted': (_, { id }) =>
          world.core.deletion.request(id, Math.floor(Date.now() / 1_000)),
        'the other sessions, ended by REST': async (_, { email }, server) => {
          const api = createApi(world, server)
          const session = await api('POST', '/session', { json: { login: email, password: PASSWORD } })
          const ended = await api('DELETE', '/me/sessions', { bearer: session.json<TokenResponse>().access_token })
          expect(ended.status, ended.text).to.be.oneOf([200, 204])
        },
      }
      let server = 0
      for (const [name, revoke] of Object.entries(ways)) {
        server = 1 - server
        const [account, spared] = [await newAccount('clerk'), await signIn(witness, server)]
        const tokens = await signIn(account, 1 - server)
        await settlesAt(200, tokens.access_token, `before ${name}`)
        await revoke(tokens, account, server)
        await settlesAt(401, tokens.access_token, name)
        expect(await answers(spared.access_token), `others than ${name}`).to.deep.equal(all(200))
      }
    })

    it('refuses what a client held that is deleted', async () => {
      const { secret } = await world.core.clients.create({
        ...{ id: 'gone', type: 'machine', audience: AUDIENCE, scopes: ['orders:read'] },
      })
      const gone = createCodeFlow(world, { id: 'gone', secret, redirectUri: '' })
      const token = tokensOf(await gone.post('/oauth2/token', { grant_type: 'client_credentials' }, 1)).access_token
      await settlesAt(403, token)
      await world.core.clients.remove('gone')
      await settlesAt(401, token)
    })

    it('hears when rights change, by whatever way an account has come to them', async () => {
      const { access, teams } = world.core
      const idOf = async (key: string) => (await access.roles.findByKey(key))?.id ?? ''
      for (const server of [0, 1]) {
        const account = await newAccount()
        const own = `clerk-${server}`
        await access.ensureRole({ key: own, permissions: ['orders:edit'] })
        const edit = await accessModel(world.stores.database.db).permissionId('orders:edit')
        const { access_token: token } = await signIn(account, server)
        await settlesAt(403, token, 'nothing')
        await access.assignRole(account.id, own)
        await settlesAt(200, token, 'a role')
        const { access_token: rich } = await signIn(account, server)
        await access.roles.removePermission(OPERATOR, await idOf(own), edit)
        await settlesAt(403, token, 'a role that has lost the permission')
        await settlesAt(403, rich, 'a role that has lost the permission, though the token says it')
        await access.roles.addPermission(OPERATOR, await idOf(own), 'orders:edit')
        await settlesAt(200, rich, 'a role that has it again')
        await access.removeRole(account.id, own)
        await settlesAt(403, rich, 'no role any more')

        const team = await teams.create(OPERATOR, { key: `team-${server}`, parent: null })
        await teams.addRole(OPERATOR, team.id, 'clerk')
        await teams.addMember(OPERATOR, team.id, { accountId: account.id })
        await settlesAt(200, rich, 'a member of a team')
        const { access_token: member } = await signIn(account, server)
        await teams.removeRole(OPERATOR, team.id, await idOf('clerk'))
        await settlesAt(403, member, 'a member of a team that has lost its role')
        await teams.addRole(OPERATOR, team.id, 'clerk')
        await settlesAt(200, member, 'a member of a team that has its role again')
        await teams.removeMember(OPERATOR, team.id, account.id)
        await settlesAt(403, member, 'a member no more')
      }
    })

    it(`misses nothing while no service reaches any server for ${CUT_MS / 1000} seconds`, async () => {
      const tokens = await Promise.all(Array.from({ length: 200 }, (_, place) => clientToken(place % 2)))
      const witness = await clientToken(0)
      await settlesAt(403, tokens[0] ?? '')
      await balancer.refuse()
      const healAt = performance.now() + CUT_MS
      for (const [place, token] of tokens.entries()) {
        expect((await flow.revoke(token, place % 2)).status).to.equal(200)
        await sleep(20)
      }
      await sleep(Math.max(0, healAt - performance.now()))
      // Longer than streamDownSeconds: nobody is let in on what may be outdated.
      expect(await answers(witness)).to.deep.equal(all(503))
      await balancer.heal()
      await settlesAt(403, witness)
      const [ports, accepted] = [services.map(({ ports: { http } }) => http), [] as string[]]
      for (const token of tokens) {
        for (const port of ports) if ((await knock(port, token)).status !== 401) accepted.push(token)
      }
      expect(accepted).to.deep.equal([])
    })

    it('goes over to the other server when one is killed', async () => {
      const account = await newAccount('clerk')
      for (const victim of [0, 1]) {
        const [dead, alive] = [await signIn(account, victim), await signIn(await newAccount('clerk'), 1 - victim)]
        await settlesAt(200, dead.access_token)
        world.servers[victim]?.process.kill('SIGKILL')
        expect((await flow.revoke(dead.access_token, 1 - victim)).status).to.equal(200)
        await settlesAt(401, dead.access_token, `server ${victim} is dead`)
        await settlesAt(200, alive.access_token, `server ${victim} is dead, and the others`)
        world.servers[victim] = victim === 0 ? await startServer(world.env) : await startSecond()
        const next = await signIn(account, victim)
        await settlesAt(200, next.access_token)
        await flow.revoke(next.access_token, victim)
        await settlesAt(401, next.access_token)
      }
    })

    it('takes up new keys as they come into use', async () => {
      const rotate = () =>
        rotateKeys(world.config.keysDir, { longestTokenSeconds: 3_600, jwksCacheSeconds: 300, force: true })
      const before = await clientToken(0)
      await settlesAt(403, before)
      const published = async (server: number) =>
        (await flow.get('/.well-known/jwks.json', {}, server)).json<{ keys: object[] }>().keys.length
      const numbers = await Promise.all([0, 1].map(published))
      await rotate()
      for (const server of [0, 1]) await until(async () => (await published(server)) > (numbers[server] ?? 0), 1_000)
      await rotate()
      const isNew = (token: string) => decodeProtectedHeader(token).kid !== decodeProtectedHeader(before).kid
      for (const server of [0, 1]) {
        await until(async () => isNew(await clientToken(server)), 1_000)
        await settlesAt(403, await clientToken(server), `a token by the new key of server ${server}`)
      }
      await settlesAt(403, before, 'a token by the old key')
    })

    if (store === 'Redis') {
      it('revives nothing when Redis is flushed', async () => {
        const redis = await openRedis(storeUrl())
        try {
          const clerk = await newAccount('clerk')
          const [alive, dead, later] = [await signIn(clerk, 0), await signIn(clerk, 1), await signIn(clerk, 1)]
          await flow.revoke(dead.access_token, 0)
          await settlesAt(401, dead.access_token)
          await forgetBelow(redis, world.config.redisPrefix)
          for (let round = 0; round < 20; round += 1) {
            expect(await answers(dead.access_token), `round ${round}`).to.deep.equal(all(401))
            expect(await answers(alive.access_token), `round ${round}`).to.deep.equal(all(200))
            await sleep(50)
          }
          await flow.revoke(later.access_token, 1)
          await settlesAt(401, later.access_token)
        } finally {
          redis.disconnect()
        }
      })
    }
  })
}
