import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { type Credentials, createAuthentication } from '../../src/accounts/authentication.ts'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { createKnownDevices } from '../../src/accounts/known-device.ts'
import { hashPassword } from '../../src/accounts/password-hash.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { systemClock } from '../../src/clock.ts'
import { createLimits, type Limits } from '../../src/limits/limits.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const PASSWORD = 'correct horse battery'
const CURRENT = /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/

const devices = createKnownDevices({ secret: 'a secret for tests', clock: systemClock })

let unique = 0
const next = (): number => {
  unique += 1
  return unique
}
const stranger = () => `2001:db8:0:${next().toString(16)}::1`

describe('authentication', () => {
  let stores: OpenStores
  let pool: HashPool
  let accounts: Accounts
  let limits: Limits
  /** The hash of every verification that was begun. */
  let verified: string[]

  const counting = (hashes: HashPool): HashPool => ({
    ...hashes,
    verify: (hash, password) => {
      verified.push(hash)
      return hashes.verify(hash, password)
    },
  })
  const build = (parts: { hashes?: HashPool; limits?: Limits; accounts?: Accounts } = {}) =>
    createAuthentication({
      accounts,
      limits,
      devices,
      recordSignIn: () => Promise.resolve(),
      restore: () => Promise.resolve(true),
      ...parts,
      hashes: counting(parts.hashes ?? pool),
    })
  const from = (overrides: Partial<Credentials>): Credentials => ({
    login: 'nobody@example.org',
    password: PASSWORD,
    from: stranger(),
    clientId: 'demo',
    userAgent: 'a test',
    ...overrides,
  })
  const somebody = (input: { password?: string; passwordHash?: string } = { password: PASSWORD }) =>
    accounts.create({ email: `somebody-${next()}@example.org`, username: `somebody-${next()}`, ...input })

  before(async () => {
    stores = await openStores()
    pool = createHashPool()
    const deps = { db: stores.db, store: createAccountStore(), hashes: pool, policy: createPasswordPolicy() }
    accounts = createAccounts({ ...deps, revokeSubject: () => Promise.resolve() })
    limits = createLimits(stores.redis, { pepper: 'a pepper for tests' })
  })
  beforeEach(() => {
    verified = []
  })
  after(async () => {
    await pool.close()
    await stores.close()
  })

  it('knows an account by its e-mail address and by its username', async () => {
    const account = await somebody()
    for (const login of [account.email, account.email.toUpperCase(), account.username ?? '']) {
      expect(await build().authenticate(from({ login }))).to.deep.equal(account)
    }
  })

  describe('refuses, in the same words and with one verification,', () => {
    const EVERY_REASON: Record<string, () => Promise<Partial<Credentials>>> = {
      'an unknown address': async () => ({ login: `unknown-${next()}@example.org` }),
      'an unknown username': async () => ({ login: `unknown-${next()}` }),
      'what can be no login': async () => ({ login: `unknown\0${next()}` }),
      'a wrong password': async () => ({ login: (await somebody()).email, password: 'wrong' }),
      'an empty password': async () => ({ login: (await somebody()).email, password: '' }),
      'an account without a password': async () => ({ login: (await somebody({})).email }),
      'a disabled account, password right': async () => ({ login: (await disabled()).email }),
      'a disabled account, password wrong': async () => ({ login: (await disabled()).email, password: 'wrong' }),
    }
    const disabled = async (): Promise<Account> => accounts.disable((await somebody()).id)

    for (const [reason, credentials] of Object.entries(EVERY_REASON)) {
      it(reason, async () => {
        const { code, status, message, detail } = await refusal(build().authenticate(from(await credentials())))
        expect({ code, status, message, detail }).to.deep.equal({
          code: 'invalid_credentials',
          status: 401,
          message: 'The login or the password is wrong.',
          detail: undefined,
        })
        expect(verified).to.have.lengthOf(1)
        expect(verified[0]).to.match(CURRENT)
      })
    }

    it('a disabled account against its own hash', async () => {
      const account = await disabled()
      await refusal(build().authenticate(from({ login: account.email })))
      expect(verified).to.deep.equal([account.passwordHash])
    })
  })

  it('refuses an overlong password before hashing, and counts it', async () => {
    const { email } = await somebody()
    const authentication = build()
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const refused = await refusal(authentication.authenticate(from({ login: email, password: 'x'.repeat(257) })))
      expect(refused.code).to.equal('invalid_credentials')
    }
    expect((await refusal(authentication.authenticate(from({ login: email })))).code).to.equal('rate_limited')
    expect(verified).to.deep.equal([])
  })

  for (const known of [true, false]) {
    it(`evaluates no more than 10 of 200 simultaneous guesses at ${known ? 'an account' : 'nobody'}`, async () => {
      const login = known ? (await somebody()).email : `unknown-${next()}@example.org`
      const authentication = build()
      const guesses = Array.from({ length: 200 }, (_, place) =>
        refusal(authentication.authenticate(from({ login, password: `guess ${place}` }))),
      )
      const codes = (await Promise.all(guesses)).map(({ code }) => code)
      expect(verified).to.have.lengthOf(10)
      expect(codes.filter((code) => code === 'rate_limited')).to.have.lengthOf(190)
    })
  }

  it('says the same 429 about an account and about nobody', async () => {
    const answers = []
    for (const login of [(await somebody()).email, `unknown-${next()}@example.org`]) {
      const attempts = Array.from({ length: 11 }, () =>
        refusal(build().authenticate(from({ login, password: 'wrong' }))),
      )
      const limited = (await Promise.all(attempts)).find(({ code }) => code === 'rate_limited')
      answers.push({ status: limited?.status, message: limited?.message })
      expect(limited?.retryAfterSeconds).to.be.within(20, 30)
    }
    expect(answers[0]).to.deep.equal(answers[1])
  })

  describe('on a device that has signed in before', () => {
    const guessUntilRefused = async (credentials: Partial<Credentials>): Promise<void> => {
      for (let guess = 0; guess < 10; guess += 1) {
        const wrong = from({ ...credentials, password: `guess ${guess}` })
        expect((await refusal(build().authenticate(wrong))).code).to.equal('invalid_credentials')
      }
      const limited = await refusal(build().authenticate(from({ ...credentials, password: 'guess' })))
      expect(limited.code).to.equal('rate_limited')
    }

    it('lets the owner in however often strangers guess, and nobody else', async () => {
      const { id, email, username = '' } = await somebody()
      const device = build().deviceToken(id)
      await guessUntilRefused({ login: email })
      for (const login of [email, username]) {
        expect((await build().authenticate(from({ login, device }))).id).to.equal(id)
      }
      expect((await refusal(build().authenticate(from({ login: email })))).code).to.equal('rate_limited')
    })

    it('counts its own wrong passwords, and forgets them after a right one', async () => {
      const { id, email } = await somebody()
      const device = build().deviceToken(id)
      for (let run = 0; run < 3; run += 1) {
        for (let guess = 0; guess < 6; guess += 1) {
          await refusal(build().authenticate(from({ login: email, device, password: 'wrong' })))
        }
        await build().authenticate(from({ login: email, device }))
      }
      await guessUntilRefused({ login: email, device })
      expect((await refusal(build().authenticate(from({ login: email, device })))).code).to.equal('rate_limited')
      expect((await build().authenticate(from({ login: email }))).id).to.equal(id)
    })

    it('gives nothing to the device of another account, a forged token or an old one', async () => {
      const [victim, attacker] = [await somebody(), await somebody()]
      const own = build().deviceToken(attacker.id)
      const [device = '', since = '', owner = '', signature = ''] = build().deviceToken(victim.id).split('.')
      const before = { now: () => Date.now() - 366 * 86_400_000 }
      const old = createKnownDevices({ secret: 'a secret for tests', clock: before }).tokenFor(victim.id)
      const forged = createKnownDevices({ secret: 'another secret', clock: systemClock }).tokenFor(victim.id)
      await guessUntilRefused({ login: victim.email })
      for (const token of [
        own,
        old,
        forged,
        [device, since, own.split('.')[2], signature].join('.'),
        [device, `${Number(since) + 1}`, owner, signature].join('.'),
        [device, since, owner].join('.'),
        'x'.repeat(10_000),
        '',
      ]) {
        const refused = await refusal(build().authenticate(from({ login: victim.email, device: token })))
        expect(refused.code, token.slice(0, 60)).to.equal('rate_limited')
      }
    })

    it('stays the same device when it signs in again, and another for another account', () => {
      const [first, again, other] = [devices.tokenFor('one'), devices.tokenFor('one'), devices.tokenFor('two')]
      expect(devices.deviceOf(devices.tokenFor('one', first), 'one')).to.equal(devices.deviceOf(first, 'one'))
      expect(devices.deviceOf(devices.tokenFor('two', first), 'two')).to.not.equal(devices.deviceOf(first, 'one'))
      expect(devices.deviceOf(again, 'one')).to.not.equal(devices.deviceOf(first, 'one'))
      expect(devices.deviceOf(other, 'one')).to.equal(undefined)
      expect(first).to.not.include('one')
    })
  })

  it('stops one address that tries many logins, and nobody else', async () => {
    const { email } = await somebody()
    const address = stranger()
    const attempts = Array.from({ length: 40 }, () =>
      refusal(build().authenticate(from({ login: `unknown-${next()}@example.org`, from: address }))),
    )
    const codes = (await Promise.all(attempts)).map(({ code }) => code)
    expect(codes.filter((code) => code === 'invalid_credentials').length).to.be.within(20, 25)
    expect((await build().authenticate(from({ login: email }))).email).to.equal(email)
  })

  it('forgets a run of failures after a success', async () => {
    const { email } = await somebody()
    const authentication = build()
    for (let run = 0; run < 3; run += 1) {
      for (let attempt = 0; attempt < 6; attempt += 1) {
        const refused = await refusal(authentication.authenticate(from({ login: email, password: 'wrong' })))
        expect(refused.code).to.equal('invalid_credentials')
      }
      await authentication.authenticate(from({ login: email }))
    }
  })

  it('replaces a hash of older parameters when the password proves right, and not otherwise', async () => {
    const old = hashPassword(PASSWORD, { memory: 64, passes: 1, parallelism: 1 })
    const { id, email } = await somebody({ passwordHash: old })
    await refusal(build().authenticate(from({ login: email, password: 'wrong' })))
    expect((await accounts.findById(id))?.passwordHash).to.equal(old)
    await build().authenticate(from({ login: email }))
    expect((await accounts.findById(id))?.passwordHash).to.match(CURRENT)
    await build().authenticate(from({ login: email }))
  })

  it('replaces an imported hash by one of ours, which then decides alone', async () => {
    // Made by passlib 1.7.4, pbkdf2_sha256.
    const imported = '$pbkdf2-sha256$29000$b43RuhcipBQCwJhzzhkjxA$tPqGCPxPuFcMn3E.hYOphPNvUpKgN1b1YeTERIKmxuo'
    const password = 'correct horse bättery'
    const { id, email } = await somebody({ passwordHash: imported })
    await build().authenticate(from({ login: email, password }))
    expect((await accounts.findById(id))?.passwordHash).to.match(CURRENT)
    await build().authenticate(from({ login: email, password }))
    expect((await refusal(build().authenticate(from({ login: email })))).code).to.equal('invalid_credentials')
  })

  it('answers 503 when the hash queue is full, and decides 429 before queueing', async () => {
    const tiny = createHashPool({ workers: 1, queuePerWorker: 1 })
    const { email } = await somebody()
    const authentication = build({ hashes: tiny })
    const attempts = Array.from({ length: 12 }, () =>
      refusal(authentication.authenticate(from({ login: email, password: 'x' }))),
    )
    const statuses = (await Promise.all(attempts)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 429)).to.have.lengthOf(2)
    expect(statuses).to.include(503)
    await tiny.close()
  })

  it('answers 503 when the limits cannot be asked, before anything else is done', async () => {
    const gone = await openStores()
    const limitless = createLimits(gone.redis, { pepper: 'a pepper for tests' })
    await gone.close()
    const { email } = await somebody()
    expect((await refusal(build({ limits: limitless }).authenticate(from({ login: email })))).status).to.equal(503)
    expect(verified).to.deep.equal([])
  })

  it('answers 503 when the account cannot be looked up', async () => {
    const lost = await lostDatabase()
    const deps = { db: lost.db, store: createAccountStore(), hashes: pool, policy: createPasswordPolicy() }
    const blind = createAccounts({ ...deps, revokeSubject: () => Promise.resolve() })
    expect((await refusal(build({ accounts: blind }).authenticate(from({})))).status).to.equal(503)
    await lost.close()
  })
})
