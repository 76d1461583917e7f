/** Refresh under load: every chain asks with the token that the answer before it gave, so no list can be made in advance. */
import { ask, type Client, createClient } from './client.ts'
import { quantile } from './statistics.ts'
import type { Load, Request } from './wrk.ts'

export interface Chain {
  /** Asks with the latest token and keeps the next. Throws when there is none: the chain has broken. */
  next(address: string): Promise<void>
  /** The latest. */
  token(): string
}

const SIGNED = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/

/** @param template everything but the token */
export function createChain(client: Client, template: Request, first: string): Chain {
  let token = first
  return {
    async next(address) {
      const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }).toString()
      const { status, text } = await ask(client, address, { ...template, body })
      const { refresh_token: next, access_token: access, id_token: id } = JSON.parse(text)
      const isWhole = [access, id].every((value) => typeof value === 'string' && SIGNED.test(value))
      if (status !== 200 || typeof next !== 'string' || next === token || !isWhole) {
        throw new Error(`a chain of refreshes broke with ${status}: ${text}`)
      }
      token = next
    },
    token: () => token,
  }
}

export function createChains(templates: readonly Request[], tokens: readonly string[]): readonly Chain[] {
  const client = createClient(templates.length)
  return templates.map((template, place) => createChain(client, template, tokens[place] ?? ''))
}

/** Runs all chains side by side for so many seconds; a later run goes on where this one ends. */
export async function runChains(address: string, chains: readonly Chain[], seconds: number): Promise<Load> {
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  const times: number[] = []
  await Promise.all(
    chains.map(async (chain) => {
      while (performance.now() < until) {
        const begun = performance.now()
        await chain.next(address)
        times.push(performance.now() - begun)
      }
    }),
  )
  const elapsed = (performance.now() - startedAt) / 1000
  return {
    requests: times.length,
    rps: times.length / elapsed,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    failures: 0,
  }
}
