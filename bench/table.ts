/** The result for people: printed, and put into docs/performance.md between its markers when everything was measured. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import type { Bar, Result } from './comparison.ts'
import type { Growth } from './growth.ts'
import type { Lives } from './lives.ts'
import type { RevocationLatency } from './revocation-latency.ts'

export interface Report {
  date: string
  commit: string
  versions: Record<string, string>
  machine: { cpu: string; cores: number; pinned: boolean }
  rounds: number
  seconds: number
  longSeconds: number
  minutes: number
  /** Parts that could not be measured, and why. */
  failures: readonly string[]
  results: readonly Result[]
  /** CPU time of one ES256 signature. */
  signMicros?: number | undefined
  lives?: Lives | undefined
  growth?: Growth | undefined
  revocations?: RevocationLatency | undefined
  access?: Section | undefined
  scaleOut?: Section | undefined
}

/** A part that draws its own tables. */
export interface Section {
  lines: readonly string[]
}

const BEGIN = '<!-- bench -->'
const END = '<!-- /bench -->'

export async function print(report: Report, file: string, { write }: { write: boolean }): Promise<void> {
  const text = textOf(report)
  console.log(text)
  if (!write || !existsSync(file)) return
  const page = await readFile(file, 'utf8')
  await writeFile(file, between(page, text) ?? page)
}

/** The page with another text between its markers; undefined when it has none. */
export function between(page: string, text: string): string | undefined {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) return undefined
  return `${page.slice(0, from + BEGIN.length)}\n${text}\n${page.slice(to)}`
}

/** Everything that was measured, as Markdown. */
export function textOf(report: Report): string {
  const sections = [
    headOf(report),
    titled('Against the bars', barsOf(report)),
    titled('Requests', requestsOf(report.results)),
    titled('Starting, idling, storms', livesOf(report.lives)),
    titled('Growth', growthOf(report.growth)),
    titled('Revocations', revocationsOf(report.revocations)),
    titled('The access model', report.access?.lines ?? []),
    titled('More than one process', report.scaleOut?.lines ?? []),
  ]
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

const titled = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`### ${title}`, '', ...lines]

function headOf({ date, commit, versions, machine, rounds, seconds, minutes, failures, signMicros }: Report): string[] {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const pinned = machine.pinned ? 'server on one core, load and stores on another' : 'not pinned'
  const signed = signMicros === undefined ? '' : ` One ES256 signature took ${signMicros.toFixed(0)} µs.`
  return [
    `Measured ${date.slice(0, 10)} at ${commit} in ${minutes} minutes: ${machine.cpu}, ${machine.cores} cores, ${pinned}, loopback, no TLS.`,
    `${named.join(', ')}. ${rounds} rounds of ${seconds} s each, there and back.${signed}`,
    ...failures.map((failure) => `\n**Not measured:** ${failure}`),
  ]
}

interface Standing extends Bar {
  name: string
  isVoid: boolean
  note?: string
}

function barsOf(report: Report): string[] {
  const standings: Standing[] = [
    ...report.results.flatMap(({ name, bars, isVoid }) => bars.map((bar) => ({ ...bar, name, isVoid }))),
    ...barsOfLives(report.lives),
    ...barsOfGrowth(report.growth),
    ...barsOfRevocations(report.revocations),
  ]
  const rows = standings.map((standing) => [
    standing.name,
    `${shown(standing.reached)} ${standing.of}`,
    `${shown(standing.must)} / ${shown(standing.aim)}`,
    verdictOn(standing),
  ])
  return rows.length === 0 ? [] : tableOf(['workload', 'reached', 'must / aim', ''], rows)
}

/** An aim below what must be reached says that less is better. */
export function verdictOn({
  reached,
  must,
  aim,
  isVoid,
}: Pick<Standing, 'reached' | 'must' | 'aim' | 'isVoid'>): string {
  const reaches = (bar: number) => (aim < must ? reached <= bar : reached >= bar)
  const verdict = reaches(aim) ? 'aim reached' : reaches(must) ? 'reached' : '**short**'
  return isVoid ? `${verdict}; void, the machine was not calm` : verdict
}

