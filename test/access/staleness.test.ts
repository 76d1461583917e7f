/** How long a right that was taken away through one process is still believed by another: never longer than a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type Core, composeCore } from '../../src/compose/core.ts'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { createLocalAnnouncements } from '../../src/storage/announcements.ts'
import { createApi } from '../support/api.ts'
import { createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { until } from '../support/eventually.ts'
import { startWorld, type World } from '../support/world.ts'

const BELIEVED_AT_MOST_MS = 1_000
/** Long after the last moment at which an old right may be believed. */
const WATCHED_MS = 1_600

interface Decision {
  begunAtMs: number
  isPermitted: boolean
}

describe('a right taken away', function () {
  this.timeout(40_000)
  let world: World | undefined
  let deaf: Core | undefined
  let bearer = ''
  let serial = 0
  afterEach(async () => {
    await deaf?.hashes.close()
    await world?.stop()
  })

  async function start(env: Record<string, string> = {}): Promise<World> {
    world = await startWorld({ servers: 2, env })
    const keyring = await openKeyring({ dir: world.config.keysDir, production: false, secrets: world.config })
    // Writes as any other process does, but nobody hears of it.
    const stores = { ...world.stores, announcements: createLocalAnnouncements() }
    deaf = composeCore({ config: world.config, stores, keyring })
    const { access, clients } = world.core
    await access.initialize()
    await access.ensurePermission({ key: 'movies:edit' })
    await access.ensureRole({ key: 'editor', permissions: ['movies:edit'] })
    const { secret } = await clients.create({ id: 'movies', type: 'machine', scopes: ['access:read'] })
    const flow = createCodeFlow(world, { id: 'movies', secret, redirectUri: '' })
    const form = { grant_type: 'client_credentials', scope: 'access:read' }
    bearer = tokensOf(await flow.post('/oauth2/token', form)).access_token
    return world
  }

  /** Asks one server, over and over, as four services at once would, until it has been denied for long. */
  async function watch(running: World, accountId: string, server: number, isOver: () => boolean): Promise<Decision[]> {
    const api = createApi(running, server)
    const path = `/accounts/${accountId}/combined_permissions/validation?permissions=movies:edit`
    const decisions: Decision[] = []
    async function askOnAndOn(): Promise<void> {
      while (!isOver()) {
        const begunAtMs = performance.now()
        const reply = await api('GET', path, { bearer })
        expect(reply.status, reply.text).to.equal(200)
        decisions.push({ begunAtMs, isPermitted: reply.json<{ valid: boolean }>().valid })
        await sleep(5)
      }
    }
    await Promise.all([askOnAndOn(), askOnAndOn(), askOnAndOn(), askOnAndOn()])
    return decisions
  }

  async function editor(core: Core): Promise<string> {
    serial += 1
    const { id } = await core.accounts.create({ email: `editor-${serial}@example.org` })
    await core.access.assignRole(id, 'editor')
    return id
  }

  /** The decisions of both servers around a change, by how long after its answer they began. */
  async function around(running: World, accountId: string, change: () => Promise<unknown>) {
    let isOver = false
    const watched = [0, 1].map((server) => watch(running, accountId, server, () => isOver))
    await sleep(1_100) // both are warm, and confirm what they remember in their own time
    await change()
    const changedAtMs = performance.now()
    await sleep(WATCHED_MS)
    isOver = true
    const decisions = (await Promise.all(watched)).flat()
    const after = decisions.filter(({ begunAtMs }) => begunAtMs > changedAtMs)
    return {
      permittedBefore: decisions.filter((each) => each.begunAtMs < changedAtMs - 1_000 && each.isPermitted).length,
      /** 0 when no decision that began after the change's answer permitted. */
      lastPermittedAfterMs: Math.max(
        0,
        ...after.filter((each) => each.isPermitted).map((each) => each.begunAtMs - changedAtMs),
      ),
      deniedAfter: after.filter(({ isPermitted }) => !isPermitted).length,
    }
  }

  async function expectGone(running: World, accountId: string, change: () => Promise<unknown>): Promise<number> {
    const { permittedBefore, lastPermittedAfterMs, deniedAfter } = await around(running, accountId, change)
    expect(permittedBefore, 'decisions that permitted before').to.be.above(0)
    expect(deniedAfter, 'decisions that denied after').to.be.above(0)
    expect(lastPermittedAfterMs).to.be.at.most(BELIEVED_AT_MOST_MS)
    return lastPermittedAfterMs
  }

  it('is gone everywhere within a second, sooner when the news of it arrives', async () => {
    const running = await start()
    const { core } = running
    const account = await editor(core)
    await expectGone(running, account, () => core.access.removeRole(account, 'editor'))
  })

  it('is gone everywhere within a second when the news of it is lost', async () => {
    const running = await start()
    const account = await editor(running.core)
    await expectGone(running, account, async () => deaf?.access.removeRole(account, 'editor'))
  })

  it('is gone everywhere within a second when it was taken out of the role', async () => {
    const running = await start()
    const account = await editor(running.core)
    await expectGone(running, account, async () => deaf?.access.ensureRole({ key: 'editor', permissions: [] }))
  })

  it('is gone everywhere within a second without Redis', async () => {
    const running = await start({ USHER_REDIS_URL: '' })
    const { core } = running
    const account = await editor(core)
    await expectGone(running, account, () => core.access.removeRole(account, 'editor'))
  })

  it('is gone at once for whoever took it away, by the same server', async () => {
    const running = await start()
    const { core } = running
    const account = await editor(core)
    expect(await core.decisions.decide(account, 'movies:edit')).to.equal(true)
    await core.access.removeRole(account, 'editor')
    expect(await core.decisions.decide(account, 'movies:edit')).to.equal(false)
    await core.access.assignRole(account, 'editor')
    expect(await core.decisions.decide(account, 'movies:edit')).to.equal(true)
  })

  it('is heard of: the news alone makes a process look again', async () => {
    const running = await start()
    const { core } = running
    const account = await editor(core)
    const other = composeCore({
      config: running.config,
      stores: running.stores,
      keyring: await openKeyring({ dir: running.config.keysDir, production: false, secrets: running.config }),
      // Its clocks of memory stand still but for the news: a wall clock that does not move, and less than 800 ms.
      clock: { now: () => 0 },
    })
    try {
      expect(await other.decisions.decide(account, 'movies:edit')).to.equal(true)
      let told = 0
      running.stores.announcements.subscribe('access', () => {
        told += 1
      })
      await until(() => told > 0) // whoever begins to listen may have missed something
      const before = told
      await core.access.removeRole(account, 'editor')
      await until(() => told > before)
      expect(await other.decisions.decide(account, 'movies:edit')).to.equal(false)
    } finally {
      await other.hashes.close()
    }
  })
})
