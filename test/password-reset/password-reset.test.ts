import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { createPasswordNotice } from '../../src/accounts/password-notice.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { createCodeStore } from '../../src/codes/code-store.ts'
import { type CodePurpose, createOneTimeCodes, type OneTimeCodes } from '../../src/codes/one-time-code.ts'
import { Unavailable } from '../../src/errors.ts'
import { createLimits, type Limits } from '../../src/limits/limits.ts'
import {
  createPasswordReset,
  PASSWORD_RESET,
  type PasswordReset,
  type PasswordResetDeps,
} from '../../src/password-reset/password-reset.ts'
import type { Ephemeral } from '../../src/storage/ephemeral.ts'
import { auditOf } from '../support/auditing.ts'
import { createLetterbox, type Letterbox } from '../support/letterbox.ts'
import { noting } from '../support/noting.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const PEPPER = 'a pepper for tests'
const OLD_PASSWORD = 'the old password of them'
const NEW_PASSWORD = 'a wholly new pass phrase'

let unique = 0
const next = (): number => {
  unique += 1
  return unique
}
const stranger = () => `2001:db8:0:${next().toString(16)}::1`
const otherThan = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0')

for (const kind of ['redis', 'sql'] as const) {
  describe(`a password reset over ${kind}`, function () {
    this.timeout(30_000)
    let stores: OpenStores
    let ephemeral: Ephemeral
    let pool: HashPool
    let accounts: Accounts
    let codes: OneTimeCodes
    let limits: Limits
    let post: Letterbox
    let reset: PasswordReset
    let revoked: string[]
    /** Every call of a dependency, by name. */
    let calls: string[]

    before(async () => {
      stores = await openStores()
      ephemeral = stores[kind]
      pool = createHashPool()
    })
    after(async () => {
      await pool.close()
      await stores.close()
    })
    beforeEach(() => {
      revoked = []
      calls = []
      post = createLetterbox()
      const revokeSubject = async (id: string) => void revoked.push(id)
      const policy = createPasswordPolicy()
      accounts = createAccounts({ db: stores.db, store: createAccountStore(), hashes: pool, policy, revokeSubject })
      // What everybody shares must not be spent by one test for the next.
      const budgets = { 'code-failure': [{ per: 'everybody', capacity: 1e6, perSecond: 1e6 }] } as const
      limits = createLimits(ephemeral, { pepper: PEPPER, budgets })
      codes = createOneTimeCodes({ store: createCodeStore(ephemeral), limits, pepper: PEPPER })
      reset = build({ revokeSubject })
    })

    const build = (parts: Partial<PasswordResetDeps> = {}) =>
      createPasswordReset({
        db: stores.db,
        accounts: noting(calls, 'accounts', accounts),
        codes: noting(calls, 'codes', codes),
        limits: noting(calls, 'limits', limits),
        policy: createPasswordPolicy(),
        hashes: noting(calls, 'hashes', pool),
        notice: createPasswordNotice({ accounts, enqueue: post.enqueue, send: post.send }),
        audit: auditOf(stores.db).record,
        enqueue: (executor, intent) => {
          calls.push('enqueue')
          return post.enqueue(executor, intent)
        },
        send: post.send,
        revokeSubject: async (id) => void revoked.push(id),
        ...parts,
      })

    const somebody = (input = {}): Promise<Account> =>
      accounts.create({ email: `Somebody-${next()}@example.org`, password: OLD_PASSWORD, ...input })
    const deliver = () => post.deliver({ [PASSWORD_RESET]: reset.deliver })
    const codeOf = async ({ email }: Account): Promise<string> => {
      await reset.request({ email, from: stranger() })
      await deliver()
      return post.codeFor(email)
    }
    const confirm = (email: string, code: unknown, newPassword = NEW_PASSWORD, by = reset) =>
      by.confirm({ email, code, newPassword, from: stranger() })
    const hasPassword = async ({ id }: Account, password: string): Promise<boolean> => {
      const { passwordHash = '' } = (await accounts.findById(id)) ?? {}
      return (await pool.verify(passwordHash, password)).matches
    }
    const refused = { code: 'invalid_code', status: 400, message: 'The code is wrong, used or expired.' }

    it('mails six digits to the stored address and sets the password by them, once', async () => {
      const account = await somebody({ locale: 'ru' })
      await reset.request({ email: account.email.toLowerCase(), from: stranger() })
      await deliver()
      expect(post.letters).to.have.lengthOf(1)
      expect(post.letters[0]).to.deep.include({ to: account.email, template: 'reset-code', locale: 'ru' })
      const code = post.codeFor(account.email)
      expect(code).to.match(/^[0-9]{6}$/)
      await confirm(account.email.toUpperCase(), code)
      expect(await hasPassword(account, NEW_PASSWORD)).to.equal(true)
      expect(await accounts.findById(account.id)).to.include({ emailVerified: true })
      expect(await refusal(confirm(account.email, code, 'yet another pass phrase'))).to.include(refused)
      expect(await hasPassword(account, NEW_PASSWORD)).to.equal(true)
    })

    it('ends everything the account has, before and after the password changes, and mails a notice', async () => {
      const account = await somebody()
      await confirm(account.email, await codeOf(account))
      expect(revoked).to.deep.equal([account.id, account.id])
      expect(post.intents).to.deep.equal([{ kind: 'password-changed', accountId: account.id }])
    })

    it('changes nothing while what the account has cannot be ended', async () => {
      const account = await somebody()
      const unable = build({ revokeSubject: () => Promise.reject(new Unavailable('Redis')) })
      const code = await codeOf(account)
      expect((await refusal(confirm(account.email, code, NEW_PASSWORD, unable))).status).to.equal(503)
      expect(await hasPassword(account, OLD_PASSWORD)).to.equal(true)
      expect(post.intents).to.deep.equal([])
    })

    it('proves nothing about an address that the account has got meanwhile', async () => {
      const account = await somebody()
      const code = await codeOf(account)
      const other = `other-${next()}@example.org`
      const late = build({
        revokeSubject: async (id) => void (await accounts.update(id, { email: other })),
      })
      expect(await refusal(confirm(account.email, code, NEW_PASSWORD, late))).to.include(refused)
      expect(await accounts.findById(account.id)).to.include({ email: other, emailVerified: false })
      expect(await hasPassword(account, OLD_PASSWORD)).to.equal(true)
    })

    it('ends the delay that guesses at the old password have brought about', async () => {
      const account = await somebody({ username: `somebody-${next()}` })
      const guess = (identifier = '') => limits.spend('sign-in', { identifier })
      for (const login of [account.email, account.username]) {
        for (let wrong = 0; wrong < 10; wrong += 1) await guess(login)
        await refusal(guess(login))
      }
      await confirm(account.email, await codeOf(account))
      await guess(account.email)
      await guess(account.username)
    })

    describe('says nothing about an address:', () => {
      const WITHOUT_ACCOUNT: Record<string, () => Promise<string>> = {
        unknown: async () => `nobody-${next()}@example.org`,
        'of a disabled account': async () => (await accounts.disable((await somebody()).id)).email,
      }

      for (const [what, address] of Object.entries(WITHOUT_ACCOUNT)) {
        it(`a request for one ${what} is the same work, and nothing is mailed`, async () => {
          const known = await somebody()
          const email = await address()
          calls.splice(0)
          await reset.request({ email: known.email, from: stranger() })
          const work = calls.splice(0)
          await reset.request({ email, from: stranger() })
          expect(calls).to.deep.equal(work).and.include('enqueue')
          await deliver()
          expect(post.letters.map(({ to }) => to)).to.deep.equal([known.email])
        })

        it(`a code for one ${what} is refused after the same work and in the same words`, async () => {
          const known = await somebody()
          const wrong = otherThan(await codeOf(known))
          const email = await address()
          calls.splice(0)
          const one = await refusal(confirm(known.email, wrong))
          const work = calls.splice(0)
          const other = await refusal(confirm(email, wrong))
          // Named for somebody who is not there: one keyed digest, a thousandth of what the hash costs.
          expect(calls.filter((call) => call !== 'codes.subjectOf')).to.deep.equal(work)
          expect(work).to.include.members(['hashes.hash', 'codes.redeem'])
          for (const answer of [one, other]) expect(answer).to.include(refused)
        })
      }
    })

    describe('withstands', () => {
      it('a thousand guesses at once: no more than five are looked at, and the code is dead', async () => {
        const account = await somebody()
        const code = await codeOf(account)
        // Guesses without their hashes: those are the same for right and wrong ones, and would take a minute.
        const quick = build({ hashes: { hash: () => Promise.resolve('not reached') } })
        const wrong = Array.from({ length: 1000 }, (_, place) => String(place).padStart(6, '0')).filter(
          (guess) => guess !== code,
        )
        const outcomes = await Promise.all(
          wrong.map((guess) => refusal(confirm(account.email, guess, NEW_PASSWORD, quick))),
        )
        // A store that a thousand ask at once may have no connection for the last of them: no answer is no door.
        for (const outcome of outcomes) expect(outcome.code).to.be.oneOf(['invalid_code', 'temporarily_unavailable'])
        expect(await refusal(confirm(account.email, code))).to.include(refused)
        expect(await hasPassword(account, OLD_PASSWORD)).to.equal(true)
      })

      it('the right code by 32 at once: one of them sets the password', async () => {
        const account = await somebody()
        const code = await codeOf(account)
        const rivals = Array.from({ length: 32 }, (_, rival) =>
          confirm(account.email, code, `${NEW_PASSWORD} ${rival}`),
        )
        const outcomes = await Promise.allSettled(rivals)
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(1)
        const winner = outcomes.findIndex(({ status }) => status === 'fulfilled')
        expect(await hasPassword(account, `${NEW_PASSWORD} ${winner}`)).to.equal(true)
      })

      it('the sixth try, even with the right code, but not the fifth', async () => {
        const [fifth, sixth] = [await somebody(), await somebody()]
        for (const [account, tries] of [
          [fifth, 4],
          [sixth, 5],
        ] as const) {
          const code = await codeOf(account)
          for (let wrong = 0; wrong < tries; wrong += 1) await refusal(confirm(account.email, otherThan(code)))
          if (account === fifth) await confirm(account.email, code)
          else expect(await refusal(confirm(account.email, code))).to.include(refused)
        }
        expect(await hasPassword(sixth, OLD_PASSWORD)).to.equal(true)
      })

      it('the code of another account', async () => {
        const [victim, attacker] = [await somebody(), await somebody()]
        await codeOf(victim)
        const code = await codeOf(attacker)
        if (code === post.codeFor(victim.email)) return
        expect(await refusal(confirm(victim.email, code))).to.include(refused)
        await confirm(attacker.email, code)
      })

      for (const purpose of ['email-change', 'registration'] as const satisfies CodePurpose[]) {
        it(`a code made for ${purpose}`, async () => {
          const account = await somebody()
          const own = await codeOf(account)
          let foreign = own
          const holder = { purpose, subject: account.id, address: account.email }
          const note = async (code: string) => {
            foreign = code
          }
          while (foreign === own) await codes.issue(holder, note)
          expect(await refusal(confirm(account.email, foreign))).to.include(refused)
          await confirm(account.email, own)
        })
      }

      it('the old code after a new request', async () => {
        const account = await somebody()
        const old = await codeOf(account)
        const fresh = await codeOf(account)
        if (old !== fresh) expect(await refusal(confirm(account.email, old))).to.include(refused)
        await confirm(account.email, fresh)
      })

      it('the code mailed to an address that the account has left', async () => {
        const account = await somebody()
        const code = await codeOf(account)
        const moved = await accounts.update(account.id, { email: `moved-${next()}@example.org` })
        for (const email of [account.email, moved.email]) {
          expect(await refusal(confirm(email, code))).to.include(refused)
        }
      })

      for (const malformed of [
        '',
        null,
        undefined,
        ['000000'],
        { $ne: 1 },
        0,
        '12345',
        '1234567',
        'abcdef',
        '000000\0',
      ]) {
        it(`the malformed code ${JSON.stringify(malformed)}, which is no try`, async () => {
          const account = await somebody()
          const code = await codeOf(account)
          for (let round = 0; round < 5; round += 1) {
            expect(await refusal(confirm(account.email, malformed))).to.include(refused)
          }
          await confirm(account.email, code)
        })
      }

      for (const email of [
        'a@example.org\r\nBcc: eve@evil.example',
        'a@example.org,eve@evil.example',
        '"eve@evil"@example.org',
        '',
      ]) {
        it(`the address ${JSON.stringify(email)}`, async () => {
          expect(await refusal(reset.request({ email, from: stranger() }))).to.include({ code: 'bad_request' })
          expect(await refusal(confirm(email, '000000'))).to.include(refused)
          expect(post.intents).to.deep.equal([])
        })
      }
    })

    it('keeps the code live when the new password is refused or cannot be hashed', async () => {
      const account = await somebody()
      const code = await codeOf(account)
      for (let round = 0; round < 6; round += 1) {
        expect(await refusal(confirm(account.email, code, 'short'))).to.include({ code: 'invalid_password' })
      }
      const full = build({ hashes: { hash: () => Promise.reject(new Unavailable('password hashing')) } })
      expect((await refusal(confirm(account.email, code, NEW_PASSWORD, full))).status).to.equal(503)
      await confirm(account.email, code)
    })

    it('mails one address three times in an hour, whoever asks, and answers all alike', async () => {
      const account = await somebody()
      for (let round = 0; round < 20; round += 1) {
        await reset.request({ email: round % 2 ? account.email : account.email.toUpperCase(), from: stranger() })
      }
      await deliver()
      expect(post.letters).to.have.lengthOf(3)
      await confirm(account.email, post.codeFor(account.email))
    })

    it('stops one address that asks for many accounts or guesses at many, by its /64', async () => {
      const from = (host: number) => `2001:db8:ffff:${kind === 'sql' ? 1 : 2}::${host}`
      const requests = Array.from({ length: 21 }, (_, host) =>
        reset.request({ email: `nobody-${next()}@example.org`, from: from(host + 1) }),
      )
      const outcomes = await Promise.allSettled(requests)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(20)
      const limited = await refusal(reset.request({ email: 'nobody@example.org', from: from(99) }))
      expect(limited).to.include({ status: 429, code: 'rate_limited' })
      expect(limited.retryAfterSeconds).to.be.within(1, 180)
      const attempt = (host: number) =>
        reset.confirm({ email: 'nobody@example.org', code: '', newPassword: 'short', from: from(host) })
      const attempts = await Promise.all(Array.from({ length: 21 }, (_, host) => refusal(attempt(host + 1))))
      expect(attempts.filter(({ code }) => code === 'rate_limited')).to.have.lengthOf(1)
    })

    it('mails a long code after the fifth of a day, which nobody can burn by guessing six digits', async () => {
      const account = await somebody()
      const unlimited = build({ limits: { ...limits, spendFor: (_name, _spender, work) => work() } })
      const asked = async () => {
        await unlimited.deliver({ email: account.email })
        return post.codeFor(account.email)
      }
      for (let round = 0; round < 5; round += 1) expect(await asked()).to.match(/^[0-9]{6}$/)
      const long = await asked()
      expect(long).to.match(/^[0-9a-f]{32}$/)
      for (let wrong = 0; wrong < 6; wrong += 1) await refusal(confirm(account.email, '000000'))
      await confirm(account.email, long)
    })

    it('bears a repeated delivery: only the newest code is live', async () => {
      const account = await somebody()
      const old = await codeOf(account)
      await reset.deliver({ email: account.email })
      const fresh = post.codeFor(account.email)
      if (old !== fresh) expect(await refusal(confirm(account.email, old))).to.include(refused)
      await confirm(account.email, fresh)
    })
  })
}

