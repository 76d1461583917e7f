/** Measures one comparison: every server in turn, forwards and backwards, and the median of the rounds. */
import type { Redis } from 'ioredis'
import { send } from '../test/support/http.ts'
import type { Comparison } from './cases.ts'
import { runChains } from './chains.ts'
import type { Measured } from './process.ts'
import { startReference, type Targets } from './targets.ts'
import { type Load, load, type Request, scriptOf } from './wrk.ts'

export interface Figures {
  rps: number
  /** CPU time of the server process per request. */
  cpuMicros: number
  p50Ms: number
  p99Ms: number
  /** Commands that Redis was sent per request. */
  redisCommands: number
}

export interface Result {
  name: string
  bar: Comparison['bar']
  figures: Record<string, Figures>
  /** CPU time of the other over ours, by the medians: above 1 we are cheaper. */
  ratios: Record<string, number>
  /** Largest over smallest throughput of the raw reference in the rounds. */
  rawSpread: number
}

/** Long enough for every token of a list to have been met. */
const WARM_SECONDS = 4

interface Run {
  name: string
  server: Measured
  measure(seconds: number): Promise<Load>
}

interface Options {
  rounds: number
  seconds: number
  redis: Redis
}

export async function runComparison(
  comparison: Comparison,
  targets: Targets,
  { rounds, seconds, redis }: Options,
): Promise<Result> {
  const [first] = comparison.usher
  if (!first) throw new Error('nothing to ask')
  const body = comparison.chains ? '{}' : await answerOf(targets.usher.address, first, comparison.holds)
  const raw = await startReference('raw', body)
  const koa = await startReference('koa', body)
  try {
    const byWrk = async (name: string, server: Measured, requests: readonly Request[]): Promise<Run> => {
      const script = await scriptOf(requests)
      return { name, server, measure: (length) => load(server.address, script, length) }
    }
    const byChains = (name: string, server: Measured, requests: readonly Request[], tokens: string[]): Run => ({
      name,
      server,
      measure: (length) => runChains(server.address, requests, tokens, length),
    })
    const { chains, stock } = comparison
    const runs: Run[] = [
      await byWrk('raw', raw, comparison.usher),
      await byWrk('koa', koa, comparison.usher),
      ...(stock && !chains ? [await byWrk('stock', targets.stock, stock)] : []),
      ...(chains ? [byChains('stock', targets.stock, stock ?? [], chains.stock)] : []),
      chains
        ? byChains('usher', targets.usher, comparison.usher, chains.usher)
        : await byWrk('usher', targets.usher, comparison.usher),
    ]
    for (const { measure } of runs) await measure(WARM_SECONDS)
    const figures = new Map<string, Figures[]>(runs.map(({ name }) => [name, []]))
    for (let round = 0; round < rounds; round += 1) {
      for (const run of round % 2 === 0 ? runs : runs.toReversed()) {
        figures.get(run.name)?.push(await measured(run, seconds, redis))
      }
    }
    return resultOf(comparison, figures)
  } finally {
    await Promise.all([raw.stop(), koa.stop()])
  }
}

async function measured({ name, server, measure }: Run, seconds: number, redis: Redis): Promise<Figures> {
  const [cpu, commands] = [server.cpuMicros(), await commandsOf(redis)]
  const result = await measure(seconds)
  if (result.failures > result.requests / 100)
    throw new Error(`${name}: ${result.failures} of ${result.requests} failed`)
  return {
    rps: result.rps,
    cpuMicros: (server.cpuMicros() - cpu) / result.requests,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    redisCommands: ((await commandsOf(redis)) - commands) / result.requests,
  }
}

async function commandsOf(redis: Redis): Promise<number> {
  return Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1] ?? 0)
}

async function answerOf(address: string, { method, path, headers, body }: Request, holds: string): Promise<string> {
  const { Host = '', ...rest } = headers
  const reply = await send(address, `http://${Host}`, path, { method, headers: rest, json: body })
  if (!reply.text.includes(holds)) throw new Error(`${path} answered ${reply.status}: ${reply.text}`)
  return reply.text
}

function resultOf({ name, bar }: Comparison, rounds: ReadonlyMap<string, Figures[]>): Result {
  const figures = Object.fromEntries([...rounds].map(([server, all]) => [server, medians(all)]))
  const ours = figures.usher?.cpuMicros ?? Number.NaN
  const ratios = Object.fromEntries(
    Object.entries(figures)
      .filter(([server]) => server !== 'usher')
      .map(([server, { cpuMicros }]) => [server, cpuMicros / ours]),
  )
  const raw = (rounds.get('raw') ?? []).map(({ rps }) => rps)
  return { name, bar, figures, ratios, rawSpread: Math.max(...raw) / Math.min(...raw) }
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

const medians = (all: readonly Figures[]): Figures => ({
  rps: median(all.map(({ rps }) => rps)),
  cpuMicros: median(all.map(({ cpuMicros }) => cpuMicros)),
  p50Ms: median(all.map(({ p50Ms }) => p50Ms)),
  p99Ms: median(all.map(({ p99Ms }) => p99Ms)),
  redisCommands: median(all.map(({ redisCommands }) => redisCommands)),
})
