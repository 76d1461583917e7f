import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { createProveOwner } from '../../src/accounts/own-password.ts'
import { createChangePassword, type PasswordChangeDeps } from '../../src/accounts/password-change.ts'
import { createPasswordNotice } from '../../src/accounts/password-notice.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { createCodeStore } from '../../src/codes/code-store.ts'
import { createOneTimeCodes } from '../../src/codes/one-time-code.ts'
import { Unavailable } from '../../src/errors.ts'
import { createLimits } from '../../src/limits/limits.ts'
import { auditOf } from '../support/auditing.ts'
import { createLetterbox, type Letterbox } from '../support/letterbox.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const pepper = 'a pepper for tests'
const OLD = 'the old password of them'
const NEW = 'a wholly new pass phrase'
let unique = 0

const THIS_ONE = { id: 's.this-one', signedInAtMs: 1 }

describe('a password change', function () {
  this.timeout(20_000)
  let stores: OpenStores
  let pool: HashPool
  let accounts: Accounts
  let post: Letterbox
  let revoked: unknown[][]

  before(async () => {
    stores = await openStores()
    pool = createHashPool()
    const deps = { db: stores.db, store: createAccountStore(), hashes: pool, policy: createPasswordPolicy() }
    accounts = createAccounts({ ...deps, revokeSubject: () => Promise.resolve() })
  })
  after(async () => {
    await pool.close()
    await stores.close()
  })
  beforeEach(() => {
    post = createLetterbox()
    revoked = []
  })

  const limitsAndCodes = () => {
    const limits = createLimits(stores.redis, { pepper })
    return { limits, codes: createOneTimeCodes({ store: createCodeStore(stores.redis), limits, pepper }) }
  }
  const build = (parts: Partial<PasswordChangeDeps> = {}) => {
    const { limits, codes } = limitsAndCodes()
    return createChangePassword({
      accounts,
      codes,
      proveOwner: createProveOwner({ accounts, hashes: pool, limits }),
      policy: createPasswordPolicy(),
      hashes: pool,
      notice: createPasswordNotice({ accounts, enqueue: post.enqueue, send: post.send }),
      audit: auditOf(stores.db).record,
      revokeOthers: async (...given) => void revoked.push(given),
      ...parts,
    })
  }
  const somebody = (input = {}): Promise<Account> => {
    unique += 1
    return accounts.create({ email: `somebody-${unique}@example.org`, password: OLD, ...input })
  }
  const change = ({ id }: Account, currentPassword = OLD, newPassword = NEW, by = build()) =>
    by({ accountId: id, currentPassword, newPassword, keepSession: THIS_ONE })
  const hasPassword = async ({ id }: Account, password: string): Promise<boolean> =>
    (await pool.verify((await accounts.findById(id))?.passwordHash ?? '', password)).matches

  it('sets the new password, ends every other session and mails a notice to the stored address', async () => {
    const account = await somebody({ locale: 'ru' })
    await change(account)
    expect(await hasPassword(account, NEW)).to.equal(true)
    expect(revoked).to.deep.equal([
      [account.id, THIS_ONE],
      [account.id, THIS_ONE],
    ])
    const notice = createPasswordNotice({ accounts, enqueue: post.enqueue, send: post.send })
    await post.deliver({ 'password-changed': notice.deliver })
    expect(post.letters).to.have.lengthOf(1)
    expect(post.letters[0]).to.include({ to: account.email, template: 'password-changed', locale: 'ru' })
  })

  it('refuses a wrong current password, changes nothing and tells nobody', async () => {
    const account = await somebody()
    const refused = await refusal(change(account, 'a wrong password'))
    expect(refused).to.include({ code: 'invalid_credentials', status: 403 })
    expect(await hasPassword(account, OLD)).to.equal(true)
    expect([revoked, post.intents]).to.deep.equal([[], []])
  })

  it('refuses a new password against the rules, naming the member', async () => {
    const account = await somebody({ username: 'bartholomew' })
    for (const password of ['short', `${account.email}!`, 'bartholomewbartholomew', 'x'.repeat(257)]) {
      const refused = await refusal(change(account, OLD, password))
      expect(refused).to.include({ code: 'invalid_password', status: 400 })
      expect(refused.faults.map(({ pointer }) => pointer)).to.deep.equal(['/new_password'])
    }
  })

  it('refuses an account that is gone, disabled or has no password in the words of a wrong one', async () => {
    const gone = await somebody()
    await accounts.remove(gone.id)
    const disabled = await somebody()
    await accounts.disable(disabled.id)
    const without = await accounts.create({ email: 'without@example.org' })
    for (const account of [gone, disabled, without]) {
      expect(await refusal(change(account))).to.include({ code: 'invalid_credentials', status: 403 })
    }
  })

  it('lets one of eight simultaneous changes win', async () => {
    const account = await somebody()
    const rivals = Array.from({ length: 8 }, (_, rival) => change(account, OLD, `${NEW} ${rival}`))
    const outcomes = await Promise.allSettled(rivals)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(1)
    const winner = outcomes.findIndex(({ status }) => status === 'fulfilled')
    expect(await hasPassword(account, `${NEW} ${winner}`)).to.equal(true)
    expect(post.intents).to.have.lengthOf(1)
  })

  it('stops a stolen session that guesses: ten tries, then a delay, also for the right password', async () => {
    const account = await somebody()
    for (let guess = 0; guess < 10; guess += 1) await refusal(change(account, `a guess ${guess}`))
    const limited = await refusal(change(account))
    expect(limited).to.include({ code: 'rate_limited', status: 429 })
    expect(limited.retryAfterSeconds).to.be.within(1, 30)
  })

  it('changes nothing while other sessions cannot be ended', async () => {
    const account = await somebody()
    const unable = build({ revokeOthers: () => Promise.reject(new Unavailable('Redis')) })
    expect((await refusal(change(account, OLD, NEW, unable))).status).to.equal(503)
    expect(await hasPassword(account, OLD)).to.equal(true)
    expect(post.intents).to.deep.equal([])
  })

  it('ends a reset code that is under way', async () => {
    const account = await somebody()
    const { codes } = limitsAndCodes()
    const holder = { purpose: 'password-reset', subject: account.id, address: account.email } as const
    let mailed = ''
    await codes.issue(holder, async (code) => {
      mailed = code
    })
    await change(account)
    expect(await codes.redeem(holder, mailed)).to.equal(false)
  })
})
