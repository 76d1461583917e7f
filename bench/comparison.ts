/**
 * Measures one comparison: every server in turn, forwards and backwards, several times. Ratios are formed within each
 * round and their median counts. Rounds between which even raw node:http differs by more than 15 % compare machines, not
 * servers: they are left out and repeated, and when there are too few calm ones the comparison is void.
 */
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Comparison } from './cases.ts'
import { type Chain, createChains, runChains } from './chains.ts'
import { ask, createClient } from './client.ts'
import type { Measured } from './process.ts'
import type { TripCounter, Trips } from './round-trips.ts'
import { calmest, median } from './statistics.ts'
import { startReference, type Targets } from './targets.ts'
import { type Load, load, type Request, scriptOf } from './wrk.ts'

export interface Figures {
  rps: number
  /** CPU time of the server process per request, all threads. */
  cpuMicros: number
  p50Ms: number
  p99Ms: number
  /** Commands that Redis was sent per request, those of scripts included. */
  redisCommands: number
}

export interface Bar {
  /** In words, as it stands in the table. */
  of: string
  reached: number
  must: number
  aim: number
}

export interface Result {
  name: string
  bars: Bar[]
  figures: Record<string, Figures>
  /** CPU time of the other over ours in the same round: above 1 we are cheaper. Median, least and most. */
  ratios: Record<string, Spread>
  /** Round trips of ours per request. */
  trips: Trips
  /** Largest over smallest throughput of the raw reference in the rounds that count. */
  rawSpread: number
  rounds: number
  /** Rounds that were left out, because the machine was another one then. */
  leftOut: number
  isVoid: boolean
}

export interface Spread {
  median: number
  least: number
  most: number
}

/** Long enough for every token of a list to have been met. */
const WARM_SECONDS = 3
const CALM = 0.15
const ENOUGH_ROUNDS = 5
const CHECKED_ANSWERS = 50
/** In the tables; rounds go there and back. */
const ORDER = ['raw', 'koa', 'stock', 'usher']

interface Run {
  name: string
  server: Measured
  /** The share of answers that are refusals, and meant to be. */
  refused: number
  measure(seconds: number): Promise<Load>
}

export interface Options {
  rounds: number
  seconds: number
  /** Commands that Redis has been sent. */
  redisCommands(): Promise<number>
  trips: TripCounter
  jwks: JSONWebKeySet
  /** CPU time of one ES256 signature in this run. */
  signMicros: number
}

export async function runComparison(comparison: Comparison, targets: Targets, options: Options): Promise<Result> {
  const { usher, stock, chains } = comparison
  const body = chains ? REFRESHED : await checkAnswers(targets.usher.address, usher, comparison.holds, options.jwks)
  if (stock && !chains) {
    await checkAnswers(targets.stock.address, stock, comparison.stockHolds ?? comparison.holds, options.jwks)
  }
  const raw = await startReference('raw', body)
  const koa = await startReference('koa', body)
  try {
    const rotating = chains && {
      usher: createChains(usher, chains.usher),
      stock: createChains(stock ?? [], chains.stock),
    }
    const runs: Run[] = [
      await byWrk('raw', raw, usher),
      await byWrk('koa', koa, usher),
      ...(stock
        ? [rotating ? byChains('stock', targets.stock, rotating.stock) : await byWrk('stock', targets.stock, stock)]
        : []),
      rotating
        ? byChains('usher', targets.usher, rotating.usher)
        : await byWrk('usher', targets.usher, usher, comparison.refused),
    ]
    const warmSeconds = Math.max(1, Math.min(WARM_SECONDS, options.seconds * 2))
    for (const { measure } of runs) await measure(warmSeconds)
    const rounds = await runRounds(runs, options)
    const trips = rotating ? await tripsOfChain(rotating.usher[0], options.trips) : await options.trips.of(usher)
    return resultOf(comparison, rounds, { ...options, trips })
  } finally {
    await Promise.all([raw.stop(), koa.stop()])
  }
}

/** What the reference servers send in the refresh case: as long as what a refresh gives. */
const REFRESHED = JSON.stringify({
  access_token: 'a'.repeat(700),
  id_token: 'i'.repeat(500),
  refresh_token: 'r'.repeat(500),
})

async function byWrk(name: string, server: Measured, requests: readonly Request[], refused = 0): Promise<Run> {
  const script = await scriptOf(requests)
  return { name, server, refused, measure: (seconds) => load(server.address, script, seconds) }
}

const byChains = (name: string, server: Measured, chains: readonly Chain[]): Run => ({
  name,
  server,
  refused: 0,
  measure: (seconds) => runChains(server.address, chains, seconds),
})

const TRIPS_OF_A_CHAIN = 200

async function tripsOfChain(chain: Chain | undefined, trips: TripCounter): Promise<Trips> {
  const rotate = async (server: Measured) => {
    for (let count = 0; count < TRIPS_OF_A_CHAIN; count += 1) await chain?.next(server.address)
    return TRIPS_OF_A_CHAIN
  }
  await rotate(trips.server)
  return trips.during(rotate)
}

