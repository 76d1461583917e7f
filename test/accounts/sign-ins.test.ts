import { expect } from 'chai'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import type { NewSignIn } from '../../src/accounts/sign-in.ts'
import { createSignInStore } from '../../src/accounts/sign-in-store.ts'
import { createSignIns } from '../../src/accounts/sign-ins.ts'
import { createSweeper } from '../../src/storage/sweeper.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'

describe('the history of sign-ins', () => {
  let stores: OpenStores
  let accounts: Accounts
  let queries: string[] = []
  let serial = 0

  before(async () => {
    stores = await openStores((sql) => queries.push(sql))
    const hashes = {
      hash: () => Promise.reject(new Error('unused')),
      verify: () => Promise.reject(new Error('unused')),
    }
    const revokeSubject = () => Promise.resolve()
    const { db } = stores
    accounts = createAccounts({
      db,
      store: createAccountStore(),
      hashes,
      policy: createPasswordPolicy(),
      revokeSubject,
    })
  })
  after(() => stores.close())

  const entryOf = (accountId: string, more: Partial<NewSignIn> = {}): NewSignIn => ({
    accountId,
    outcome: 'succeeded',
    clientId: 'app',
    address: '192.0.2.7',
    userAgent: 'a browser',
    ...more,
  })
  const newAccount = async (): Promise<string> => {
    serial += 1
    return (await accounts.create({ email: `somebody-${serial}@example.org` })).id
  }
  const build = (onFault?: (error: unknown) => void) =>
    createSignIns({ db: stores.db, store: createSignInStore(), ...(onFault ? { onFault } : {}) })

  it('writes a failure after its answer, so that it takes no longer than one for nobody', async () => {
    const id = await newAccount()
    const signIns = build()
    queries = []
    await signIns.record(entryOf(id, { outcome: 'wrong_password' }))
    expect(queries).to.deep.equal([])
    await signIns.close()
    expect((await signIns.list(id, { limit: 10 })).map(({ outcome }) => outcome)).to.deep.equal(['wrong_password'])
  })

  it('writes a failure by itself, a little later', async () => {
    const id = await newAccount()
    const signIns = build()
    queries = []
    await signIns.record(entryOf(id, { outcome: 'disabled' }))
    while (!queries.some((sql) => sql.includes('insert into sign_ins')))
      await new Promise((done) => setTimeout(done, 20))
    expect(await build().list(id, { limit: 10 })).to.have.length(1)
  })

  it('has written a success when the sign-in is answered, with the failures before it', async () => {
    const id = await newAccount()
    const signIns = build()
    await signIns.record(entryOf(id, { outcome: 'wrong_password' }))
    await signIns.record(entryOf(id, { userAgent: `${'x'.repeat(400)}\0\ud800` }))
    const [last, first] = await build().list(id, { limit: 10 })
    expect([first?.outcome, last?.outcome]).to.deep.equal(['wrong_password', 'succeeded'])
    expect(last?.userAgent).to.have.length(300)
  })

  it('leaves out an account that is gone, and keeps the others', async () => {
    const [gone, id] = [await newAccount(), await newAccount()]
    const signIns = build()
    await signIns.record(entryOf(gone, { outcome: 'wrong_password' }))
    await accounts.remove(gone)
    await signIns.record(entryOf(id))
    expect(await signIns.list(id, { limit: 10 })).to.have.length(1)
    expect(await signIns.list(gone, { limit: 10 })).to.deep.equal([])
  })

  it('signs nobody out while the database is away', async () => {
    const id = await newAccount()
    const lost = await lostDatabase()
    const faults: unknown[] = []
    const signIns = createSignIns({ db: lost.db, store: createSignInStore(), onFault: (error) => faults.push(error) })
    await signIns.record(entryOf(id, { outcome: 'wrong_password' }))
    await signIns.record(entryOf(id))
    expect(faults[0]).to.have.property('code', 'temporarily_unavailable')
    await lost.close()
  })

  it('ends after ninety days', async () => {
    const id = await newAccount()
    const day = 86_400_000
    for (const age of [91, 89]) {
      const clock = { now: () => Date.now() - age * day }
      await createSignIns({ db: stores.db, store: createSignInStore(), clock }).record(entryOf(id))
    }
    const sweeper = createSweeper(stores.database)
    await sweeper.sweep()
    await sweeper.stop()
    expect(await build().list(id, { limit: 10 })).to.have.length(1)
  })
})
