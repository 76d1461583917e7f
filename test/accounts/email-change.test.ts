import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import {
  createEmailChange,
  EMAIL_CHANGE,
  EMAIL_CHANGE_NOTICE,
  type EmailChange,
} from '../../src/accounts/email-change.ts'
import { createEmailChangeStore } from '../../src/accounts/email-change-store.ts'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { createProveOwner } from '../../src/accounts/own-password.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { createCodeStore } from '../../src/codes/code-store.ts'
import { createOneTimeCodes } from '../../src/codes/one-time-code.ts'
import { createLimits } from '../../src/limits/limits.ts'
import { auditOf } from '../support/auditing.ts'
import { createLetterbox, type Letterbox } from '../support/letterbox.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const pepper = 'a pepper for tests'
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
  describe(`a change of the e-mail address over ${kind}`, function () {
    this.timeout(20_000)
    let stores: OpenStores
    let pool: HashPool
    let accounts: Accounts
    let post: Letterbox
    let change: EmailChange

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
      const ephemeral = stores[kind]
      const limits = createLimits(ephemeral, { pepper })
      change = createEmailChange({
        db: stores.db,
        accounts,
        store: createEmailChangeStore(ephemeral),
        codes: createOneTimeCodes({ store: createCodeStore(ephemeral), limits, pepper }),
        limits,
        proveOwner: createProveOwner({ accounts, hashes: pool, limits }),
        audit: auditOf(stores.db).record,
        enqueue: post.enqueue,
        send: post.send,
      })
    })

    const somebody = (input = {}): Promise<Account> =>
      accounts.create({ email: address(), password: PASSWORD, emailVerified: true, ...input })
    const request = ({ id }: Account, newEmail: string, password = PASSWORD) =>
      change.request({ accountId: id, password, newEmail, from: stranger() })
    const confirm = ({ id }: Account, code: unknown) => change.confirm({ accountId: id, code, from: stranger() })
    const deliver = () =>
      post.deliver({ [EMAIL_CHANGE]: change.deliverCode, [EMAIL_CHANGE_NOTICE]: change.deliverNotice })
    const emailOf = async ({ id }: Account) => (await accounts.findById(id))?.email

    it('mails the code to the new and a notice to the old address, and happens with the code only', async () => {
      const account = await somebody({ locale: 'ru' })
      const newEmail = address()
      await request(account, newEmail)
      await deliver()
      expect(post.letters.map(({ to, template, locale }) => [to, template, locale])).to.have.deep.members([
        [newEmail, 'email-change-code', 'ru'],
        [account.email, 'email-change-notice', 'ru'],
      ])
      expect(JSON.stringify(post.letters.find(({ to }) => to === account.email))).to.not.include(post.codeFor(newEmail))
      expect(await emailOf(account)).to.equal(account.email)

      const code = post.codeFor(newEmail)
      expect((await refusal(confirm(account, otherThan(code)))).code).to.equal('invalid_code')
      expect(await confirm(account, code)).to.include({ email: newEmail, emailVerified: true })
      expect((await refusal(confirm(account, code))).code).to.equal('invalid_code')
    })

    it('asks for the password, and for an address that is another one', async () => {
      const account = await somebody()
      expect(await refusal(request(account, address(), 'wrong'))).to.include({
        code: 'invalid_credentials',
        status: 403,
      })
      for (const malformed of [account.email.toUpperCase(), 'a@b,c@d', 'a@v.test\r\nBcc: x@evil.test', '']) {
        const { status, faults } = await refusal(request(account, malformed))
        expect([status, faults.map(({ pointer }) => pointer)]).to.deep.equal([400, ['/new_email']])
      }
      expect(post.intents).to.deep.equal([])
    })

    it('says nothing about an address that somebody has, before its mail is read', async () => {
      const [account, other] = [await somebody(), await somebody()]
      await request(account, other.email)
      await deliver()
      expect(post.letters.map(({ to }) => to)).to.have.members([account.email, other.email])
      const refused = await refusal(confirm(account, post.codeFor(other.email)))
      expect(refused).to.include({ code: 'conflict', status: 409 })
      expect(await emailOf(account)).to.equal(account.email)
    })

    it('lets one of two accounts have an address that both have proved', async () => {
      const [one, two] = [await somebody(), await somebody()]
      const newEmail = address()
      const codes = []
      for (const account of [one, two]) {
        await request(account, newEmail)
        await deliver()
        codes.push(post.codeFor(newEmail))
      }
      const outcomes = await Promise.allSettled([confirm(one, codes[0]), confirm(two, codes[1])])
      expect(outcomes.map(({ status }) => status)).to.have.members(['fulfilled', 'rejected'])
    })

    it('follows the address asked for last, in whatever order the mails go out', async () => {
      const account = await somebody()
      const [first, second] = [address(), address()]
      await request(account, first)
      await request(account, second)
      post.intents.reverse()
      await deliver()
      expect(post.letters.filter(({ template }) => template === 'email-change-code').map(({ to }) => to)).to.deep.equal(
        [second],
      )
      expect(await confirm(account, post.codeFor(second))).to.include({ email: second })
    })

    it('refuses the code of another account', async () => {
      const [victim, attacker] = [await somebody(), await somebody()]
      await request(victim, address())
      const own = address()
      await request(attacker, own)
      await deliver()
      expect((await refusal(confirm(victim, post.codeFor(own)))).code).to.equal('invalid_code')
      expect(await emailOf(victim)).to.equal(victim.email)
    })

    it('stops one address that guesses at codes', async () => {
      const { id: accountId } = await somebody()
      const from = stranger()
      const guess = () => refusal(change.confirm({ accountId, code: '000000', from }))
      for (let round = 0; round < 20; round += 1) expect((await guess()).code).to.equal('invalid_code')
      expect((await guess()).code).to.equal('rate_limited')
    })

    it('mails neither the owner nor a stranger more than three times in an hour', async () => {
      const account = await somebody()
      const lettersTo = (addressee: string) => post.letters.filter(({ to }) => to === addressee)
      for (let round = 0; round < 6; round += 1) {
        await request(account, address())
        await deliver()
      }
      expect(lettersTo(account.email)).to.have.lengthOf(3)
      expect(post.letters).to.have.lengthOf(6)
      const other = address()
      for (let round = 0; round < 6; round += 1) {
        await request(await somebody(), other)
        await deliver()
      }
      expect(lettersTo(other)).to.have.lengthOf(3)
    })
  })
}
