import { expect } from 'chai'
import { AppError } from '../../src/errors.ts'
import { BUDGETS, type Budgets, createLimits, type Spender } from '../../src/limits/limits.ts'
import type { Ephemeral } from '../../src/storage/ephemeral.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const pepper = 'a pepper for tests'
let unique = 0
const next = (): number => {
  unique += 1
  return unique
}
const stranger = () => `2001:db8:0:${next().toString(16)}::1`
const somebody = () => `somebody-${next()}@example.org`

/** Refills too slowly to matter within a test. */
const SLOW = 1 / 100_000

for (const kind of ['redis', 'sql'] as const) {
  describe(`limits over ${kind}`, () => {
    let stores: OpenStores
    let ephemeral: Ephemeral
    before(async () => {
      stores = await openStores()
      ephemeral = stores[kind]
    })
    after(() => stores.close())

    const limitsOf = (signIn: Budgets['sign-in'], onto = ephemeral) =>
      createLimits(onto, { pepper, budgets: { 'sign-in': signIn } })
    const perIdentifier = (capacity: number) =>
      limitsOf([{ per: 'identifier', capacity, perSecond: SLOW, untilSuccess: true }])

    it('answers 429 with whole seconds to wait when a budget is spent', async () => {
      const limits = perIdentifier(1)
      const spender = { identifier: somebody() }
      await limits.spend('sign-in', spender)
      const { code, status, retryAfterSeconds } = await refusal(limits.spend('sign-in', spender))
      expect({ code, status }).to.deep.equal({ code: 'rate_limited', status: 429 })
      expect(retryAfterSeconds).to.be.within(99_000, 100_000)
    })

    it('lets exactly the budget through when 64 attempts come at once', async () => {
      const limits = perIdentifier(10)
      const spender = { identifier: somebody() }
      const outcomes = await Promise.allSettled(Array.from({ length: 64 }, () => limits.spend('sign-in', spender)))
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(10)
    })

    it('answers false instead of 429 when asked to try, and takes nothing when asked what is left', async () => {
      const limits = perIdentifier(2)
      const spender = { identifier: somebody() }
      for (let look = 0; look < 5; look += 1) expect(await limits.isExhausted('sign-in', spender)).to.equal(false)
      expect(await limits.trySpend('sign-in', spender)).to.equal(true)
      expect(await limits.trySpend('sign-in', spender)).to.equal(true)
      expect(await limits.trySpend('sign-in', spender)).to.equal(false)
      expect(await limits.isExhausted('sign-in', spender)).to.equal(true)
      await limits.giveBack('sign-in', spender)
      expect(await limits.trySpend('sign-in', spender)).to.equal(true)
    })

    it('does work it is spent for while something is left, and gives back what failed', async () => {
      const limits = perIdentifier(2)
      const spender = { identifier: somebody() }
      let done = 0
      const work = async () => {
        done += 1
      }
      const failing = () =>
        limits.spendFor('sign-in', spender, () => Promise.reject(new AppError('conflict', 409, 'no')))
      for (let round = 0; round < 3; round += 1) expect((await refusal(failing())).code).to.equal('conflict')
      for (let round = 0; round < 3; round += 1) await limits.spendFor('sign-in', spender, work)
      expect(done).to.equal(2)
    })

    it('shares one budget among everybody where the table says so', async () => {
      const limits = limitsOf([{ per: 'everybody', capacity: 2, perSecond: SLOW }])
      await limits.spend('sign-in', { identifier: somebody() })
      await limits.spend('sign-in', { address: stranger() })
      await refusal(limits.spend('sign-in', {}))
    })

    it('keeps apart what belongs to different logins, addresses and clients', async () => {
      const limits = limitsOf([
        { per: 'address', capacity: 1, perSecond: SLOW },
        { per: 'client', capacity: 1, perSecond: SLOW },
        { per: 'identifier', capacity: 1, perSecond: SLOW },
      ])
      const spender = () => ({ address: stranger(), identifier: somebody(), client: somebody() })
      const first = spender()
      await limits.spend('sign-in', first)
      await limits.spend('sign-in', spender())
      for (const dimension of ['address', 'client', 'identifier'] as const) {
        await refusal(limits.spend('sign-in', { ...spender(), [dimension]: first[dimension] }))
      }
    })

    it('counts one login however it is written', async () => {
      const limits = perIdentifier(1)
      const login = somebody()
      await limits.spend('sign-in', { identifier: login })
      await refusal(limits.spend('sign-in', { identifier: ` ${login.toUpperCase()} ` }))
    })

    it('spends nothing of a login whose attempts come from an exhausted address', async () => {
      const limits = limitsOf([
        { per: 'address', capacity: 1, perSecond: SLOW },
        { per: 'identifier', capacity: 2, perSecond: SLOW },
      ])
      const identifier = somebody()
      const address = stranger()
      await limits.spend('sign-in', { address, identifier })
      for (let attempt = 0; attempt < 5; attempt += 1) await refusal(limits.spend('sign-in', { address, identifier }))
      await limits.spend('sign-in', { address: stranger(), identifier })
    })

    it('makes a run of failures wait longer the longer it is', async () => {
      const limits = limitsOf([
        { per: 'identifier', capacity: 2, perSecond: 1000, untilSuccess: true },
        { per: 'identifier', capacity: 4, perSecond: 1 / 300, untilSuccess: true },
        { per: 'identifier', capacity: 6, perSecond: 1 / 3600, untilSuccess: true },
      ])
      const spender = { identifier: somebody() }
      const pause = () => new Promise((resolve) => setTimeout(resolve, 5))
      for (let attempt = 0; attempt < 4; attempt += 1) {
        await limits.spend('sign-in', spender)
        await pause()
      }
      const { retryAfterSeconds } = await refusal(limits.spend('sign-in', spender))
      expect(retryAfterSeconds).to.be.within(200, 300)
    })

    it('begins a new run after a success, and leaves the address where it was', async () => {
      const limits = limitsOf([
        { per: 'address', capacity: 3, perSecond: SLOW },
        { per: 'identifier', capacity: 1, perSecond: SLOW, untilSuccess: true },
      ])
      const spender: Spender = { address: stranger(), identifier: somebody() }
      await limits.spend('sign-in', spender)
      await limits.clear('sign-in', spender.identifier ?? '')
      await limits.spend('sign-in', spender)
      await refusal(limits.spend('sign-in', spender))
      await limits.clear('sign-in', spender.identifier ?? '')
      expect((await refusal(limits.spend('sign-in', spender))).code).to.equal('rate_limited')
    })

    it('leaves neither login nor address nor client in the keys of the store', async () => {
      const keys: string[] = []
      const recording: Ephemeral = {
        ...ephemeral,
        spend(buckets) {
          keys.push(...buckets.map(({ key }) => key))
          return ephemeral.spend(buckets)
        },
        remove(removed) {
          keys.push(...removed)
          return ephemeral.remove(removed)
        },
      }
      const limits = createLimits(recording, { pepper })
      await limits.spend('sign-in', { address: '203.0.113.99', identifier: 'canary@example.org', client: 'canary-app' })
      await limits.clear('sign-in', 'canary@example.org')
      expect(keys).to.have.lengthOf(8)
      expect(keys.join(' ')).not.to.match(/canary|203\.0/)
    })

    it('takes a raised number of sign-ins per address', async () => {
      const address = stranger()
      const limits = createLimits(ephemeral, { pepper, signInsPerMinutePerAddress: 40 })
      const attempts = Array.from({ length: 60 }, () => limits.spend('sign-in', { address, identifier: somebody() }))
      const passed = (await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled')
      expect(passed.length).to.be.within(40, 50)
    })
  })
}

describe('limits', () => {
  it('answers 503 when the store does not answer, never as if nothing had been spent', async () => {
    const stores = await openStores()
    const limits = createLimits(stores.redis, { pepper })
    await stores.close()
    const spent: AppError = await refusal(limits.spend('sign-in', { address: '203.0.113.7', identifier: 'anna' }))
    expect(spent.status).to.equal(503)
    expect((await refusal(limits.clear('sign-in', 'anna'))).status).to.equal(503)
  })

  it('delays the sign-in of one login by 30 s after ten failures, growing to an hour', () => {
    const run = BUDGETS['sign-in'].filter(({ untilSuccess }) => untilSuccess)
    expect(run.map(({ capacity, perSecond }) => [capacity, Math.round(1 / perSecond)])).to.deep.equal([
      [10, 30],
      [20, 300],
      [30, 3600],
    ])
  })

  it('can be waited out: no budget stops anybody for more than an hour', () => {
    // Whoever has had the short codes of a day gets long ones.
    const { 'short-code': _stopsNobody, ...stopping } = BUDGETS
    for (const { perSecond } of Object.values(stopping).flat()) expect(1 / perSecond).to.be.at.most(3600)
  })
})
