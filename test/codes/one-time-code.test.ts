import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { drawCode, readCode } from '../../src/codes/code-form.ts'
import { type CodeStoreOptions, createCodeStore } from '../../src/codes/code-store.ts'
import { type CodeHolder, createOneTimeCodes, type OneTimeCodes } from '../../src/codes/one-time-code.ts'
import { Unavailable } from '../../src/errors.ts'
import { BUDGETS, type Budgets, createLimits } from '../../src/limits/limits.ts'
import type { Ephemeral } from '../../src/storage/ephemeral.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const pepper = 'a pepper for tests'
let unique = 0
const somebody = (holder: Partial<CodeHolder> = {}): CodeHolder => {
  unique += 1
  const address = `somebody-${unique}@example.org`
  return { purpose: 'password-reset', subject: `account-${unique}`, address, ...holder }
}
const issued = async (codes: OneTimeCodes, holder: CodeHolder): Promise<string> => {
  let issuedCode = ''
  await codes.issue(holder, async (code) => {
    issuedCode = code
  })
  return issuedCode
}
const otherThan = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0')

for (const kind of ['redis', 'sql'] as const) {
  describe(`one-time codes over ${kind}`, () => {
    let stores: OpenStores
    before(async () => {
      stores = await openStores()
    })
    after(() => stores.close())

    const build = ({
      ephemeral = stores[kind],
      budgets = {},
      ...options
    }: CodeStoreOptions & { ephemeral?: Ephemeral; budgets?: Partial<Budgets> } = {}) =>
      createOneTimeCodes({
        store: createCodeStore(ephemeral, options),
        limits: createLimits(ephemeral, {
          pepper,
          // One test must not spend the budget that everybody shares with the next.
          budgets: { 'code-failure': [{ per: 'everybody', capacity: 1e6, perSecond: 1e6 }], ...budgets },
        }),
        pepper,
      })

    it('redeems a code once, typed with blanks and dashes or not', async () => {
      const codes = build()
      const holder = somebody()
      const code = await issued(codes, holder)
      expect(code).to.match(/^[0-9]{6}$/)
      expect(await codes.redeem(holder, ` ${code.slice(0, 3)}-${code.slice(3)} `)).to.equal(true)
      expect(await codes.redeem(holder, code)).to.equal(false)
    })

    it('refuses the code of another purpose, subject or address, and each is a try', async () => {
      const codes = build()
      const holder = somebody()
      const code = await issued(codes, holder)
      for (const foreign of [
        { ...holder, purpose: 'email-change' as const },
        { ...holder, subject: 'another account' },
        { ...holder, address: 'another@example.org' },
      ]) {
        await issued(codes, foreign.address === holder.address ? foreign : somebody())
        expect(await codes.redeem(foreign, code), JSON.stringify(foreign)).to.equal(false)
      }
      expect(await codes.redeem({ ...holder, address: holder.address.toUpperCase() }, code)).to.equal(true)
    })

    it('refuses the old code after a new one, and gives the new one its five tries', async () => {
      const codes = build()
      const holder = somebody()
      const first = await issued(codes, holder)
      for (let wrong = 0; wrong < 4; wrong += 1) await codes.redeem(holder, otherThan(first))
      const second = await issued(codes, holder)
      if (first !== second) expect(await codes.redeem(holder, first)).to.equal(false)
      for (let wrong = 0; wrong < 3; wrong += 1) await codes.redeem(holder, otherThan(second))
      expect(await codes.redeem(holder, second)).to.equal(true)
    })

    it('looks at no more than five of a thousand guesses made at once', async () => {
      const codes = build()
      const holder = somebody()
      const code = await issued(codes, holder)
      const wrong = await Promise.all(Array.from({ length: 1000 }, () => codes.redeem(holder, otherThan(code))))
      expect(wrong).to.not.include(true)
      expect(await codes.redeem(holder, code)).to.equal(false)
    })

    it('lets one of 32 simultaneous right tries through', async () => {
      const codes = build()
      const holder = somebody()
      const code = await issued(codes, holder)
      const tries = await Promise.all(Array.from({ length: 32 }, () => codes.redeem(holder, code)))
      expect(tries.filter(Boolean)).to.have.lengthOf(1)
    })

    it('takes what can be no code for no try', async () => {
      const codes = build()
      const holder = somebody()
      const code = await issued(codes, holder)
      const malformed = [
        undefined,
        null,
        '',
        ' ',
        '12345',
        '1234567',
        'abcdef',
        '１２３４５６',
        [code],
        { $ne: 1 },
        Number(code),
      ]
      for (const typed of [...malformed, '9'.repeat(1e6), `${code}\0`]) {
        expect(await codes.redeem(holder, typed), String(typed).slice(0, 40)).to.equal(false)
      }
      expect(await codes.redeem(holder, code)).to.equal(true)
    })

    it('forgets a code at the end of its life, and one that was dropped', async () => {
      const codes = build({ ttlSeconds: 0.2 })
      const holder = somebody()
      const code = await issued(codes, holder)
      await sleep(300)
      expect(await codes.redeem(holder, code)).to.equal(false)
      const lasting = build()
      const dropped = await issued(lasting, holder)
      await lasting.drop(holder.purpose, holder.subject)
      expect(await lasting.redeem(holder, dropped)).to.equal(false)
    })

    it('writes a long code after the fifth of a day, which guesses at short ones cannot burn', async () => {
      const codes = build()
      const holder = somebody()
      const all: string[] = []
      for (let count = 0; count < 7; count += 1) all.push(await issued(codes, holder))
      expect(all.map((code) => code.length)).to.deep.equal([6, 6, 6, 6, 6, 32, 32])
      for (let wrong = 0; wrong < 9; wrong += 1) await codes.redeem(holder, '000000')
      expect(await codes.redeem(holder, all[5])).to.equal(false)
      expect(await codes.redeem(holder, all[6]?.toUpperCase())).to.equal(true)
    })

    it('withdraws a code that could not be handed over, and does not count it', async () => {
      const codes = build()
      const holder = somebody()
      let lost = ''
      for (let attempt = 0; attempt < 9; attempt += 1) {
        const handing = codes.issue(holder, (code) => {
          lost = code
          return Promise.reject(new Unavailable('the mail server'))
        })
        expect((await refusal(handing)).status).to.equal(503)
      }
      expect(await codes.redeem(holder, lost)).to.equal(false)
      expect(await issued(codes, holder)).to.match(/^[0-9]{6}$/)
    })

    it('issues long codes and evaluates no short guess once too many have gone wrong everywhere', async () => {
      const codes = build({ budgets: { 'code-failure': [{ per: 'everybody', capacity: 3, perSecond: 1e-6 }] } })
      const holder = somebody()
      const short = await issued(codes, holder)
      for (let wrong = 0; wrong < 3; wrong += 1) {
        expect(await codes.redeem(somebody(), '000000')).to.equal(false)
      }
      expect(await codes.redeem(holder, short)).to.equal(false)
      const long = await issued(codes, holder)
      expect(long).to.match(/^[0-9a-f]{32}$/)
      expect(await codes.redeem(holder, long)).to.equal(true)
    })

    it('spends the budget of failures by failures only', async () => {
      const codes = build({ budgets: { 'code-failure': [{ per: 'everybody', capacity: 1, perSecond: 1e-6 }] } })
      for (let round = 0; round < 5; round += 1) {
        const holder = somebody()
        expect(await codes.redeem(holder, await issued(codes, holder))).to.equal(true)
      }
    })

    it('leaves neither code nor address nor a plain digest of them in the store', async () => {
      const written: unknown[] = []
      const noting = {
        ...stores[kind],
        saveCode: (...saved: Parameters<Ephemeral['saveCode']>) => {
          written.push(saved)
          return stores[kind].saveCode(...saved)
        },
      }
      const holder = somebody()
      const code = await issued(build({ ephemeral: noting }), holder)
      const text = JSON.stringify(written)
      expect(text).to.not.include(code).and.not.include(holder.address).and.not.include(holder.subject)
      const other = createOneTimeCodes({
        store: createCodeStore(stores[kind]),
        limits: createLimits(stores[kind], { pepper }),
        pepper: 'another pepper',
      })
      expect(await other.redeem(holder, code)).to.equal(false)
    })
  })
}

