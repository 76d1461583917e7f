/**
 * The files of the keys directory and how they are written: 0600, by temporary file and rename, so that a reader sees
 * the old content or the new and never half of it.
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ConfigError } from '../config.ts'
import type { KeyLife, SecretKey, Secrets, SigningKey } from './key-life.ts'

export const signingKeysFile = (dir: string): string => join(dir, 'signing-keys.json')
export const secretsFile = (dir: string): string => join(dir, 'secrets.json')

/** @throws ConfigError when the file is there but cannot be used; undefined when it is not there */
export async function readSigningKeys(dir: string): Promise<SigningKey[] | undefined> {
  const value = await readJson(signingKeysFile(dir))
  if (value === undefined || isListOf(value, isSigningKey)) return value
  throw damaged(signingKeysFile(dir))
}

/** @throws ConfigError when the file is there but cannot be used; undefined when it is not there */
export async function readSecrets(dir: string): Promise<Secrets | undefined> {
  const value = await readJson(secretsFile(dir))
  if (value === undefined || isSecrets(value)) return value
  throw damaged(secretsFile(dir))
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    // Not the message of JSON.parse: it quotes the text, and the text is secret.
    throw error instanceof SyntaxError ? damaged(path) : new ConfigError([`${path} cannot be read (${codeOf(error)})`])
  }
}

const damaged = (path: string): ConfigError =>
  new ConfigError([`${path} is damaged: restore it from a backup, or remove it to begin with new keys`])

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

const isListOf = <T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] =>
  Array.isArray(value) && value.length > 0 && value.every(isItem)

const hasLife = (value: unknown): value is KeyLife =>
  isObject(value) &&
  typeof value.kid === 'string' &&
  (value.state === 'next' || value.state === 'current' || value.state === 'retired') &&
  typeof value.createdAt === 'string'

const isSigningKey = (value: unknown): value is SigningKey =>
  hasLife(value) &&
  'alg' in value &&
  (value.alg === 'ES256' || value.alg === 'RS256') &&
  'jwk' in value &&
  isObject(value.jwk) &&
  typeof value.jwk.d === 'string'

const isSecretKey = (value: unknown): value is SecretKey =>
  hasLife(value) && 'secret' in value && isStrong(value.secret)

/** 256 bits are 43 characters of base64url. */
const isStrong = (value: unknown): boolean => typeof value === 'string' && value.length >= 43

const isSecrets = (value: unknown): value is Secrets =>
  isObject(value) &&
  isListOf(value.refresh_token, isSecretKey) &&
  isListOf(value.cookie, isSecretKey) &&
  isStrong(value.pepper)

/** Puts the content where nothing is yet. Of several processes that start at once, one wins and all read its file. */
export async function createFile(path: string, content: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = await writeTemporary(path, content)
  try {
    await link(temporary, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await unlink(temporary)
  }
}

export async function replaceFile(path: string, content: unknown): Promise<void> {
  await rename(await writeTemporary(path, content), path)
}

async function writeTemporary(path: string, content: unknown): Promise<string> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(6).toString('hex')}`)
  await writeFile(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true })
  return temporary
}

/** A sentence when others than the owner can read the file. Windows has no such modes. */
export async function modeFault(path: string): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined
  const mode = (await stat(path)).mode & 0o777
  if ((mode & 0o077) === 0) return undefined
  return `${path} can be read by other users (mode 0${mode.toString(8)}): run chmod 600 ${path}`
}

/** Two rotations at once would lose each other's keys. */
export async function exclusively<T>(lockPath: string, work: () => Promise<T>): Promise<T> {
  try {
    await (await open(lockPath, 'wx', 0o600)).close()
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    throw new Error(`Another rotation is at work. If there is none, remove ${lockPath}.`, { cause: error })
  }
  try {
    return await work()
  } finally {
    await unlink(lockPath)
  }
}
