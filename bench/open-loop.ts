/**
 * Load that does not wait for answers: so many requests per second, whatever becomes of them, from a process of its own.
 * `runOpenLoop` starts that process; the file run by itself is it.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createChain } from './chains.ts'
import { ask, createClient } from './client.ts'
import { onAllCores } from './process.ts'
import { quantile } from './statistics.ts'
import type { Request } from './wrk.ts'

export interface Stream {
  name: string
  perSecond: number
  /** Asked in turn. */
  requests: Request[]
  /** Of rotating chains: the token that each begins with. */
  tokens?: string[]
}

export interface StreamResult {
  sent: number
  perSecond: number
  /** Of successful answers. */
  p50Ms: number
  p99Ms: number
  /** Answers by their status; 0 is a connection that failed, or no chain that was free. */
  statuses: Record<string, number>
  /** How long the refused waited for their answer. */
  refusedP99Ms: number | undefined
  /** Refresh tokens at the end, for a later run to go on with. */
  tokens: string[]
}

interface Job {
  address: string
  seconds: number
  streams: Stream[]
}

const SELF = fileURLToPath(import.meta.url)
const MAX_SOCKETS = 1_024

/** Results by the names of the streams. */
export async function runOpenLoop(job: Job): Promise<Record<string, StreamResult>> {
  const [execPath = process.execPath, ...execArgv] = onAllCores([process.execPath])
  const child = fork(SELF, {
    execPath,
    execArgv: [...execArgv, ...process.execArgv],
    env: { ...process.env, BENCH_OPEN_LOOP: '1' },
  })
  child.send(job)
  const [results] = (await Promise.race([once(child, 'message'), ended(child)])) as [Record<string, StreamResult>]
  return results
}

async function ended(child: ReturnType<typeof fork>): Promise<never> {
  const [code] = await once(child, 'exit')
  throw new Error(`the load ended with ${code}`)
}

if (process.env.BENCH_OPEN_LOOP === '1' && process.argv[1] === SELF) {
  const [job] = (await once(process, 'message')) as [Job]
  const results = await Promise.all(job.streams.map(async (stream) => [stream.name, await run(job, stream)] as const))
  process.send?.(Object.fromEntries(results), () => process.exit(0))
}

async function run({ address, seconds }: Job, { perSecond, requests, tokens }: Stream): Promise<StreamResult> {
  const client = createClient(MAX_SOCKETS)
  const chains = tokens?.map((token, place) => {
    const template = requests[place % requests.length]
    if (!template) throw new Error('nothing to ask')
    return createChain(client, template, token)
  })
  /** Chains that wait for no answer, the longest idle first. */
  const idle = [...(chains ?? [])]
  const statuses: Record<string, number> = {}
  const [succeeded, refused]: [number[], number[]] = [[], []]
  let sent = 0
  const count = (status: number, ms: number): void => {
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status === 200) succeeded.push(ms)
    else refused.push(ms)
  }
  const one = async (place: number) => {
    const begun = performance.now()
    try {
      const request = requests[place % requests.length]
      if (!chains && request) {
        const { status } = await ask(client, address, request)
        return count(status, performance.now() - begun)
      }
      const chain = idle.shift()
      if (!chain) return count(0, 0)
      await chain.next(address)
      idle.push(chain)
      count(200, performance.now() - begun)
    } catch {
      count(0, performance.now() - begun)
    }
  }
  const startedAt = performance.now()
  const underWay: Promise<void>[] = []
  for (;;) {
    const elapsed = (performance.now() - startedAt) / 1_000
    const due = Math.floor(Math.min(elapsed, seconds) * perSecond)
    for (; sent < due; sent += 1) underWay.push(one(sent))
    if (elapsed >= seconds) break
    await sleep(1)
  }
  await Promise.race([Promise.all(underWay), sleep(5_000)])
  client.destroy()
  return {
    sent,
    perSecond: succeeded.length / seconds,
    p50Ms: quantile(succeeded, 0.5),
    p99Ms: quantile(succeeded, 0.99),
    statuses,
    refusedP99Ms: refused.length === 0 ? undefined : quantile(refused, 0.99),
    tokens: chains?.map((chain) => chain.token()) ?? [],
  }
}
