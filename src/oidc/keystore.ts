/**
 * The key ring of the server: ES256 and RS256 keys that sign tokens, and the secrets that sign cookies and refresh
 * tokens or key digests. Keys are published before they sign and verify until the last token they signed has expired.
 */
import { createHash } from 'node:crypto'
import { unwatchFile, watchFile } from 'node:fs'
import type { JWK } from 'jose'
import { type Clock, systemClock } from '../clock.ts'
import { ConfigError } from '../config.ts'
import { createFile, modeFault, readSecrets, readSigningKeys, secretsFile, signingKeysFile } from './key-files.ts'
import {
  alive,
  inOrder,
  instant,
  type KeyLife,
  newSecrets,
  newSigningKeys,
  type Secrets,
  type SigningAlg,
  type SigningKey,
} from './key-life.ts'

export interface Keyring {
  /** The private keys in the engine's order, where the first that fits an algorithm signs: current, next, retired. */
  engineJwks(): { keys: JWK[] }
  /** What /.well-known/jwks.json shows: the same keys without a private member. */
  publicJwks(): { keys: JWK[] }
  /** The first signs, all verify. */
  readonly cookieKeys: readonly string[]
  /** The first signs, all verify. */
  readonly refreshTokenKeys: readonly { kid: string; secret: Buffer }[]
  /** Keys the digests of client secrets and one-time codes. */
  readonly pepper: string
  /** The signing keys were made by this call. */
  readonly isNew: boolean
  readonly warnings: readonly string[]
}

export interface KeyringOptions {
  dir: string
  production: boolean
  /** Whether missing keys are made. Default: outside production. */
  create?: boolean
  /** Secrets given as settings take the place of those in the directory. */
  secrets?: { cookieSecret?: string | undefined; refreshTokenSecret?: string | undefined; pepper?: string | undefined }
  clock?: Clock
}

/** @throws ConfigError when keys are missing and may not be made, are damaged, or in production readable by others */
export async function openKeyring(options: KeyringOptions): Promise<Keyring> {
  const { dir, production, create = !production, secrets: given = {}, clock = systemClock } = options
  const needsSecrets = !given.cookieSecret || !given.refreshTokenSecret || !given.pepper
  const before = await Promise.all([readSigningKeys(dir), readSecrets(dir)])
  if (create) await createMissing(dir, clock)
  const [signingKeys, secrets] = create ? await Promise.all([readSigningKeys(dir), readSecrets(dir)]) : before
  if (!signingKeys) throw missing(signingKeysFile(dir))
  if (!secrets && needsSecrets) throw missing(secretsFile(dir))

  const warnings = await modeFaults(dir, secrets !== undefined)
  if (production && warnings.length > 0) throw new ConfigError(warnings)
  return Object.freeze({
    engineJwks: () => ({ keys: inOrder(alive(signingKeys, clock)).map(privateJwk) }),
    publicJwks: () => ({ keys: inOrder(alive(signingKeys, clock)).map(publicJwk) }),
    cookieKeys: given.cookieSecret
      ? [given.cookieSecret]
      : inOrder(alive(secrets?.cookie ?? [], clock)).map(({ secret }) => secret),
    refreshTokenKeys: given.refreshTokenSecret
      ? [{ kid: kidOf(given.refreshTokenSecret), secret: Buffer.from(given.refreshTokenSecret) }]
      : inOrder(alive(secrets?.refresh_token ?? [], clock)).map(({ kid, secret }) => ({
          kid,
          secret: Buffer.from(secret, 'base64url'),
        })),
    pepper: given.pepper ?? secrets?.pepper ?? '',
    isNew: before[0] === undefined,
    warnings,
  })
}

const missing = (path: string): ConfigError =>
  new ConfigError([`${path} is missing: run "usher keys rotate" once to create the keys, or restore it from a backup`])

/** Makes what is not there yet; answers whether anything was missing. */
export async function createMissing(dir: string, clock: Clock): Promise<boolean> {
  const at = instant(clock.now())
  const [signingKeys, secrets] = await Promise.all([readSigningKeys(dir), readSecrets(dir)])
  if (!secrets) await createFile(secretsFile(dir), newSecrets(at))
  if (!signingKeys) await createFile(signingKeysFile(dir), await newSigningKeys('current', at))
  return !signingKeys || !secrets
}

async function modeFaults(dir: string, hasSecrets: boolean): Promise<string[]> {
  const paths = hasSecrets ? [signingKeysFile(dir), secretsFile(dir)] : [signingKeysFile(dir)]
  const faults = await Promise.all(paths.map(modeFault))
  return faults.filter((fault) => fault !== undefined)
}

const privateJwk = ({ jwk, kid, alg }: SigningKey): JWK => ({ ...jwk, kid, alg, use: 'sig' })

/** Lists what is public instead of removing what is private: a member nobody thought of stays inside. */
function publicJwk({ jwk: { kty, crv, x, y, n, e }, kid, alg }: SigningKey): JWK {
  const members = Object.entries({ kty, kid, alg, use: 'sig', crv, x, y, n, e })
  return Object.fromEntries(members.filter(([, value]) => value !== undefined))
}

/** Every process that has the same secret finds the same name for it. */
const kidOf = (secret: string): string =>
  createHash('sha256').update(`usher kid\n${secret}`).digest('base64url').slice(0, 12)

export interface KeySummary extends KeyLife {
  use: 'tokens' | 'refresh tokens' | 'cookies'
  alg: SigningAlg | 'HS256'
}

/** Every key without its secret part, the active ones first. Empty when there are none yet. */
export async function listKeys(dir: string): Promise<KeySummary[]> {
  const [signingKeys = [], secrets] = await Promise.all([readSigningKeys(dir), readSecrets(dir)])
  return [
    ...inOrder(signingKeys).map(({ jwk: _, ...life }) => ({ ...life, use: 'tokens' as const })),
    ...summaries(secrets?.refresh_token ?? [], 'refresh tokens'),
    ...summaries(secrets?.cookie ?? [], 'cookies'),
  ]
}

const summaries = (keys: Secrets['cookie'], use: KeySummary['use']): KeySummary[] =>
  inOrder(keys).map(({ secret: _, ...life }) => ({ ...life, alg: 'HS256', use }))

/**
 * Calls onChange after a file of the directory was replaced, by polling, which also works on network and container
 * mounts. Does not keep the process alive.
 * @returns stops the watch
 */
export function watchKeyring(dir: string, onChange: () => void, { intervalMs = 3000 } = {}): () => void {
  const paths = [signingKeysFile(dir), secretsFile(dir)]
  for (const path of paths) watchFile(path, { interval: intervalMs, persistent: false }, onChange)
  return () => {
    for (const path of paths) unwatchFile(path, onChange)
  }
}