describe('guessing one code at each of many accounts', function () {
  this.timeout(30_000)

  it('is over for the day once the budget of failures is spent: whoever asks then gets a long code', async () => {
    const stores = await openStores()
    // The real budget in small: the arithmetic of the real one is asserted beside the codes.
    const budgets = { 'code-failure': [{ per: 'everybody', capacity: 40, perSecond: 1e-6 }] } as const
    const limits = createLimits(stores.redis, { pepper: PEPPER, budgets })
    let evaluated = 0
    const counting: Ephemeral = {
      ...stores.redis,
      redeemCode: (...given) => {
        evaluated += 1
        return stores.redis.redeemCode(...given)
      },
    }
    const codes = createOneTimeCodes({ store: createCodeStore(counting), limits, pepper: PEPPER })
    try {
      const holders = Array.from({ length: 100 }, (_, place) => ({
        purpose: 'password-reset' as const,
        subject: `account ${place}`,
        address: `somebody-${place}@example.org`,
      }))
      const live = new Map<string, string>()
      for (const holder of holders) await codes.issue(holder, async (code) => void live.set(holder.subject, code))
      expect([...live.values()].every((code) => code.length === 6)).to.equal(true)

      // The budget is reserved before a guess is looked at, so simultaneous guesses cannot overdraw it.
      const guesses = holders.flatMap((holder) =>
        Array.from({ length: 5 }, () => codes.redeem(holder, otherThan(live.get(holder.subject) ?? ''))),
      )
      expect(await Promise.all(guesses)).to.not.include(true)
      expect(evaluated).to.equal(40)

      const [owner] = holders.slice(-1)
      if (!owner) throw new Error('nobody')
      await codes.issue(owner, async (code) => void live.set(owner.subject, code))
      expect(live.get(owner.subject)).to.match(/^[0-9a-f]{32}$/)
      expect(await codes.redeem(owner, live.get(owner.subject))).to.equal(true)
    } finally {
      await stores.close()
    }
  })
})