describe('one-time codes', () => {
  it('are drawn evenly: no digit of any place is rarer than chance allows', () => {
    const counts = Array.from({ length: 6 }, () => Array<number>(10).fill(0))
    const draws = 20_000
    for (let draw = 0; draw < draws; draw += 1) {
      for (const [place, digit] of [...drawCode('short')].entries()) {
        const row = counts[place] ?? []
        row[Number(digit)] = (row[Number(digit)] ?? 0) + 1
      }
    }
    // Seven standard deviations around a tenth: a false alarm once in ten thousand million runs.
    const margin = 7 * Math.sqrt(draws * 0.09)
    for (const count of counts.flat()) expect(count).to.be.within(draws / 10 - margin, draws / 10 + margin)
  })

  it('are read back however they were drawn', () => {
    for (const form of ['short', 'long'] as const) {
      const code = drawCode(form)
      expect(readCode(code)).to.deep.equal({ code, form })
    }
  })

  it('leave one takeover to be expected in a hundred days of guessing at full rate', () => {
    const [failures] = BUDGETS['code-failure']
    const [shortCodes] = BUDGETS['short-code']
    const inAnyDay = (budget: { capacity: number; perSecond: number } | undefined) =>
      (budget?.capacity ?? Number.NaN) + (budget?.perSecond ?? Number.NaN) * 86_400
    expect(inAnyDay(failures) / 1e6).to.be.at.most(0.01)
    // The day's first second may still hold yesterday's last: five codes and one that the day has refilled.
    expect((inAnyDay(shortCodes) * 5) / 1e6).to.be.at.most(3e-5)
  })

  it('mail one address no more than three times in any hour', () => {
    const [mails] = BUDGETS['code-mail']
    const justUnderAnHour = 3_599
    expect(Math.floor((mails?.capacity ?? 99) + (mails?.perSecond ?? 99) * justUnderAnHour)).to.equal(3)
  })

  it('are neither issued nor redeemed while the store does not answer', async () => {
    const gone = await openStores()
    await gone.close()
    const limits = createLimits(gone.redis, { pepper })
    const codes = createOneTimeCodes({ store: createCodeStore(gone.redis), limits, pepper })
    expect((await refusal(issued(codes, somebody()))).status).to.equal(503)
    expect((await refusal(codes.redeem(somebody(), '123456'))).status).to.equal(503)
  })
})