function barsOfLives(lives: Lives | undefined): Standing[] {
  if (!lives) return []
  const { storm, sessions, mix } = lives
  const bar = (name: string, reached: number, of: string, must: number, aim: number): Standing => ({
    name,
    reached,
    of,
    must,
    aim,
    isVoid: false,
  })
  return [
    ...Object.entries(storm.during).map(([name, { p99Ms }]) =>
      bar(`storm: p99 of ${name}`, p99Ms / (storm.idle[name]?.p99Ms ?? Number.NaN), '× idle', 2, 1.3),
    ),
    bar('sign-ins per second', storm.signInsPerSecond / storm.bareHashesPerSecond, '× bare argon2', 0.8, 0.95),
    bar('start to ready', lives.readyMs / 1000, 's', 1, 0.5),
    bar('memory, idle', lives.idleMiB, 'MiB', 160, 120),
    bar('memory, loaded', lives.loadedMiB, 'MiB', 320, 220),
    bar('Redis per session', sessions.bytes, 'bytes', 600, 350),
    bar('idling', lives.idleCpuShare * 100, '% of a core', 0.5, 0.1),
    bar('event loop p99, mixed load', mix.loop.p99Ms, 'ms late', 20, 5),
  ]
}

const barsOfGrowth = (growth: Growth | undefined): Standing[] =>
  (growth?.rows ?? []).map(({ name, ratio, isVoid }) => ({
    name: `growth: ${name}`,
    reached: ratio.median,
    of: '× the CPU time when small',
    must: 1.5,
    aim: 1.15,
    isVoid,
  }))

function barsOfRevocations(revocations: RevocationLatency | undefined): Standing[] {
  if (!revocations) return []
  const { refusal, listeners } = revocations
  const slowest = Math.max(...listeners.map(({ p99Ms }) => p99Ms))
  const common = { must: 1_000, aim: 100, isVoid: false, of: 'ms' }
  return [
    { ...common, name: 'revoked here, refused there, p99', reached: refusal.p99Ms },
    { ...common, name: 'revoked here, heard by services there, p99', reached: slowest },
  ]
}

function requestsOf(results: readonly Result[]): string[] {
  if (results.length === 0) return []
  const rows = results.flatMap(({ name, figures, ratios, trips, rawSpread, rounds, leftOut }) =>
    Object.entries(figures).map(([server, figure]) => {
      const ratio = ratios[server]
      const isOurs = server === 'usher'
      return [
        name,
        isOurs ? '**usher**' : server,
        figure.cpuMicros.toFixed(1),
        figure.rps.toFixed(0),
        `${figure.p50Ms.toFixed(2)} / ${figure.p99Ms.toFixed(2)}`,
        isOurs ? `${trips.redis.toFixed(1)} / ${trips.sql.toFixed(1)}` : '',
        figure.redisCommands < 0.05 ? '0' : figure.redisCommands.toFixed(1),
        ratio ? `${shown(ratio.median)} (${shown(ratio.least)}–${shown(ratio.most)})` : '1',
        isOurs ? `${rounds}${leftOut > 0 ? ` (${leftOut} left out)` : ''}, ${rawSpread.toFixed(2)}` : '',
      ]
    }),
  )
  const head = [
    'workload',
    'server',
    'CPU µs',
    'req/s',
    'p50 / p99 ms',
    'round trips Redis / SQL',
    'Redis commands',
    'its CPU over ours',
    'rounds, spread of raw',
  ]
  return tableOf(head, rows)
}

