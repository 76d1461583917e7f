/** PBKDF2 (RFC 8018 section 5.2) in the three ways it is commonly written down. */
import { pbkdf2Sync, timingSafeEqual } from 'node:crypto'

// About a second of SHA-512; Django asks for 1,200,000 rounds of SHA-256.
const MAX_ROUNDS = 2_000_000
const SHORTEST_KEY = 16

interface Pbkdf2 {
  digest: string
  rounds: number
  salt: string | Buffer
  key: Buffer
}

export function parsePbkdf2(hash: string): ((typed: string) => boolean) | undefined {
  const parsed = parseDjango(hash) ?? parseWerkzeug(hash) ?? parsePasslib(hash)
  if (!parsed || !isBearable(parsed)) return undefined
  const { digest, rounds, salt, key } = parsed
  return (typed) => timingSafeEqual(pbkdf2Sync(typed, salt, rounds, key.length, digest), key)
}

const isBearable = ({ rounds, key }: Pbkdf2): boolean =>
  rounds >= 1 && rounds <= MAX_ROUNDS && key.length >= SHORTEST_KEY && key.length <= 64

/** pbkdf2_sha256$rounds$salt$base64 */
const DJANGO = /^pbkdf2_(sha1|sha256)\$(\d{1,9})\$([^$]{1,128})\$([A-Za-z0-9+/]{22,88}={0,2})$/

function parseDjango(hash: string): Pbkdf2 | undefined {
  const [, digest, rounds, salt, key] = DJANGO.exec(hash) ?? []
  if (digest === undefined || salt === undefined || key === undefined) return undefined
  return { digest, rounds: Number(rounds), salt, key: Buffer.from(key, 'base64') }
}

/** pbkdf2:sha256:rounds$salt$hexadecimal */
const WERKZEUG = /^pbkdf2:(sha1|sha256|sha512):(\d{1,9})\$([^$]{1,128})\$((?:[0-9a-f]{2}){16,64})$/

function parseWerkzeug(hash: string): Pbkdf2 | undefined {
  const [, digest, rounds, salt, key] = WERKZEUG.exec(hash) ?? []
  if (digest === undefined || salt === undefined || key === undefined) return undefined
  return { digest, rounds: Number(rounds), salt, key: Buffer.from(key, 'hex') }
}

/** $pbkdf2-sha256$rounds$salt$key, both in base64 with a dot for the plus; without a name it is SHA-1. */
const PASSLIB = /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(\d{1,9})\$([A-Za-z0-9./]{1,172})\$([A-Za-z0-9./]{22,88})$/

function parsePasslib(hash: string): Pbkdf2 | undefined {
  const [, digest = 'sha1', rounds, salt, key] = PASSLIB.exec(hash) ?? []
  if (salt === undefined || key === undefined) return undefined
  return { digest, rounds: Number(rounds), salt: fromAdaptedBase64(salt), key: fromAdaptedBase64(key) }
}

const fromAdaptedBase64 = (text: string): Buffer => Buffer.from(text.replaceAll('.', '+'), 'base64')
