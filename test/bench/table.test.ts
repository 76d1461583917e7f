import { expect } from 'chai'
import { calmest, median, quantile } from '../../bench/statistics.ts'
import { between, textOf, verdictOn } from '../../bench/table.ts'

const REPORT = {
  date: '2026-01-02T03:04:05.000Z',
  commit: 'abc1234',
  versions: { node: 'v24.21.0' },
  machine: { cpu: 'a processor', cores: 2, pinned: true },
  rounds: 6,
  seconds: 2,
  longSeconds: 60,
  minutes: 30,
  failures: [],
  results: [],
}

const figures = { rps: 10_000, cpuMicros: 50, p50Ms: 1, p99Ms: 2, redisCommands: 0 }
const VALIDATION = {
  name: 'validation',
  bars: [{ of: '× plain Koa', reached: 0.6, must: 0.55, aim: 0.8 }],
  figures: { koa: { ...figures, cpuMicros: 30 }, usher: figures },
  ratios: { koa: { median: 0.6, least: 0.58, most: 0.63 } },
  trips: { redis: 0, sql: 0 },
  rawSpread: 1.04,
  rounds: 6,
  leftOut: 0,
  isVoid: false,
}

describe('the tables of the benchmark', () => {
  it('replace what stood between the markers, and nothing else', () => {
    const page = 'before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n'
    const once = between(page, 'new')
    expect(once).to.equal('before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n')
    expect(between(once ?? '', 'new')).to.equal(once)
  })

  it('leave a page without markers, or with them in the wrong order, alone', () => {
    expect(between('a page', 'new')).to.equal(undefined)
    expect(between('<!-- /bench --> <!-- bench -->', 'new')).to.equal(undefined)
  })

  it('call a bar reached from the bar on, and void what was measured on a restless machine', () => {
    const verdict = (reached: number, isVoid = false) => verdictOn({ reached, must: 0.55, aim: 0.8, isVoid })
    expect(verdict(0.549)).to.equal('**short**')
    expect(verdict(0.55)).to.equal('reached')
    expect(verdict(0.8)).to.equal('aim reached')
    expect(verdict(0.8, true)).to.match(/void/)
    expect(verdict(Number.NaN)).to.equal('**short**')
  })

  it('know where less is better', () => {
    const verdict = (reached: number) => verdictOn({ reached, must: 2, aim: 1.3, isVoid: false })
    expect(verdict(2.1)).to.equal('**short**')
    expect(verdict(2)).to.equal('reached')
    expect(verdict(1.3)).to.equal('aim reached')
    expect(verdict(Number.NaN)).to.equal('**short**')
  })

  it('name what could not be measured', () => {
    expect(textOf({ ...REPORT, failures: ['growth: no room left'] })).to.contain(
      '**Not measured:** growth: no room left',
    )
  })

  it('show bars, figures and ratios of a comparison', () => {
    const text = textOf({ ...REPORT, results: [VALIDATION] })
    expect(text).to.contain('| validation | 0.60 × plain Koa | 0.55 / 0.80 | reached |')
    expect(text).to.contain('0.60 (0.58–0.63)')
    expect(text).not.to.contain('### Growth')
  })
})

describe('the sums of the benchmark', () => {
  it('keep the most rounds of which none is far above another', () => {
    expect(calmest([100, 60, 105, 110, 98, 200], 0.15)).to.deep.equal([0, 2, 3, 4])
    expect(calmest([100, 101], 0.15)).to.deep.equal([0, 1])
  })

  it('take the middle and the tail', () => {
    expect(median([3, 1, 2])).to.equal(2)
    expect(median([4, 1, 2, 3])).to.equal(2.5)
    expect(quantile([1, 2, 3, 4], 0.99)).to.equal(4)
    expect(quantile([], 0.99)).to.be.NaN
  })
})
