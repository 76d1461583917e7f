/** What one ES256 signature and one argon2id hash cost here and now; prints one line of JSON. */
import { argon2Sync, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { isMainThread, Worker } from 'node:worker_threads'
import { CURRENT_COST } from '../../src/accounts/password-hash.ts'

const PARAMETERS = { ...CURRENT_COST, tagLength: 32 }
const MS = Number(process.env.BENCH_MS ?? 1_000)

const hash = () =>
  argon2Sync('argon2id', { message: 'a long and quite ordinary pass phrase', nonce: randomBytes(16), ...PARAMETERS })

function countFor(ms: number, work: () => void): { count: number; cpuMicros: number } {
  const until = performance.now() + ms
  const begun = process.threadCpuUsage()
  let count = 0
  for (; performance.now() < until; count += 1) work()
  const { user, system } = process.threadCpuUsage(begun)
  return { count, cpuMicros: (user + system) / Math.max(1, count) }
}

function signMicros(): number {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const input = randomBytes(400)
  countFor(200, () => sign('sha256', input, privateKey))
  return countFor(MS, () => sign('sha256', input, privateKey)).cpuMicros
}

/** One worker per core, each hashing as fast as it can. */
async function hashesPerSecond(): Promise<number> {
  const counts = Array.from({ length: availableParallelism() }, () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    new Worker(new URL(import.meta.url)).on('message', resolve).on('error', reject)
    return promise
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0) / (MS / 1_000)
}

if (isMainThread) {
  const found = process.argv[2] === 'hash' ? { perSecond: await hashesPerSecond() } : { micros: signMicros() }
  console.log(JSON.stringify(found))
} else {
  const { parentPort } = await import('node:worker_threads')
  hash()
  parentPort?.postMessage(countFor(MS, hash).count)
}
