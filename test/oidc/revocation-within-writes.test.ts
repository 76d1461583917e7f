/** A server that dies between a write and the revocation that follows from it leaves no token alive. */
import { expect } from 'chai'
import { createAccountDeletion } from '../../src/accounts/account-deletion.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { createClientStore } from '../../src/clients/client-store.ts'
import { createClients } from '../../src/clients/clients.ts'
import { createRevocation } from '../../src/oidc/revocation.ts'
import { createRevocationFeed } from '../../src/oidc/revocation-feed.ts'
import { createRevocationFloorStore } from '../../src/oidc/revocation-floor-store.ts'
import { createRevocationWriter } from '../../src/oidc/revocation-writer.ts'
import { createSqlJournal } from '../../src/storage/journal-sql.ts'
import type { Executor } from '../../src/storage/tables.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'

const HASH = '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

describe('a revocation that follows from a write, in a server that dies in between', function () {
  this.timeout(30_000)
  let stores: OpenStores
  let accounts: Accounts
  let revocation: ReturnType<typeof createRevocation>
  let isRefused: boolean
  let serial = 0

  const dies = () => Promise.reject(new Error('killed'))
  const floors = createRevocationFloorStore()

  before(async () => {
    stores = await openStores()
    const { db } = stores
    const clock = { now: () => Date.now() }
    const journal = createSqlJournal(stores.database)
    const feed = createRevocationFeed({ db, store: floors, journal, clock })
    revocation = createRevocation({
      ...{ db, store: floors, journal, feed, clock, ephemeral: stores.sql },
      ...{ accessTokenSeconds: 300, grantSeconds: 86_400, sessionSeconds: 86_400 },
      write: createRevocationWriter({ db, store: floors }),
    })
    accounts = createAccounts({
      ...{ db, store: createAccountStore(), hashes: { hash: dies, verify: dies }, policy: createPasswordPolicy() },
      ...{ revokeSubject: dies, raiseFloor },
    })
  })
  beforeEach(() => {
    isRefused = false
  })
  after(() => stores?.close())

  async function raiseFloor(executor: Executor, id: string): Promise<void> {
    await revocation.raiseFloorWithin(executor, 'account', id)
    if (isRefused) throw new Error('something went wrong after all')
  }
  const newAccount = async () => {
    serial += 1
    return (await accounts.create({ email: `ended-${serial}@example.org` })).id
  }
  const outcome = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error: Error) => error.message,
    )
  const isBelowFloor = async (kind: 'account' | 'client', id: string) =>
    (await floors.find(stores.db, [{ kind, id }])).length === 1

  const deletionOf = () =>
    createAccountDeletion({
      ...{ db: stores.db, store: createAccountStore(), guardRemoval: async () => undefined },
      ...{ audit: async () => undefined, revokeSubject: dies, raiseFloor },
    })

  for (const [name, write] of [
    ['an account is disabled', (id: string) => accounts.disable(id)],
    ['a password is changed', (id: string) => accounts.update(id, { passwordHash: HASH })],
    ['an account is removed', (id: string) => accounts.remove(id)],
    ['an account is to be deleted', (id: string) => deletionOf().request(id, Date.now() / 1_000)],
  ] as const) {
    it(`is in force when ${name}`, async () => {
      const id = await newAccount()
      expect(await outcome(write(id))).to.equal('killed')
      expect(await isBelowFloor('account', id)).to.equal(true)
      const page = await floors.pageBehind(stores.db, { txid: '0', seq: 0 }, 1_000)
      expect(page.revoked.map((revoked) => revoked.id)).to.include(id)
    })

    it(`is not in force when ${name} and that is undone`, async () => {
      const id = await newAccount()
      isRefused = true
      expect(await outcome(write(id))).to.equal('something went wrong after all')
      expect(await isBelowFloor('account', id)).to.equal(false)
    })
  }

  it('is not in force when an account is only enabled or renamed', async () => {
    const id = await newAccount()
    expect(await outcome(accounts.update(id, { status: 'active', firstName: 'Anna' }))).to.equal('done')
    expect(await isBelowFloor('account', id)).to.equal(false)
  })

  it('is in force when a client is deleted', async () => {
    const clients = createClients({
      ...{ db: stores.db, store: createClientStore(), pepper: 'a pepper for tests', production: true },
      ...{ checkClientMetadata: () => {}, revokeClient: dies },
      raiseFloor: (executor, id) => revocation.raiseFloorWithin(executor, 'client', id),
    })
    await clients.create({ id: 'ending', type: 'machine', grantTypes: ['client_credentials'], scopes: ['a:b'] })
    expect(await outcome(clients.remove('ending'))).to.equal('killed')
    expect(await isBelowFloor('client', 'ending')).to.equal(true)
  })
})
