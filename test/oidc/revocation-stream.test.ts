/** GET /api/v1/events/revocations: everything in force, then every change, on whichever process. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { SYSTEM } from '../../src/audit-event.ts'
import { type Api, createApi, problemOf } from '../support/api.ts'
import { type CodeFlow, createAnna, createCodeFlow } from '../support/code-flow.ts'
import { listenTo, type StreamEvent, type StreamListener } from '../support/event-stream.ts'
import { until } from '../support/eventually.ts'
import { basic, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'

for (const [store, env] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`the revocation stream over ${store}`, function () {
    this.timeout(40_000)
    let world: World
    let api: Api
    let flow: CodeFlow
    let anna: string
    let secret: string
    const open: StreamListener[] = []

    before(async () => {
      world = await startWorld({ servers: 2, env })
      api = createApi(world)
      anna = (await createAnna(world)).id
      const app = await world.core.clients.create({
        id: 'app',
        type: 'web',
        firstParty: true,
        grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
        redirectUris: [REDIRECT_URI],
      })
      flow = createCodeFlow(world, { id: 'app', secret: app.secret, redirectUri: REDIRECT_URI })
      secret = await newService('service', ['events:read'])
    })
    afterEach(() => {
      for (const listener of open.splice(0)) listener.close()
    })
    after(() => world?.stop())

    async function newService(id: string, scopes: string[]): Promise<string> {
      const { secret } = await world.core.clients.create({
        id,
        type: 'machine',
        grantTypes: ['client_credentials'],
        scopes,
      })
      return secret ?? ''
    }
    async function tokenOf(id: string, clientSecret: string, scope: string): Promise<string> {
      const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
        form: { grant_type: 'client_credentials', ...(scope ? { scope } : {}) },
        headers: { Authorization: basic(id, clientSecret) },
      })
      return String(reply.json().access_token)
    }
    const serviceToken = () => tokenOf('service', secret, 'events:read')
    async function listen(server = 1, lastEventId?: string, bearer?: string): Promise<StreamListener> {
      const listener = await listenTo({
        address: world.servers[server]?.address ?? '',
        issuer: world.issuer,
        bearer: bearer ?? (await serviceToken()),
        ...(lastEventId === undefined ? {} : { lastEventId }),
      })
      open.push(listener)
      return listener
    }
    const isAbout = (kind: string, id: string) => (data: StreamEvent['data']) => data.kind === kind && data.id === id
    const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

    it('is for clients with the scope events:read alone', async () => {
      expect(problemOf(await api('GET', '/events/revocations'))).to.deep.equal([401, 'unauthenticated'])
      const other = await newService('other', ['things:read'])
      const bearer = await tokenOf('other', other, '')
      expect(problemOf(await api('GET', '/events/revocations', { bearer }))).to.deep.equal([403, 'forbidden'])
      const { access_token } = await flow.tokens()
      const asPerson = await api('GET', '/events/revocations', { bearer: access_token })
      expect(problemOf(asPerson)).to.deep.equal([403, 'forbidden'])
    })

    it('begins with everything in force, then tells every kind of revocation made on another process', async () => {
      const tokens = await flow.tokens()
      const before = claimsOf(tokens.access_token)
      await flow.revoke(tokens.access_token, 0)
      const listener = await listen(1)
      expect(listener.status).to.equal(200)
      expect(listener.headers).to.include({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      expect(listener.headers['content-type']).to.match(/^text\/event-stream/)
      await listener.next('snapshot_end')
      expect(listener.events[0]).to.deep.include({ event: 'snapshot_begin', data: { heartbeat_seconds: 1 } })
      const inSnapshot = await listener.next('revoked', isAbout('token', before.jti))
      expect(inSnapshot.data.expires_at).to.be.within(before.exp, before.exp + 120)
      await listener.next('heartbeat', ({ at_ms }) => typeof at_ms === 'number')

      const from = listener.events.length
      const doomed = await flow.tokens()
      const { gid } = claimsOf(doomed.access_token)
      await flow.revoke(doomed.refresh_token, 0)
      await listener.next('revoked', isAbout('grant', gid), from)
      await world.core.revocation.revokeSession('session-uid-of-nobody')
      await listener.next('revoked', isAbout('session', 'session-uid-of-nobody'), from)
      await world.core.revocation.revokeClient('some-client')
      const client = await listener.next('revoked', isAbout('client', 'some-client'), from)
      expect(client.data.not_before_ms).to.be.a('number')
      await world.core.sessions.endOthers(anna, { id: 's.spared', signedInAtMs: Date.now() + 1_000 })
      const floor = await listener.next('revoked', isAbout('account', anna), from)
      expect(floor.data).to.include({ except: 's.spared' })
    })

    it('goes on where it ended, on another process too, without a snapshot', async () => {
      const first = await listen(0)
      await first.next('snapshot_end')
      await first.next('heartbeat')
      const cursor = first.lastId()
      first.close()
      await world.core.revocation.revokeToken({ jti: `missed-${store}` })
      const second = await listen(1, cursor)
      await second.next('revoked', isAbout('token', `missed-${store}`))
      await second.next('heartbeat')
      expect(second.events.map(({ event }) => event)).not.to.include.members(['snapshot_begin'])
      expect(second.events.map(({ event }) => event)).not.to.include.members(['reset'])
    })

    it('says so and begins anew for a place it does not know', async () => {
      for (const place of ['0', 'x', '9999999999999-0', '-1']) {
        const listener = await listen(0, place)
        await listener.next('snapshot_end')
        expect(
          listener.events.slice(0, 2).map(({ event }) => event),
          place,
        ).to.deep.equal(['reset', 'snapshot_begin'])
      }
    })

    it('lets a listener that was lost within the snapshot begin anew', async () => {
      const listener = await listen(0)
      await listener.next('snapshot_end')
      const end = listener.events.findIndex(({ event }) => event === 'snapshot_end')
      for (const { id } of listener.events.slice(0, end)) {
        const again = await listen(0, id)
        await again.next('snapshot_end')
        again.close()
        break
      }
      expect(new Set(listener.events.slice(0, end).map(({ id }) => id))).to.deep.equal(new Set(['0']))
    })

    it('tells whose permissions have changed', async () => {
      const listener = await listen(1)
      await listener.next('snapshot_end')
      const from = listener.events.length
      await world.core.changes.change(SYSTEM, async (change) => change.touch('account', anna))
      const own = await listener.next('permissions', ({ account }) => account === anna, from)
      expect(own.data.version).to.be.a('number')
      await world.core.changes.change(SYSTEM, async (change) => change.touch('role', anna))
      const all = await listener.next('permissions', ({ everyone }) => everyone === true, from)
      expect(Number(all.data.version)).to.be.greaterThan(Number(own.data.version))
      const cursor = listener.lastId()
      listener.close()
      await world.core.changes.change(SYSTEM, async (change) => change.touch('account', anna))
      const later = await listen(0, cursor)
      await later.next('permissions', ({ account }) => account === anna)
      const before = later.events.length
      await world.core.changes.change(SYSTEM, async (change) => change.touch('visibility_member', anna))
      await sleep(1_200)
      expect(later.events.slice(before).filter(({ event }) => event === 'permissions')).to.deep.equal([])
    })

    it('ends when its own client is revoked, which needs a new token then', async () => {
      const listener = await listen(0)
      await listener.next('snapshot_end')
      await world.core.revocation.revokeClient('service')
      await until(() => listener.isOver())
    })

    it('ends when the token is revoked by which it was opened, and no other', async () => {
      const [own, other] = [await serviceToken(), await serviceToken()]
      const [listener, neighbour] = [await listen(0, undefined, own), await listen(0, undefined, other)]
      await Promise.all([listener.next('snapshot_end'), neighbour.next('snapshot_end')])
      await world.core.revocation.revokeToken(claimsOf(own))
      await until(() => listener.isOver())
      await neighbour.next('revoked', isAbout('token', claimsOf(own).jti))
      expect(neighbour.isOver()).to.equal(false)
    })

    if (store === 'Redis') {
      it('cuts off whoever does not keep up, and nobody else', async () => {
        const [slow, quick] = [await listen(0), await listen(0)]
        await Promise.all([slow.next('snapshot_end'), quick.next('snapshot_end')])
        const cursor = slow.lastId()
        slow.pause()
        // More than the buffers of both ends of a connection hold, and the megabyte that the server keeps.
        const padding = 'x'.repeat(1_000)
        /** A busy machine may not answer in time; whoever gets an error may repeat the call. */
        const revokeForSure = async (jti: string): Promise<void> => {
          for (let tries = 0; tries < 5; tries += 1) {
            if (
              await world.core.revocation.revokeToken({ jti }).then(
                () => true,
                () => false,
              )
            )
              return
          }
          throw new Error('it cannot be revoked')
        }
        const ids = Array.from({ length: 16_000 }, (_, place) => `slow-${place}-${padding}`)
        for (let place = 0; place < ids.length; place += 100) {
          const some = ids.slice(place, place + 100)
          await Promise.all(some.map(revokeForSure))
        }
        const last = ids.at(-1) ?? ''
        await quick.next('revoked', isAbout('token', last))
        expect(quick.isOver()).to.equal(false)
        slow.resume()
        await until(() => slow.isOver())
        expect(slow.events.some(({ data }) => data.id === last)).to.equal(false)
        const again = await listen(1, slow.lastId() || cursor)
        await again.next('revoked', isAbout('token', last))
        const told = new Set([...slow.events, ...again.events].map(({ data }) => data.id))
        expect(ids.filter((id) => !told.has(id)).length).to.equal(0)
      })
    }

    it('does not keep a server from stopping', async () => {
      const server = await world.startAnother()
      const listener = await listen(world.servers.indexOf(server))
      await listener.next('snapshot_end')
      expect(await server.stop()).to.equal(0)
      expect(listener.isOver()).to.equal(true)
      const errors = server.lines.filter((line) => /"level":"(error|fatal)"/.test(line))
      expect(errors).to.deep.equal([])
    })

    it('has everything in force after a restart', async () => {
      const tokens = await flow.tokens()
      await flow.revoke(tokens.refresh_token, 0)
      const { gid } = claimsOf(tokens.access_token)
      const server = await world.startAnother()
      const listener = await listen(world.servers.indexOf(server))
      await listener.next('revoked', isAbout('grant', gid))
    })
  })
}
