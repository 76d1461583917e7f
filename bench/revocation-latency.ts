/** How long a revocation takes to reach whoever must refuse: bench/revocations.ts, with its figures. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { onAllCores } from './process.ts'

export interface RevocationLatency {
  revocations: number
  failed: number
  seconds: number
  /** From the answer to whoever revoked until another process refuses the token. */
  refusal: Delay
  /** Until services that listen at another process have heard of it. */
  listeners: (Delay & { lost: number })[]
}

export interface Delay {
  p50Ms: number
  p99Ms: number
  mostMs: number
}

const root = fileURLToPath(new URL('..', import.meta.url))
const PER_SECOND = 200
const LONGEST_SECONDS = 10

/** In a process of its own, whose stores it starts itself. */
export async function measureRevocations({ longSeconds }: { longSeconds: number }): Promise<RevocationLatency> {
  console.error('measuring how fast revocations spread …')
  const seconds = Math.min(LONGEST_SECONDS, longSeconds)
  const flags = ['--rate', String(PER_SECOND), '--seconds', String(seconds), '--json']
  const [program = '', ...rest] = onAllCores([process.execPath, join(root, 'bench/revocations.ts'), ...flags])
  const { stdout } = await promisify(execFile)(program, rest, { maxBuffer: 2 ** 24 })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}
