/** Rotation, step by step: published before use, kept until the last token has expired. `usher keys rotate` takes one step. */
import { join } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { exclusively, readSecrets, readSigningKeys, replaceFile, secretsFile, signingKeysFile } from './key-files.ts'
import {
  alive,
  inOrder,
  instant,
  type KeyLife,
  newSecretKey,
  newSigningKeys,
  type Secrets,
  type SigningKey,
} from './key-life.ts'
import { createMissing } from './keystore.ts'

export interface RotationOptions {
  clock?: Clock
  /** Retired keys are kept this long: the longest life of a token they may have signed. */
  longestTokenSeconds: number
  /** How long others may cache the published keys; a new key waits this long before it signs. */
  jwksCacheSeconds: number
  /** Use the next keys although caches may not know them yet. */
  force?: boolean
}

export interface RotationReport {
  /** created: the first keys. published: next keys are shown. waiting: too early. activated: the next keys sign now. */
  outcome: 'created' | 'published' | 'waiting' | 'activated'
  /** Until the next keys may sign; 0 when nothing waits. */
  waitSeconds: number
  /** Retired keys that are gone now. */
  dropped: string[]
}

/** One step of the rotation: makes the first keys, publishes the next ones, or puts those to use. */
export async function rotateKeys(dir: string, options: RotationOptions): Promise<RotationReport> {
  const { clock = systemClock } = options
  if (await createMissing(dir, clock)) return { outcome: 'created', waitSeconds: 0, dropped: [] }
  return await exclusively(join(dir, '.rotating'), async () => await takeStep(dir, { ...options, clock }))
}

async function takeStep(dir: string, options: RotationOptions & { clock: Clock }): Promise<RotationReport> {
  const { clock, longestTokenSeconds, jwksCacheSeconds, force = false } = options
  const now = clock.now()
  const all = await readRing(dir)
  const ring = eachList(all, (keys) => alive(keys, clock))
  const dropped = all.signingKeys.filter((key) => !ring.signingKeys.includes(key)).map(({ kid }) => kid)

  const publishedAt = ring.signingKeys.filter(isNext).map(({ createdAt }) => Date.parse(createdAt))
  if (publishedAt.length === 0) {
    await writeRing(dir, await withNext(ring, instant(now)))
    return { outcome: 'published', waitSeconds: jwksCacheSeconds, dropped }
  }
  const waitSeconds = Math.ceil((Math.max(...publishedAt) - now) / 1000) + jwksCacheSeconds
  if (waitSeconds > 0 && !force) return { outcome: 'waiting', waitSeconds, dropped: [] }
  const expiresAt = instant(now + longestTokenSeconds * 1000)
  await writeRing(
    dir,
    eachList(ring, (keys) => activated(keys, instant(now), expiresAt)),
  )
  return { outcome: 'activated', waitSeconds: 0, dropped }
}

interface Ring {
  signingKeys: SigningKey[]
  secrets: Secrets
}

async function readRing(dir: string): Promise<Ring> {
  const [signingKeys, secrets] = await Promise.all([readSigningKeys(dir), readSecrets(dir)])
  if (!signingKeys || !secrets) throw new Error(`A file of ${dir} has just been removed.`)
  return { signingKeys, secrets }
}

async function writeRing(dir: string, ring: Ring): Promise<void> {
  const { signingKeys, secrets } = eachList(ring, inOrder)
  await replaceFile(signingKeysFile(dir), signingKeys)
  await replaceFile(secretsFile(dir), secrets)
}

/** The pepper has no successor: digests that it keyed cannot be made again. */
const eachList = ({ signingKeys, secrets }: Ring, change: <T extends KeyLife>(keys: T[]) => T[]): Ring => ({
  signingKeys: change(signingKeys),
  secrets: { ...secrets, refresh_token: change(secrets.refresh_token), cookie: change(secrets.cookie) },
})

const withNext = async ({ signingKeys, secrets }: Ring, at: string): Promise<Ring> => ({
  signingKeys: [...signingKeys, ...(await newSigningKeys('next', at))],
  secrets: {
    ...secrets,
    refresh_token: [...secrets.refresh_token, newSecretKey('next', at)],
    cookie: [...secrets.cookie, newSecretKey('next', at)],
  },
})

const isNext = ({ state }: KeyLife): boolean => state === 'next'

/** next → current, current → retired. A list without a next key stays as it is, or nothing would sign. */
function activated<T extends KeyLife>(keys: T[], at: string, expiresAt: string): T[] {
  if (!keys.some(isNext)) return keys
  return keys.map((key) => {
    if (isNext(key)) return { ...key, state: 'current', currentAt: at }
    if (key.state === 'retired') return key
    return { ...key, state: 'retired', retiredAt: at, expiresAt }
  })
}
