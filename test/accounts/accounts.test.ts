import { expect } from 'chai'
import type { Account } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, type AccountsDeps, createAccounts } from '../../src/accounts/accounts.ts'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { hashPassword } from '../../src/accounts/password-hash.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { AppError } from '../../src/errors.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const PASSWORD = 'correct horse battery'
let unique = 0
const address = () => {
  unique += 1
  return `somebody-${unique}@example.org`
}

describe('accounts', () => {
  let stores: OpenStores
  let hashes: HashPool
  let accounts: Accounts
  let revoked: string[]
  before(async () => {
    stores = await openStores()
    hashes = createHashPool({ workers: 1 })
  })
  beforeEach(() => {
    revoked = []
    accounts = build()
  })
  after(async () => {
    await hashes.close()
    await stores.close()
  })

  const build = (overrides: Partial<AccountsDeps> = {}) =>
    createAccounts({
      db: stores.db,
      store: createAccountStore(),
      hashes,
      policy: createPasswordPolicy(),
      revokeSubject: async (id) => void revoked.push(id),
      ...overrides,
    })

  describe('are found', () => {
    let anna: Account
    before(async () => {
      accounts = build()
      anna = await accounts.create({ email: 'Anna.P@Example.org', username: 'AnnaP', profile: { nickname: 'An' } })
    })

    it('by id, as they were written', async () => {
      expect(await accounts.findById(anna.id)).to.deep.equal(anna)
      expect(anna).to.include({ email: 'Anna.P@Example.org', status: 'active', emailVerified: false })
      expect(anna.profile).to.deep.equal({ nickname: 'An' })
    })

    for (const login of ['anna.p@example.org', 'ANNA.P@EXAMPLE.ORG', ' Anna.P@Example.org ', 'annap', 'ANNAP']) {
      it(`by the login "${login}"`, async () => expect((await accounts.findByLogin(login))?.id).to.equal(anna.id))
    }

    for (const login of ['anna.p', 'annap@', "' or 1=1 --", 'anna%', 'an\0na', '\ud800', '']) {
      it(`not by ${JSON.stringify(login)}`, async () => expect(await accounts.findByLogin(login)).to.equal(undefined))
    }

    it('not by what is no id of an account, such as the id of a client', async () => {
      for (const id of ['my-client', '', `${anna.id} `]) expect(await accounts.findById(id)).to.equal(undefined)
    })
  })

  describe('are created', () => {
    it('once, of 32 simultaneous creations with one e-mail address in different case', async () => {
      const email = address()
      const rivals = Array.from({ length: 32 }, (_, place) =>
        accounts.create({ email: place % 2 ? email : email.toUpperCase() }),
      )
      const outcomes = await Promise.allSettled(rivals)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).to.include({ code: 'conflict', status: 409 })
      }
    })

    it('not with a username that somebody has in another case', async () => {
      await accounts.create({ email: address(), username: 'Boris' })
      expect((await refusal(accounts.create({ email: address(), username: 'BORIS' }))).status).to.equal(409)
    })

    it('with a password as its hash only', async () => {
      const { passwordHash = '' } = await accounts.create({ email: address(), password: PASSWORD })
      expect((await hashes.verify(passwordHash, PASSWORD)).matches).to.equal(true)
    })

    it('not with a password the policy refuses', async () => {
      const email = address()
      expect((await refusal(accounts.create({ email, password: 'short' }))).code).to.equal('invalid_password')
      expect((await refusal(accounts.create({ email, password: `${email}1` }))).code).to.equal('invalid_password')
      expect(await accounts.findByLogin(email)).to.equal(undefined)
    })

    it('together with what is done alongside, or not at all', async () => {
      const email = address()
      const failing = accounts.create({ email }, () => Promise.reject(new AppError('not_found', 404, 'no such role')))
      expect((await refusal(failing)).status).to.equal(404)
      expect(await accounts.findByLogin(email)).to.equal(undefined)
    })

    const MALFORMED: [pointer: string, input: Record<string, unknown>][] = [
      ['/email', { email: 'anna@example.org,eve@evil.example' }],
      ['/email', { email: 7 }],
      ['/username', { username: 'anna@home' }],
      ['/username', { username: '' }],
      ['/first_name', { firstName: 'An\nna' }],
      ['/last_name', { lastName: 'x'.repeat(201) }],
      ['/locale', { locale: 'not a locale' }],
      ['/email_verified', { emailVerified: 'yes' }],
      ['/status', { status: 'locked' }],
      ['/password_hash', { passwordHash: 'plain' }],
      [
        '/password_hash',
        { passwordHash: hashPassword('x', { memory: 8, passes: 1, parallelism: 1 }), password: PASSWORD },
      ],
      ['/profile', { profile: { sub: 'somebody else' } }],
      ['/profile', { profile: { email: 'eve@evil.example' } }],
      ['/attributes', { attributes: [] }],
      ['/attributes', { attributes: { text: 'a\0b' } }],
      ['/attributes', { attributes: { text: 'x'.repeat(20_000) } }],
    ]
    for (const [pointer, input] of MALFORMED) {
      it(`not with ${JSON.stringify(input).slice(0, 60)}`, async () => {
        const { status, faults } = await refusal(accounts.create({ email: address(), ...input }))
        expect(status).to.equal(400)
        expect(faults.map((fault) => fault.pointer)).to.deep.equal([pointer])
      })
    }

    it('not with several faults without naming each', async () => {
      const { faults } = await refusal(accounts.create({ email: 'x', username: 'a b', locale: '?' }))
      expect(faults.map(({ pointer }) => pointer)).to.deep.equal(['/email', '/username', '/locale'])
    })
  })

  describe('are changed', () => {
    it('only where the change says so; null takes a value away', async () => {
      const { id } = await accounts.create({ email: address(), username: 'carla', firstName: 'Carla', locale: 'ru' })
      const changed = await accounts.update(id, { lastName: 'Ivanova', username: null })
      expect(changed).to.include({ firstName: 'Carla', lastName: 'Ivanova', locale: 'ru', username: undefined })
      expect(revoked).to.deep.equal([])
    })

    it('to an address that counts as unverified unless it is said to be', async () => {
      const { id, email } = await accounts.create({ email: address(), emailVerified: true })
      expect((await accounts.update(id, { email: email.toUpperCase() })).emailVerified).to.equal(true)
      expect((await accounts.update(id, { email: address() })).emailVerified).to.equal(false)
      expect((await accounts.update(id, { email: address(), emailVerified: true })).emailVerified).to.equal(true)
    })

    it('not to an address that somebody has', async () => {
      const [one, other] = [await accounts.create({ email: address() }), await accounts.create({ email: address() })]
      expect((await refusal(accounts.update(one.id, { email: other.email.toUpperCase() }))).status).to.equal(409)
    })

    it('to another password, and what the old one opened is revoked once that is written', async () => {
      const { id } = await accounts.create({ email: address(), password: PASSWORD })
      const seen: (string | undefined)[] = []
      accounts = build({
        revokeSubject: async (subject) => void seen.push((await accounts.findById(subject))?.passwordHash),
      })
      const { passwordHash } = await accounts.update(id, { password: 'another horse battery' })
      expect(seen).to.deep.equal([passwordHash])
    })

    it('not when there is no such account', async () => {
      const nobody = '01a1fbc9-bba0-7cd7-b106-413d8ad57f49'
      const attempts = [accounts.update(nobody, { locale: 'en' }), accounts.remove(nobody), accounts.disable(nobody)]
      const refusals = await Promise.all(attempts.map(refusal))
      expect(refusals.map(({ status }) => status)).to.deep.equal([404, 404, 404])
      expect((await refusal(accounts.remove('my-client'))).status).to.equal(404)
    })

    it('by a new hash only while the old one is still there', async () => {
      const { id, passwordHash = '' } = await accounts.create({ email: address(), password: PASSWORD })
      const [one = '', other = ''] = ['one', 'other'].map((text) =>
        hashPassword(text, { memory: 8, passes: 1, parallelism: 1 }),
      )
      await accounts.replaceHash(id, { from: passwordHash, to: one })
      await accounts.replaceHash(id, { from: passwordHash, to: other })
      expect((await accounts.findById(id))?.passwordHash).to.equal(one)
    })
  })

  describe('end', () => {
    it('and everything they held is revoked', async () => {
      const { id } = await accounts.create({ email: address() })
      await accounts.remove(id)
      expect(await accounts.findById(id)).to.equal(undefined)
      expect(revoked).to.deep.equal([id])
    })

    it('for a while, and come back with nothing', async () => {
      const { id } = await accounts.create({ email: address() })
      expect((await accounts.disable(id)).status).to.equal('disabled')
      expect(revoked).to.deep.equal([id])
      expect((await accounts.enable(id)).status).to.equal('active')
    })

    it('not when the guard refuses, and then nothing is revoked', async () => {
      const { id } = await accounts.create({ email: address() })
      const guarded = build({ guardRemoval: () => Promise.reject(new AppError('conflict', 409, 'the last one')) })
      expect((await refusal(guarded.remove(id))).status).to.equal(409)
      expect((await refusal(guarded.disable(id))).status).to.equal(409)
      expect((await accounts.findById(id))?.status).to.equal('active')
      expect(revoked).to.deep.equal([])
    })
  })

  describe('are made as a file describes them', () => {
    it('and left alone when they are so already', async () => {
      const described = {
        email: address(),
        firstName: 'Dora',
        password: PASSWORD,
        profile: { zoneinfo: 'Europe/Riga' },
      }
      expect((await accounts.ensure(described)).outcome).to.equal('created')
      expect((await accounts.ensure(described)).outcome).to.equal('unchanged')
      expect((await accounts.ensure({ ...described, firstName: 'Dorothea' })).outcome).to.equal('changed')
      expect(revoked).to.deep.equal([])
      expect((await accounts.ensure({ ...described, password: 'another horse battery' })).outcome).to.equal('changed')
      expect(revoked).to.have.lengthOf(1)
    })

    it('but keep the hash that a sign-in has made of an old one', async () => {
      const old = hashPassword(PASSWORD, { memory: 64, passes: 1, parallelism: 1 })
      const described = { email: address(), passwordHash: old }
      const { account } = await accounts.ensure(described)
      await accounts.replaceHash(account.id, { from: old, to: await hashes.hash(PASSWORD) })
      expect((await accounts.ensure(described)).outcome).to.equal('unchanged')
    })
  })

  it('are listed in pages of at most 100, in the order of creation, each once', async () => {
    const fresh = await openStores()
    const own = build({ db: fresh.db })
    for (let place = 0; place < 103; place += 1) await own.create({ email: address() })
    const first = await own.list({ limit: 1000 })
    const after = first.at(-1)?.id ?? ''
    const second = await own.list({ limit: 1000, after })
    expect([first.length, second.length]).to.deep.equal([100, 3])
    const ids = [...first, ...second].map(({ id }) => id)
    expect(new Set(ids).size).to.equal(103)
    expect([...ids].sort()).to.deep.equal(ids)
    expect(await own.list()).to.have.lengthOf(20)
    expect((await refusal(own.list({ after: 'x' }))).status).to.equal(400)
    await fresh.close()
  })

  it('answer 503, not "nobody", when the database does not answer', async () => {
    const database = await lostDatabase()
    const lost = build({ db: database.db })
    const id = '01a1fbc9-bba0-7cd7-b106-413d8ad57f49'
    const attempts = [
      lost.findById(id),
      lost.findByLogin('anna@example.org'),
      lost.findByLogin('anna'),
      lost.create({ email: address() }),
      lost.update(id, { locale: 'en' }),
      lost.remove(id),
      lost.list(),
    ]
    const refusals = await Promise.all(attempts.map(refusal))
    expect(refusals.map(({ status }) => status)).to.deep.equal(attempts.map(() => 503))
    await database.close()
    expect(revoked).to.deep.equal([])
  })
})