function livesOf(lives: Lives | undefined): string[] {
  if (!lives) return []
  const { storm, sessions, mix } = lives
  const answers = Object.entries(storm.statuses).map(([status, count]) => `${count} × ${status}`)
  const kinds = Object.entries(sessions.kinds)
    .map(([kind, bytes]) => `${kind} ${bytes}`)
    .join(', ')
  const tails = Object.entries(storm.during).map(([name, during]) => {
    const idle = storm.idle[name]
    return [
      name,
      `${idle?.p50Ms.toFixed(2)} / ${idle?.p99Ms.toFixed(2)}`,
      `${during.p50Ms.toFixed(2)} / ${during.p99Ms.toFixed(2)}`,
      String(during.failed),
    ]
  })
  return [
    `- Spawn to a green /readyz, both stores up: ${lives.readyMs} ms, the median of five.`,
    `- Memory: ${lives.idleMiB} MiB idle, ${lives.loadedMiB} MiB after the comparisons (at most ${lives.highMiB}), at most ${lives.stormHighMiB} MiB in the storm.`,
    `- Redis: ${sessions.bytes} bytes in ${sessions.keysPerSession.toFixed(1)} keys per session, over ${sessions.sessions} sign-ins with a password (${kinds}); every key has an end. ${sessions.passingBytes} more for the limits, which go within the hour.`,
    `- Idle: ${(lives.idleCpuShare * 100).toFixed(2)} % of a core, over ${lives.longSeconds} s.`,
    `- Sign-ins: ${storm.signInsPerSecond.toFixed(1)}/s where bare argon2id does ${storm.bareHashesPerSecond.toFixed(1)}/s on the same cores. In the storm ${storm.answeredPerSecond.toFixed(1)}/s of ${storm.sent} sent in ${lives.longSeconds} s succeeded (${answers.join(', ')}); p99 of a refusal ${storm.refusedP99Ms?.toFixed(1) ?? '–'} ms. The process used ${storm.cores.toFixed(2)} cores, the thread that answers ${storm.mainThread.toFixed(2)}.`,
    `- Mixed load of ${mix.perSecond.toFixed(0)} requests/s (70 % validation, 15 % refresh, 10 % introspection, 5 % sign-in): event loop late by ${mix.loop.p50Ms.toFixed(1)} ms at p50, ${mix.loop.p99Ms.toFixed(1)} ms at p99, ${mix.loop.maxMs.toFixed(0)} ms at most; ${mix.failed} requests failed.`,
    '',
    ...tableOf(['beside the storm', 'idle p50 / p99 ms', 'storm p50 / p99 ms', 'failed'], tails),
  ]
}

function growthOf(growth: Growth | undefined): string[] {
  if (!growth) return []
  const { small, large, rows } = growth
  const sizes = ([name, value]: [string, number]) => [
    name,
    value.toLocaleString('en'),
    large.sizes[name]?.toLocaleString('en') ?? '',
  ]
  return [
    ...tableOf(
      ['held', 'small', 'large'],
      [
        ...Object.entries(small.sizes).map(sizes),
        ['start to ready, ms', String(small.readyMs), String(large.readyMs)],
        ['server memory before the load, MiB', String(small.startMiB), String(large.startMiB)],
        ['server memory after the load, MiB', String(small.endMiB), String(large.endMiB)],
        ['Redis memory, MiB', String(small.redisMiB), String(large.redisMiB)],
        ['database, MiB', String(small.databaseMiB), String(large.databaseMiB)],
      ],
    ),
    '',
    ...tableOf(
      ['workload', 'CPU µs small', 'CPU µs large', 'large over small', 'p99 ms small / large'],
      rows.map(({ name, smallMicros, largeMicros, ratio, smallP99Ms, largeP99Ms }) => [
        name,
        smallMicros.toFixed(1),
        largeMicros.toFixed(1),
        `${shown(ratio.median)} (${shown(ratio.least)}–${shown(ratio.most)})`,
        `${smallP99Ms.toFixed(2)} / ${largeP99Ms.toFixed(2)}`,
      ]),
    ),
    ...(growth.notes.length === 0 ? [] : ['', ...growth.notes.map((note) => `- ${note}`)]),
  ]
}

function revocationsOf(found: RevocationLatency | undefined): string[] {
  if (!found) return []
  const row = (name: string, { p50Ms, p99Ms, mostMs }: { p50Ms: number; p99Ms: number; mostMs: number }) => [
    name,
    p50Ms.toFixed(1),
    p99Ms.toFixed(1),
    mostMs.toFixed(1),
  ]
  return [
    `${found.revocations} revocations at one process in ${found.seconds.toFixed(0)} s (${found.failed} failed), from the answer to whoever revoked:`,
    '',
    ...tableOf(
      ['until', 'p50 ms', 'p99 ms', 'most ms'],
      [
        row('another process refuses the token', found.refusal),
        ...found.listeners.map((listener, place) =>
          row(`service ${place + 1} has heard of it (${listener.lost} lost)`, listener),
        ),
      ],
    ),
  ]
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
}

/** As many digits as a ratio or a size deserves. */
function shown(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
