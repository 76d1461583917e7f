import { expect } from 'chai'
import { type AccountDeletion, createAccountDeletion } from '../../src/accounts/account-deletion.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { AppError } from '../../src/errors.ts'
import { auditOf } from '../support/auditing.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'

const DAY_MS = 86_400_000

describe('the deletion of an account', () => {
  let stores: OpenStores
  let accounts: Accounts
  let deletion: AccountDeletion
  let now = Date.parse('2030-01-01T00:00:00Z')
  let revoked: string[] = []
  let kept: string | undefined
  let serial = 0
  const clock = { now: () => now }

  before(async () => {
    stores = await openStores()
    const store = createAccountStore()
    const hashes = {
      hash: () => Promise.reject(new Error('unused')),
      verify: () => Promise.reject(new Error('unused')),
    }
    const revokeSubject = async (id: string) => void revoked.push(id)
    const guardRemoval = async (_executor: unknown, id: string) => {
      if (id === kept) throw new AppError('conflict', 409, 'This one stays.')
    }
    const { db } = stores
    accounts = createAccounts({ db, store, hashes, policy: createPasswordPolicy(), revokeSubject, clock })
    deletion = createAccountDeletion({ db, store, guardRemoval, audit: auditOf(db).record, revokeSubject, clock })
  })
  beforeEach(() => {
    revoked = []
    kept = undefined
  })
  after(() => stores.close())

  const newAccount = () => {
    serial += 1
    return accounts.create({ email: `somebody-${serial}@example.org` })
  }
  const authTime = () => now / 1000
  const codeOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => undefined,
      (error) => error.code,
    )

  it('wants a sign-in of the last ten minutes', async () => {
    const { id } = await newAccount()
    expect(await codeOf(deletion.request(id, authTime() - 601))).to.equal('fresh_sign_in_required')
    expect((await accounts.findById(id))?.deletionDueAt).to.equal(undefined)
    expect(await codeOf(deletion.request(id, authTime() - 599))).to.equal(undefined)
  })

  it('ends every session, and removes the account when its time has come and not before', async () => {
    const { id } = await newAccount()
    const dueAt = await deletion.request(id, authTime())
    expect([dueAt.getTime() - now, revoked]).to.deep.equal([14 * DAY_MS, [id]])
    now += 14 * DAY_MS - 1
    await deletion.removeDue()
    expect(await accounts.findById(id)).to.include({ id })
    now += 1
    await deletion.removeDue()
    expect(await accounts.findById(id)).to.equal(undefined)
    expect(await deletion.removeDue()).to.equal(0)
  })

  it('is taken back by a sign-in within the time of grace, and by none after it', async () => {
    const [early, late] = [await newAccount(), await newAccount()]
    for (const { id } of [early, late]) await deletion.request(id, authTime())
    const marked = async (id: string) => (await accounts.findById(id)) ?? early
    now += 13 * DAY_MS
    expect(await deletion.restore(await marked(early.id))).to.equal(true)
    expect((await accounts.findById(early.id))?.deletionDueAt).to.equal(undefined)
    now += 2 * DAY_MS
    expect(await deletion.restore(await marked(late.id))).to.equal(false)
    await deletion.removeDue()
    expect(await accounts.findById(early.id)).to.include({ id: early.id })
    expect(await accounts.findById(late.id)).to.equal(undefined)
  })

  it('either removes an account or gives it back when both happen at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await newAccount()
      await deletion.request(id, authTime())
      now += 14 * DAY_MS
      const account = await accounts.findById(id)
      const [restored] = await Promise.all([
        deletion.restore({ id, deletionDueAt: account?.deletionDueAt }),
        ...Array.from({ length: 4 }, () => deletion.removeDue()),
      ])
      expect((await accounts.findById(id)) !== undefined).to.equal(restored)
    }
  })

  it('is refused and taken back where the account must stay', async () => {
    const { id } = await newAccount()
    kept = id
    expect(await codeOf(deletion.request(id, authTime()))).to.equal('conflict')
    kept = undefined
    await deletion.request(id, authTime())
    now += 15 * DAY_MS
    kept = id
    await deletion.removeDue()
    expect((await accounts.findById(id))?.deletionDueAt).to.equal(undefined)
  })

  it('knows no account that is not there', async () => {
    expect(await codeOf(deletion.request('01939c4e-0000-7000-8000-000000000009', authTime()))).to.equal('not_found')
  })
})
