/** What claims are made of is answered from memory, and never older than a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createRememberedAccounts } from '../../src/accounts/remembered-accounts.ts'
import { type Core, composeCore } from '../../src/compose.ts'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { createLocalAnnouncements } from '../../src/storage/announcements.ts'
import { ANNA, createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'

const anna = (more: Partial<Account> = {}): Account => ({
  id: 'anna',
  email: 'anna@example.org',
  emailVerified: true,
  username: undefined,
  passwordHash: 'a hash',
  firstName: 'Anna',
  lastName: undefined,
  locale: undefined,
  status: 'active',
  profile: {},
  attributes: {},
  deletionDueAt: undefined,
  createdAt: new Date(0),
  updatedAt: new Date(0),
  ...more,
})

/** A database with one account, and a freshness that does what it is told. */
function setUp() {
  const state = { account: anna() as Account | undefined, isFresh: true, generation: 0, reads: 0, confirmations: 0 }
  let listener = { touched: (_: { kind: string; subject: string }) => {}, everything: () => {} }
  let whileReading = (): void => {}
  const remembered = createRememberedAccounts({
    async findById() {
      state.reads += 1
      const found = state.account
      whileReading()
      return found
    },
    freshness: {
      isFresh: () => state.isFresh,
      ensureFresh() {
        state.confirmations += 1
        return Promise.reject(new Error('the database is busy'))
      },
      generation: () => state.generation,
      listen(told) {
        listener = told
      },
    },
  })
  return {
    state,
    find: async () => remembered.findActive('anna'),
    touch(kind: string, subject: string) {
      state.generation += 1
      listener.touched({ kind, subject })
    },
    everything: () => listener.everything(),
    duringReads(work: () => void) {
      whileReading = work
    },
  }
}

describe('an account that is remembered', () => {
  it('is read once, without the hash of its password', async () => {
    const { state, find } = setUp()
    expect((await find())?.firstName).to.equal('Anna')
    expect(await find()).to.deep.equal(anna({ passwordHash: undefined }))
    expect(state.reads).to.equal(1)
  })

  it('is read again while memory may not be believed, and has it confirmed for the next', async () => {
    const { state, find } = setUp()
    state.isFresh = false
    await find()
    await find()
    expect([state.reads, state.confirmations]).to.deep.equal([2, 2])
  })

  it('is forgotten when it was touched, and only then', async () => {
    const { state, find, touch, everything } = setUp()
    await find()
    touch('account', 'bob')
    touch('role', 'anna')
    await find()
    expect(state.reads).to.equal(1)
    touch('account', 'anna')
    state.account = anna({ firstName: 'Hanna' })
    expect((await find())?.firstName).to.equal('Hanna')
    everything()
    await find()
    expect(state.reads).to.equal(3)
  })

  it('is not remembered when it was touched while it was read', async () => {
    const { state, find, touch, duringReads } = setUp()
    duringReads(() => touch('account', 'anna'))
    await find()
    duringReads(() => {})
    state.account = anna({ status: 'disabled' })
    expect(await find()).to.equal(undefined)
  })

  it('is nobody to whom it is disabled, remembered or not', async () => {
    const { state, find } = setUp()
    state.account = anna({ status: 'disabled' })
    expect(await find()).to.equal(undefined)
    expect(await find()).to.equal(undefined)
    state.account = undefined
    expect(await find()).to.equal(undefined)
  })
})

describe('what userinfo and refreshed ID tokens say of an account', function () {
  this.timeout(40_000)
  let world: World
  let deaf: Core

  before(async () => {
    world = await startWorld({ servers: 2 })
    const keyring = await openKeyring({ dir: world.config.keysDir, production: false, secrets: world.config })
    // Writes as any other process does, but nobody hears of it.
    const stores = { ...world.stores, announcements: createLocalAnnouncements() }
    deaf = composeCore({ config: world.config, stores, keyring })
    await world.core.clients.create({
      id: 'app',
      name: 'The application',
      type: 'spa',
      firstParty: true,
      grantTypes: ['refresh_token', 'password'],
      scopes: ['openid', 'profile'],
    })
  })
  after(async () => {
    await deaf?.hashes.close()
    await world?.stop()
  })

  const names = ['Hanna', 'Johanna', 'Susanna', 'Marianna']

  for (const [writer, coreOf] of [
    ['a process that tells the others', () => world.core],
    ['a process whose news is lost', () => deaf],
  ] as const) {
    it(`is what ${writer} has written, everywhere within a second`, async () => {
      const { id } = (await world.core.accounts.findByLogin(ANNA.login)) ?? (await createAnna(world))
      const flow = createCodeFlow(world, { id: 'app', redirectUri: '' })
      const form = { grant_type: 'password', client_id: 'app', username: ANNA.login, password: ANNA.password }
      const { access_token: token } = tokensOf(await flow.post('/oauth2/token', { ...form, scope: 'openid profile' }))
      const nameAt = async (server: number): Promise<unknown> =>
        (await flow.userinfo(token, server)).json<{ given_name: unknown }>().given_name
      for (const name of names) {
        await Promise.all([nameAt(0), nameAt(1)])
        await coreOf().accounts.update(id, { firstName: name })
        await sleep(1_000)
        expect([await nameAt(0), await nameAt(1)]).to.deep.equal([name, name])
      }
    })
  }

  it('is nothing any more once it is disabled', async () => {
    const { id } = (await world.core.accounts.findByLogin(ANNA.login)) ?? (await createAnna(world))
    const flow = createCodeFlow(world, { id: 'app', redirectUri: '' })
    const form = { grant_type: 'password', client_id: 'app', username: ANNA.login, password: ANNA.password }
    const { access_token: token } = tokensOf(await flow.post('/oauth2/token', { ...form, scope: 'openid' }))
    expect((await flow.userinfo(token, 1)).status).to.equal(200)
    await deaf.accounts.disable(id)
    await sleep(1_000)
    expect((await flow.userinfo(token, 0)).status).to.equal(401)
    expect((await flow.userinfo(token, 1)).status).to.equal(401)
  })
})
