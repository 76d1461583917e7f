/** What claims are made of is answered from memory, and never older than a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createRememberedAccounts } from '../../src/accounts/remembered-accounts.ts'
import { type Core, composeCore } from '../../src/compose/core.ts'
import { openKeyring } from '../../src/oidc/keystore.ts'
import { createLocalAnnouncements } from '../../src/storage/announcements.ts'
import { createApi } from '../support/api.ts'
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
  const state = { account: anna() as Account | undefined, reads: 0 }
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
      listen(told) {
        listener = told
      },
    },
  })
  return {
    state,
    find: async () => remembered.findActive('anna'),
    forget: () => remembered.forget('anna'),
    touch: (kind: string, subject: string) => listener.touched({ kind, subject }),
    everything: () => listener.everything(),
    duringReads(work: () => void) {
      whileReading = work
    },
  }
}

describe('an account that is remembered', () => {
  it('is read once, without the hash of its password, and again before a second is over', async () => {
    const { state, find } = setUp()
    expect((await find())?.firstName).to.equal('Anna')
    expect(await find()).to.deep.equal(anna({ passwordHash: undefined }))
    expect(state.reads).to.equal(1)
    await sleep(1_000)
    state.account = anna({ firstName: 'Hanna' })
    expect((await find())?.firstName).to.equal('Hanna')
  })

  it('is forgotten when it was written here, or touched elsewhere, and only then', async () => {
    const { state, find, forget, touch, everything } = setUp()
    await find()
    touch('account', 'bob')
    touch('role', 'anna')
    await find()
    expect(state.reads).to.equal(1)
    for (const change of [() => touch('account', 'anna'), forget, everything]) {
      change()
      const { reads } = state
      await find()
      expect(state.reads).to.equal(reads + 1)
    }
  })

  it('is not remembered when it was written while it was read', async () => {
    const { state, find, forget, duringReads } = setUp()
    duringReads(forget)
    await find()
    duringReads(() => {})
    state.account = anna({ status: 'disabled' })
    expect(await find()).to.equal(undefined)
  })

  it('is nobody while it is disabled, remembered or not', async () => {
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

  it('is at once what the process that is asked has written itself', async () => {
    const other = await startWorld()
    try {
      await createAnna(other)
      const redirectUri = 'https://app.example/cb'
      const scopes = ['openid', 'profile']
      await other.core.clients.create({ id: 'app', type: 'spa', firstParty: true, redirectUris: [redirectUri], scopes })
      const flow = createCodeFlow(other, { id: 'app', redirectUri })
      const { access_token: token } = await flow.tokens({ scope: 'openid profile' })
      const api = createApi(other)
      const signedIn = await api('POST', '/session', { json: ANNA })
      const { access_token: bearer } = signedIn.json<{ access_token: string }>()
      for (const first_name of names) {
        expect((await flow.userinfo(token)).status).to.equal(200)
        expect((await api('PATCH', '/me', { bearer, json: { first_name } })).status).to.equal(200)
        expect((await flow.userinfo(token)).json<{ given_name: unknown }>().given_name).to.equal(first_name)
      }
    } finally {
      await other.stop()
    }
  })

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
