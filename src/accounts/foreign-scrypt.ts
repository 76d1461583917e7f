/** scrypt (RFC 7914) in the three ways it is commonly written down. */
import { scryptSync, timingSafeEqual } from 'node:crypto'

// The memory is 128·N·r bytes, the time grows with N·r·p: 128 MiB, and about a second.
const MAX_MEMORY = 134_217_728
const MAX_WORK = 2_097_152
const SHORTEST_KEY = 16

interface Scrypt {
  cost: number
  blockSize: number
  parallelism: number
  salt: string | Buffer
  key: Buffer
}

export function parseScrypt(hash: string): ((typed: string) => boolean) | undefined {
  const parsed = parseWerkzeug(hash) ?? parseDjango(hash) ?? parsePhc(hash)
  if (!parsed || !isBearable(parsed)) return undefined
  const { salt, key, ...options } = parsed
  return (typed) => {
    const derived = scryptSync(typed, salt, key.length, {
      cost: options.cost,
      blockSize: options.blockSize,
      parallelization: options.parallelism,
      // Node counts the buffers beside the table as well.
      maxmem: 2 * MAX_MEMORY,
    })
    return timingSafeEqual(derived, key)
  }
}

/** RFC 7914 section 2: "N … must be larger than 1, a power of 2". */
function isBearable({ cost, blockSize, parallelism, key }: Scrypt): boolean {
  const isPowerOfTwo = cost > 1 && Number.isInteger(Math.log2(cost))
  if (!isPowerOfTwo || blockSize < 1 || parallelism < 1) return false
  if (key.length < SHORTEST_KEY || key.length > 64) return false
  return 128 * cost * blockSize <= MAX_MEMORY && cost * blockSize * parallelism <= MAX_WORK
}

/** scrypt:N:r:p$salt$hexadecimal */
const WERKZEUG = /^scrypt:(\d{1,9}):(\d{1,3}):(\d{1,3})\$([^$]{1,128})\$((?:[0-9a-f]{2}){16,64})$/

function parseWerkzeug(hash: string): Scrypt | undefined {
  const [, n, r, p, salt, key] = WERKZEUG.exec(hash) ?? []
  if (salt === undefined || key === undefined) return undefined
  return { ...costOf(Number(n), r, p), salt, key: Buffer.from(key, 'hex') }
}

/** scrypt$N$salt$r$p$base64 */
const DJANGO = /^scrypt\$(\d{1,9})\$([^$]{1,128})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/]{22,88}={0,2})$/

function parseDjango(hash: string): Scrypt | undefined {
  const [, n, salt, r, p, key] = DJANGO.exec(hash) ?? []
  if (salt === undefined || key === undefined) return undefined
  return { ...costOf(Number(n), r, p), salt, key: Buffer.from(key, 'base64') }
}

/** $scrypt$ln=,r=,p=$salt$key in base64; ln is the logarithm of N. */
const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{1,172})\$([A-Za-z0-9+/]{22,88})$/

function parsePhc(hash: string): Scrypt | undefined {
  const [, ln, r, p, salt, key] = PHC.exec(hash) ?? []
  if (salt === undefined || key === undefined) return undefined
  return { ...costOf(2 ** Number(ln), r, p), salt: Buffer.from(salt, 'base64'), key: Buffer.from(key, 'base64') }
}

const costOf = (cost: number, r: string | undefined, p: string | undefined) => ({
  cost,
  blockSize: Number(r),
  parallelism: Number(p),
})