type Round = Record<string, Figures>

interface Rounds {
  kept: Round[]
  leftOut: number
  isVoid: boolean
}

async function runRounds(runs: readonly Run[], options: Options): Promise<Rounds> {
  const all: Round[] = []
  const enough = Math.min(ENOUGH_ROUNDS, options.rounds)
  for (;;) {
    const order = all.length % 2 === 0 ? runs : runs.toReversed()
    const round: Round = {}
    for (const run of order) round[run.name] = await measured(run, options)
    all.push(round)
    if (all.length < options.rounds) continue
    const calm = calmest(
      all.map(({ raw }) => raw?.rps ?? Number.NaN),
      CALM,
    )
    const isCalm = calm.length >= enough
    if (!isCalm && all.length < 2 * options.rounds) continue
    const kept = isCalm ? all.filter((_, place) => calm.includes(place)) : all
    return { kept, leftOut: all.length - kept.length, isVoid: !isCalm }
  }
}

async function measured({ name, server, refused, measure }: Run, options: Options): Promise<Figures> {
  const [cpu, commands] = [server.cpuMicros(), await options.redisCommands()]
  const result = await measure(options.seconds)
  if (Math.abs(result.failures / result.requests - refused) > Math.max(0.001, refused / 2)) {
    throw new Error(`${name}: ${result.failures} of ${result.requests} were refused`)
  }
  return {
    rps: result.rps,
    cpuMicros: (server.cpuMicros() - cpu) / result.requests,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    redisCommands: ((await options.redisCommands()) - commands) / result.requests,
  }
}

/** A fast wrong answer is no answer: a sample of them is read, and signatures are verified. Answers one of them. */
async function checkAnswers(
  address: string,
  requests: readonly Request[],
  holds: string,
  jwks: JSONWebKeySet,
): Promise<string> {
  const client = createClient()
  const keys = createLocalJWKSet(jwks)
  let shown = ''
  try {
    for (let place = 0; place < CHECKED_ANSWERS; place += 1) {
      // Not the multiples of 100: those are revoked where anything is (cases.ts).
      const request = requests[(place * 101 + 1) % requests.length]
      if (!request) throw new Error('nothing to ask')
      const { status, text } = await ask(client, address, request)
      if (status !== 200 || !text.includes(holds)) throw new Error(`${request.path} answered ${status}: ${text}`)
      const { access_token: token } = JSON.parse(text)
      if (token !== undefined) await jwtVerify(token, keys, { algorithms: ['ES256'] })
      shown = text
    }
  } finally {
    client.destroy()
  }
  return shown
}

interface Measures extends Pick<Options, 'signMicros'> {
  trips: Trips
}

function resultOf(
  { name, bars }: Comparison,
  { kept, leftOut, isVoid }: Rounds,
  { trips, signMicros }: Measures,
): Result {
  const servers = ORDER.filter((server) => kept[0]?.[server] !== undefined)
  const figures = Object.fromEntries(
    servers.map((server) => [server, medians(kept.flatMap((round) => round[server] ?? []))]),
  )
  const ratio = (round: Round, server: string) => (round[server]?.cpuMicros ?? 0) / (round.usher?.cpuMicros ?? 0)
  const others = servers.filter((server) => server !== 'usher')
  const ratios = Object.fromEntries(
    others.map((server) => [server, spreadOf(kept.map((round) => ratio(round, server)))]),
  )
  const ours = figures.usher?.cpuMicros ?? Number.NaN
  const raw = kept.map((round) => round.raw?.rps ?? Number.NaN)
  const reached: Record<Comparison['bars'][number]['against'], (scale: number) => number> = {
    raw: () => ratios.raw?.median ?? Number.NaN,
    koa: () => ratios.koa?.median ?? Number.NaN,
    stock: () => ratios.stock?.median ?? Number.NaN,
    signature: () => ((figures.koa?.cpuMicros ?? Number.NaN) + signMicros) / ours,
    rate: (scale) => 1e6 / ours / scale,
  }
  return {
    name,
    bars: bars.map(({ against, of, must, aim, scale = 1 }) => ({ of, reached: reached[against](scale), must, aim })),
    figures,
    ratios,
    trips,
    rawSpread: Math.max(...raw) / Math.min(...raw),
    rounds: kept.length,
    leftOut,
    isVoid,
  }
}

const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  least: Math.min(...values),
  most: Math.max(...values),
})

const medians = (all: readonly Figures[]): Figures => ({
  rps: median(all.map(({ rps }) => rps)),
  cpuMicros: median(all.map(({ cpuMicros }) => cpuMicros)),
  p50Ms: median(all.map(({ p50Ms }) => p50Ms)),
  p99Ms: median(all.map(({ p99Ms }) => p99Ms)),
  redisCommands: median(all.map(({ redisCommands }) => redisCommands)),
})
