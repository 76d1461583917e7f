/** The result for people: printed, and put into docs/performance.md between its markers when every case was measured. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import type { Result } from './comparison.ts'
import type { Lives } from './lives.ts'

export interface Report {
  date: string
  commit: string
  versions: Record<string, string>
  machine: { cpu: string; cores: number; pinned: boolean }
  rounds: number
  seconds: number
  results: readonly Result[]
  lives: Lives | undefined
}

const BEGIN = '<!-- bench -->'
const END = '<!-- /bench -->'

export async function print(report: Report, file: string, { write }: { write: boolean }): Promise<void> {
  const text = [...headOf(report), '', ...comparisonsOf(report.results), '', ...livesOf(report.lives)].join('\n')
  console.log(text)
  if (!write || !existsSync(file)) return
  const page = await readFile(file, 'utf8')
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (before < 0 || after < 0) return
  await writeFile(file, `${page.slice(0, before + BEGIN.length)}\n${text}\n${page.slice(after)}`)
}

function headOf({ date, commit, versions, machine, rounds, seconds }: Report): string[] {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return [
    `Measured ${date.slice(0, 10)} at ${commit}: ${machine.cpu}, ${machine.cores} cores, server ${machine.pinned ? 'pinned to one' : 'not pinned'};`,
    `${named.join(', ')}; ${rounds} rounds of ${seconds} s each, there and back.`,
  ]
}

function comparisonsOf(results: readonly Result[]): string[] {
  const rows = results.map(({ name, bar, figures, ratios, rawSpread }) => {
    const ours = figures.usher
    const reached = ratios[bar.against] ?? Number.NaN
    const verdict = reached >= bar.aim ? 'aim reached' : reached >= bar.must ? 'reached' : '**short**'
    return [
      name,
      `${reached.toFixed(2)} × ${bar.against}`,
      `${bar.must} / ${bar.aim}`,
      verdict,
      (ours?.cpuMicros ?? 0).toFixed(0),
      (ours?.rps ?? 0).toFixed(0),
      `${(ours?.p50Ms ?? 0).toFixed(1)} / ${(ours?.p99Ms ?? 0).toFixed(1)}`,
      (ours?.redisCommands ?? 0).toFixed(1),
      `${ratios.raw?.toFixed(2)} / ${ratios.koa?.toFixed(2)} / ${ratios.stock?.toFixed(2) ?? '–'}`,
      rawSpread.toFixed(2),
    ]
  })
  const head = [
    'workload',
    'ratio',
    'must / aim',
    '',
    'CPU µs',
    'req/s',
    'p50 / p99 ms',
    'Redis commands',
    'to raw / Koa / stock',
    'spread of raw',
  ]
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
}

function livesOf(lives: Lives | undefined): string[] {
  if (!lives) return []
  const { storm } = lives
  const tails = Object.entries(storm.during).map(([name, { p99Ms }]) => {
    const idle = storm.idle[name]?.p99Ms ?? Number.NaN
    return `${name} ${(p99Ms / idle).toFixed(1)} × (${idle} → ${p99Ms} ms)`
  })
  return [
    '| | measured | must / aim |',
    '| --- | --- | --- |',
    `| spawn to ready, PostgreSQL and Redis up | ${lives.readyMs} ms | 1000 / 500 ms |`,
    `| memory idle / after the load / highest | ${lives.idleMiB} / ${lives.loadedMiB} / ${lives.highMiB} MiB | 160 / 320, aim 120 / 220 |`,
    `| Redis bytes per signed-in session | ${lives.bytesPerSession} | 600 / 350 |`,
    `| p99 during a storm of sign-ins over idle | ${tails.join('; ')} | 2 / 1.3 |`,
    `| sign-ins per second, alone / in the storm | ${storm.signInsPerSecond} / ${storm.answeredPerSecond.toFixed(0)} | |`,
  ]
}
