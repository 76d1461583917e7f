import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { createPendingStore } from '../../src/accounts/pending-store.ts'
import {
  createRegistration,
  REGISTRATION,
  type Registration,
  type RegistrationDeps,
  type RegistrationInput,
} from '../../src/accounts/registration.ts'
import { createCodeStore } from '../../src/codes/code-store.ts'
import { createOneTimeCodes } from '../../src/codes/one-time-code.ts'
import { createLimits } from '../../src/limits/limits.ts'
import type { Ephemeral } from '../../src/storage/ephemeral.ts'
import { auditOf } from '../support/auditing.ts'
import { createLetterbox, type Letterbox } from '../support/letterbox.ts'
import { noting } from '../support/noting.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const PEPPER = 'a pepper for tests'
const PASSWORD = 'correct horse battery'

let unique = 0
const next = (): number => {
  unique += 1
  return unique
}
const stranger = () => `2001:db8:0:${next().toString(16)}::1`
const address = () => `Somebody-${next()}@example.org`
const otherThan = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0')

for (const kind of ['redis', 'sql'] as const) {
  describe(`registration over ${kind}`, function () {
    this.timeout(20_000)
    let stores: OpenStores
    let ephemeral: Ephemeral
    let pool: HashPool
    let accounts: Accounts
    let post: Letterbox
    let registration: Registration
    let calls: string[]

    before(async () => {
      stores = await openStores()
      ephemeral = stores[kind]
      pool = createHashPool()
      const deps = { db: stores.db, store: createAccountStore(), hashes: pool, policy: createPasswordPolicy() }
      accounts = createAccounts({ ...deps, revokeSubject: () => Promise.resolve() })
    })
    after(async () => {
      await pool.close()
      await stores.close()
    })
    beforeEach(() => {
      calls = []
      post = createLetterbox()
      registration = build()
    })

    const build = (parts: Partial<RegistrationDeps> = {}) => {
      const budgets = { 'code-failure': [{ per: 'everybody', capacity: 1e6, perSecond: 1e6 }] } as const
      const limits = createLimits(ephemeral, { pepper: PEPPER, budgets })
      const codes = createOneTimeCodes({ store: createCodeStore(ephemeral), limits, pepper: PEPPER })
      return createRegistration({
        mode: 'verified',
        db: stores.db,
        accounts: noting(calls, 'accounts', accounts),
        pending: noting(calls, 'pending', createPendingStore(ephemeral)),
        codes: noting(calls, 'codes', codes),
        limits: noting(calls, 'limits', limits),
        policy: createPasswordPolicy(),
        hashes: noting(calls, 'hashes', pool),
        audit: auditOf(stores.db).record,
        enqueue: (executor, intent) => {
          calls.push('enqueue')
          return post.enqueue(executor, intent)
        },
        send: post.send,
        pepper: PEPPER,
        ...parts,
      })
    }

    const register = (input: Partial<RegistrationInput> = {}, from = stranger(), by = registration) =>
      by.register({ email: address(), password: PASSWORD, ...input }, from)
    const deliver = (by = registration) => post.deliver({ [REGISTRATION]: by.deliver })
    const verify = (email: string, code: unknown, by = registration) => by.verify({ email, code, from: stranger() })
    const hasPassword = async ({ passwordHash = '' }: Account, password: string) =>
      (await pool.verify(passwordHash, password)).matches

    it('makes the account when the mailed code comes back, and not before', async () => {
      const email = address()
      const about = { email, username: `user-${next()}`, firstName: 'Anna', lastName: 'Ivanova', locale: 'ru' }
      expect(await register(about)).to.equal(undefined)
      await deliver()
      expect(await accounts.findByLogin(email)).to.equal(undefined)
      expect(post.letters).to.have.lengthOf(1)
      expect(post.letters[0]).to.deep.include({ to: email, template: 'registration-code', locale: 'ru' })

      const account = await verify(email.toLowerCase(), post.codeFor(email))
      expect(account).to.include({ ...about, emailVerified: true, status: 'active' })
      expect(await hasPassword(account, PASSWORD)).to.equal(true)
      expect((await refusal(verify(email, post.codeFor(email)))).code).to.equal('invalid_code')
    })

    it('lets one of 32 simultaneous confirmations make the account', async () => {
      const email = address()
      await register({ email })
      await deliver()
      const rivals = Array.from({ length: 32 }, () => verify(email, post.codeFor(email)))
      const outcomes = await Promise.allSettled(rivals)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(1)
    })

    describe('says nothing about an address:', () => {
      it('the same work and no answer for a new one and for a taken one, whose owner is told by mail', async () => {
        const owner = await accounts.create({ email: address(), password: PASSWORD, locale: 'ru' })
        expect(await register()).to.equal(undefined)
        const work = calls.splice(0)
        expect(await register({ email: owner.email.toUpperCase(), locale: 'en' })).to.equal(undefined)
        expect(calls).to.deep.equal(work)
        // A repeated address is no quicker and no slower than a new one.
        calls.splice(0)
        await register({ email: owner.email })
        expect(calls.map((call) => call.replace('replace', 'saveFirst'))).to.deep.equal(work)
        expect(work).to.include.members(['hashes.hash', 'pending.saveFirst', 'enqueue'])
        expect(work.filter((call) => call.startsWith('accounts.'))).to.deep.equal([])

        await deliver()
        expect(post.letters.at(-1)).to.deep.equal({
          to: owner.email,
          template: 'registration-notice',
          locale: 'ru',
          data: {},
        })
      })

      it('the same work and words for a wrong code of a pending, a taken and an unknown one', async () => {
        const pending = address()
        await register({ email: pending })
        await deliver()
        const taken = (await accounts.create({ email: address() })).email
        const wrong = otherThan(post.codeFor(pending))
        calls.splice(0)
        const answers = []
        for (const email of [pending, taken, address()]) {
          const { code, status, message } = await refusal(verify(email, wrong))
          answers.push(JSON.stringify({ code, status, message, calls: calls.splice(0) }))
        }
        expect(new Set(answers).size).to.equal(1)
      })

      it('nothing is mailed to a disabled account', async () => {
        const { id, email } = await accounts.create({ email: address() })
        await accounts.disable(id)
        await register({ email })
        await deliver()
        expect(post.letters).to.deep.equal([])
      })
    })

    describe('keeps whoever registers somebody else’s address out:', () => {
      it('from two networks neither password counts, in whatever order', async () => {
        const email = address()
        const [owner, attacker] = [stranger(), stranger()]
        for (const from of [owner, attacker, owner]) await register({ email, password: `${PASSWORD} of ${from}` }, from)
        await deliver()
        const account = await verify(email, post.codeFor(email))
        expect(account.passwordHash).to.equal(undefined)
      })

      it('from one network the newest registration replaces the one before', async () => {
        const email = address()
        const network = `2001:db8:1:${next().toString(16)}`
        await register({ email, username: `old-${next()}` }, `${network}::1`)
        await register({ email, password: 'another pass phrase' }, `${network}::2`)
        await deliver()
        const account = await verify(email, post.codeFor(email))
        expect(account.username).to.equal(undefined)
        expect(await hasPassword(account, 'another pass phrase')).to.equal(true)
      })
    })

    it('takes from a request what people may say about themselves, and nothing else', async () => {
      const email = address()
      const greedy = {
        email,
        emailVerified: false,
        status: 'disabled',
        attributes: { admin: true },
        id: 'mine',
        passwordHash: 'x',
      }
      await register(greedy)
      await deliver()
      const account = await verify(email, post.codeFor(email))
      expect(account).to.include({ email, emailVerified: true, status: 'active' })
      expect(account.attributes).to.deep.equal({})
    })

    it('names every fault, before anything is hashed', async () => {
      const faulty = await refusal(register({ email: 'a@b,c@d', username: 'a b', locale: '?' }))
      expect(faulty.faults.map(({ pointer }) => pointer)).to.deep.equal(['/email', '/username', '/locale'])
      expect((await refusal(register({ password: 'short' }))).code).to.equal('invalid_password')
      expect(calls).to.not.include('hashes.hash')
    })

    it('leaves out a username that was taken meanwhile', async () => {
      const email = address()
      const username = `popular-${next()}`
      await register({ email, username })
      await deliver()
      await accounts.create({ email: address(), username: username.toUpperCase() })
      expect(await verify(email, post.codeFor(email))).to.include({ email, username: undefined })
    })

    it('says that an address was taken meanwhile to whoever has proved it', async () => {
      const email = address()
      await register({ email })
      await deliver()
      await accounts.create({ email })
      expect((await refusal(verify(email, post.codeFor(email)))).code).to.equal('conflict')
    })

    it('mails one address three times in an hour, whoever asks', async () => {
      const email = address()
      for (let round = 0; round < 8; round += 1) await register({ email })
      await deliver()
      expect(post.letters).to.have.lengthOf(3)
    })

    it('stops one address that registers many', async () => {
      const from = stranger()
      const quick = build({ hashes: { hash: async () => '' } })
      for (let round = 0; round < 20; round += 1) await register({}, from, quick)
      expect((await refusal(register({}, from, quick))).code).to.equal('rate_limited')
    })

    it('stops one address that guesses at the codes of many', async () => {
      const from = stranger()
      const guess = () => refusal(registration.verify({ email: address(), code: '000000', from }))
      for (let round = 0; round < 20; round += 1) expect((await guess()).code).to.equal('invalid_code')
      expect((await guess()).code).to.equal('rate_limited')
    })

    it('forgets who does not confirm', async () => {
      const brief = build({ pending: createPendingStore(ephemeral, { ttlSeconds: 0.2 }) })
      const email = address()
      await register({ email }, stranger(), brief)
      await deliver(brief)
      const code = post.codeFor(email)
      await sleep(300)
      expect((await refusal(verify(email, code, brief))).code).to.equal('invalid_code')
      expect(await accounts.findByLogin(email)).to.equal(undefined)
    })

    describe('open', () => {
      beforeEach(() => {
        registration = build({ mode: 'open' })
      })

      it('makes the account at once; its address is proved by the mailed code', async () => {
        const email = address()
        const account = await register({ email })
        expect(account).to.include({ email, emailVerified: false })
        await deliver()
        expect(await verify(email, post.codeFor(email))).to.include({ id: account?.id, emailVerified: true })
      })

      it('refuses a taken address and a weak password', async () => {
        const { email } = await accounts.create({ email: address() })
        expect((await refusal(register({ email }))).code).to.equal('conflict')
        expect((await refusal(register({ password: 'short' }))).code).to.equal('invalid_password')
      })
    })

    it('closed refuses everybody before any work', async () => {
      const closed = build({ mode: 'closed' })
      for (const asked of [register({}, stranger(), closed), verify(address(), '123456', closed)]) {
        expect(await refusal(asked)).to.include({ code: 'registration_closed', status: 403 })
      }
      expect(calls).to.deep.equal([])
    })

    it('leaves neither address nor password in the keys of the store', async () => {
      const keys: string[] = []
      const put: Ephemeral['put'] = (key, value, options) => {
        keys.push(key)
        expect(value).to.not.include(PASSWORD)
        return ephemeral.put(key, value, options)
      }
      const email = address()
      await register({ email }, stranger(), build({ pending: createPendingStore({ ...ephemeral, put }) }))
      expect(new Set(keys).size).to.equal(1)
      expect(keys[0]?.toLowerCase()).to.not.include(email.toLowerCase())
    })
  })
}
