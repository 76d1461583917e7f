/** Refresh under load: every chain asks with the token that the answer before it gave, so no list can be made in advance. */
import { Agent, request } from 'node:http'
import type { Load, Request } from './wrk.ts'

const latest = new Map<string, string>()

/** Runs all chains side by side for so many seconds; a later run goes on where this one ends. */
export async function runChains(
  address: string,
  requests: readonly Request[],
  tokens: readonly string[],
  seconds: number,
): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: requests.length })
  const until = performance.now() + seconds * 1000
  const times: number[] = []
  let failures = 0
  const startedAt = performance.now()
  await Promise.all(
    requests.map(async (template, place) => {
      const chain = `${address} ${place}`
      while (performance.now() < until) {
        const token = latest.get(chain) ?? tokens[place] ?? ''
        const begun = performance.now()
        const next = await refresh(agent, address, template, token)
        times.push(performance.now() - begun)
        if (next === undefined) {
          failures += 1
          return
        }
        latest.set(chain, next)
      }
    }),
  )
  const elapsed = (performance.now() - startedAt) / 1000
  agent.destroy()
  const sorted = times.toSorted((one, other) => one - other)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return { requests: times.length, rps: times.length / elapsed, p50Ms: at(0.5), p99Ms: at(0.99), failures }
}

async function refresh(
  agent: Agent,
  address: string,
  { path, headers }: Request,
  token: string,
): Promise<string | undefined> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }).toString()
  const { hostname, port } = new URL(address)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const sent = request(
    {
      agent,
      hostname,
      port,
      path,
      method: 'POST',
      headers: { ...headers, 'Content-Length': String(Buffer.byteLength(body)) },
    },
    (response) => {
      response
        .setEncoding('utf8')
        .toArray()
        .then((parts) => resolve(parts.join('')), reject)
    },
  )
  sent.on('error', reject).end(body)
  const text = await promise
  const { refresh_token: next } = JSON.parse(text)
  return typeof next === 'string' ? next : undefined
}
