/**
 * Password hashes as PHC strings of argon2id (RFC 9106), and those made elsewhere. The functions here block for tens of milliseconds, so the
 * server calls them through hash-pool.ts only.
 */
import { argon2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import { parseForeignHash } from './foreign-hash.ts'
import { normalisePassword } from './password-policy.ts'

export interface HashCost {
  /** Memory in KiB. */
  memory: number
  passes: number
  parallelism: number
}

/** The current parameters: what new hashes cost, and what a sign-in to an unknown account costs. */
export const CURRENT_COST: HashCost = { memory: 19_456, passes: 2, parallelism: 1 }
const SALT_BYTES = 16
const TAG_BYTES = 32

// An imported hash names its own cost, so a hostile one could ask for gigabytes or minutes.
const MAX_MEMORY = 131_072
const MAX_PARALLELISM = 16
const MAX_MEMORY_PASSES = 524_288

type Variant = 'argon2id' | 'argon2i' | 'argon2d'

interface ParsedHash extends HashCost {
  variant: Variant
  salt: Buffer
  tag: Buffer
}

export interface Verification {
  matches: boolean
  /** The password is right, and its hash should be replaced by one of the current form. */
  needsRehash: boolean
}

/** argon2id over the NFKC form of the password, with a fresh salt. */
export function hashPassword(password: string, cost: HashCost = CURRENT_COST): string {
  const salt = randomBytes(SALT_BYTES)
  return format(cost, salt, derive('argon2id', normalisePassword(password), { ...cost, salt }, TAG_BYTES))
}

/**
 * Hashes made elsewhere were made over the bytes as typed, so a password whose NFKC form differs is tried in both.
 * A hash that is not acceptable matches nothing.
 */
export function verifyPassword(hash: string, password: string): Verification {
  const parsed = parseHash(hash)
  const isMatch = parsed ? (message: string) => isTagOf(parsed, message) : parseForeignHash(hash)
  if (!isMatch) return NO_MATCH
  const normal = normalisePassword(password)
  if (isMatch(normal)) return { matches: true, needsRehash: needsRehash(hash) }
  return normal !== password && isMatch(password) ? { matches: true, needsRehash: true } : NO_MATCH
}

const NO_MATCH: Verification = { matches: false, needsRehash: false }

/** Whether a hash is of an older form or of another cost than new ones. */
export function needsRehash(hash: string): boolean {
  const parsed = parseHash(hash)
  if (parsed?.variant !== 'argon2id' || parsed.tag.length < TAG_BYTES || parsed.salt.length < SALT_BYTES) return true
  const { memory, passes, parallelism } = CURRENT_COST
  return parsed.memory !== memory || parsed.passes !== passes || parsed.parallelism !== parallelism
}

/** Whether a hash from outside may be stored: of a form that is known here, at a cost that can be borne. */
export const isAcceptableHash = (hash: string): boolean =>
  parseHash(hash) !== undefined || parseForeignHash(hash) !== undefined

/** A hash of current cost that no password matches: its tag was drawn, not derived. */
export const unmatchableHash = (): string => format(CURRENT_COST, randomBytes(SALT_BYTES), randomBytes(TAG_BYTES))

const PHC =
  /^\$(argon2id|argon2i|argon2d)\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

const DJANGO_PREFIX = /^argon2(?=\$argon2)/

function parseHash(hash: string): ParsedHash | undefined {
  const [, variant, m, t, p, salt, tag] = PHC.exec(hash.replace(DJANGO_PREFIX, '')) ?? []
  if (!isVariant(variant) || salt === undefined || tag === undefined) return undefined
  const cost = { memory: Number(m), passes: Number(t), parallelism: Number(p) }
  if (!isWithinBounds(cost)) return undefined
  return { variant, ...cost, salt: Buffer.from(salt, 'base64'), tag: Buffer.from(tag, 'base64') }
}

const isVariant = (name: string | undefined): name is Variant =>
  name === 'argon2id' || name === 'argon2i' || name === 'argon2d'

/** RFC 9106 section 3.1: "m MUST be an integer number of kibibytes from 8*p to 2^(32)-1". */
function isWithinBounds({ memory, passes, parallelism }: HashCost): boolean {
  if (passes < 1 || parallelism < 1 || memory < 8 * parallelism) return false
  return memory <= MAX_MEMORY && parallelism <= MAX_PARALLELISM && memory * passes <= MAX_MEMORY_PASSES
}

const isTagOf = (parsed: ParsedHash, message: string): boolean =>
  timingSafeEqual(derive(parsed.variant, message, parsed, parsed.tag.length), parsed.tag)

const derive = (variant: Variant, message: string, cost: HashCost & { salt: Buffer }, tagLength: number): Buffer =>
  argon2Sync(variant, {
    message,
    nonce: cost.salt,
    memory: cost.memory,
    passes: cost.passes,
    parallelism: cost.parallelism,
    tagLength,
  })

const format = ({ memory, passes, parallelism }: HashCost, salt: Buffer, tag: Buffer): string =>
  `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
