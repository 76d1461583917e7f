import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { EXCEPTIONS, PLANS } from './modules.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

describe('conformance modules', () => {
  it('have one test each in their plan, and no other test calls itself a module', async function () {
    this.timeout(20_000)
    const titles = await testTitles()
    const found = Object.keys(PLANS).map((plan) => [plan, modulesOf(titles, plan)])
    const listed = Object.entries(PLANS).map(([plan, ids]) => [plan, [...ids].sort()])
    expect(found).to.deep.equal(listed)
    expect(titles.filter(isModule)).to.have.lengthOf(listed.flatMap(([, ids]) => ids).length)
  })

  it('are 35 of the basic plan twice, one of the config plan and 11 about logout', () => {
    expect(Object.values(PLANS).map((ids) => new Set(ids).size)).to.deep.equal([35, 35, 1, 11])
  })

  it('have a reason wherever less than the suite is asked', () => {
    for (const { ids, reason, instead } of EXCEPTIONS) {
      expect([ids.length > 0, reason.length > 20, instead.length > 20], ids.join()).to.deep.equal([true, true, true])
    }
  })
})

const isModule = (title: string): boolean => /\boidcc-[\w-]+$/.test(title)

/** Titles are paths of describes; `form post basic …` ends like `basic …`, so the plan's own name has to begin a part. */
const modulesOf = (titles: readonly string[], plan: string): string[] =>
  titles
    .map((title) => new RegExp(`^(?:conformance )?${RegExp.escape(plan)} (oidcc-[\\w-]+)$`).exec(title)?.[1])
    .filter((id) => id !== undefined)
    .sort()

/** Every test of this folder by its full title, without running one. Pending tests count as missing. */
async function testTitles(): Promise<string[]> {
  const files = await readdir(new URL('.', import.meta.url))
  const specs = files.filter((file) => file.endsWith('.test.ts')).map((file) => `test/conformance/${file}`)
  const mocha = ['node_modules/mocha/bin/mocha.js', '--dry-run', '--reporter', 'json', ...specs]
  const { stdout } = await promisify(execFile)(process.execPath, mocha, { cwd: ROOT, maxBuffer: 10_000_000 })
  const report: { passes: { fullTitle: string }[] } = JSON.parse(stdout.slice(stdout.indexOf('{')))
  return report.passes.map(({ fullTitle }) => fullTitle)
}
