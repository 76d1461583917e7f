import { randomBytes, randomInt } from 'node:crypto'

let last = { ms: 0, sequence: 0 }
/** A clock set back by more is believed: better ids out of order than ids of a time long gone. */
const BELIEVED_STEP_MS = 60_000

/** RFC 9562 section 6.2, method 1: ids of one millisecond carry a counter, so that they sort as they were made. */
function nextInstant(now: number): typeof last {
  if (now > last.ms || now < last.ms - BELIEVED_STEP_MS) last = { ms: now, sequence: randomInt(0x800) }
  else if (last.sequence < 0xfff) last = { ms: last.ms, sequence: last.sequence + 1 }
  else last = { ms: last.ms + 1, sequence: 0 }
  return last
}

/**
 * A UUID of version 7 (RFC 9562 section 5.7): sorts by time of creation, also within one millisecond of one process.
 * Made here because PostgreSQL 15 has no uuidv7().
 */
export function uuidv7(now: number = Date.now()): string {
  const { ms, sequence } = nextInstant(now)
  const bytes = randomBytes(16)
  bytes.writeUIntBE(ms, 0, 6)
  bytes.writeUInt16BE(0x7000 | sequence, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The least UUID of version 7 of an instant: every one made before sorts before it. */
export const uuidFloor = (at: Date): string => {
  const ms = Math.max(0, at.getTime()).toString(16).padStart(12, '0')
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-000000000000`
}

const POOL_BYTES = 4_096
let pool = { bytes: Buffer.alloc(0), used: 0 }

/**
 * An unguessable opaque id, base64url, of the given strength in bits. Random bytes are drawn by the page, because a draw
 * costs as much as hundreds of them, and are wiped when they have been given out.
 */
export function opaqueId(bits = 256): string {
  const length = Math.ceil(bits / 8)
  if (pool.used + length > pool.bytes.length) pool = { bytes: randomBytes(Math.max(POOL_BYTES, length)), used: 0 }
  const { bytes, used: begin } = pool
  pool.used += length
  const id = bytes.toString('base64url', begin, pool.used)
  bytes.fill(0, begin, pool.used)
  return id
}

const OPAQUE = /^[\w-]{8,128}$/

/** Whether a value has the form of our opaque ids; only such values may become part of a store key. */
export const isOpaqueId = (value: unknown): value is string => typeof value === 'string' && OPAQUE.test(value)

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value)

const REQUEST_ID_BYTES = 12
const REQUEST_IDS_AT_ONCE = 256
let requestIds = { bytes: Buffer.alloc(0), used: 0 }

/** The id of a request: unique, and made by the hundred, because every request needs one and none is a secret. */
export function requestId(): string {
  const { bytes, used } = requestIds
  if (used === bytes.length) requestIds = { bytes: randomBytes(REQUEST_ID_BYTES * REQUEST_IDS_AT_ONCE), used: 0 }
  const begin = requestIds.used
  requestIds.used += REQUEST_ID_BYTES
  return requestIds.bytes.toString('base64url', begin, requestIds.used)
}
