/**
 * The settings of one process. config/schema.json describes each once; loadConfig reads USHER_* variables and *_FILE
 * secrets against it and reports every fault together. Nothing else of the server reads the environment.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import schema from '../config/schema.json' with { type: 'json' }

/** The checked, frozen settings of one process. */
export interface Config {
  readonly production: boolean
  /** Whether this is a run of the tests, which check what the server answers against its own declarations. */
  readonly underTest: boolean
  readonly host: string
  readonly port: number
  /** The issuer identifier: no path, no trailing slash. Every URL the server writes starts with it. */
  readonly issuer: string
  /** The issuer was not set and follows the port; see boundTo. */
  readonly issuerFollowsPort: boolean
  readonly dataDir: string
  readonly keysDir: string
  /** Undefined: PGlite in the data directory. */
  readonly databaseUrl: string | undefined
  /** Undefined: the SQL implementation over the same database. */
  readonly redisUrl: string | undefined
  /** Undefined: mail into a folder of the data directory. */
  readonly smtpUrl: string | undefined
  /** The From header of every mail. */
  readonly mailFrom: string
  readonly allowEmbedded: boolean
  /** Number of reverse proxies whose X-Forwarded-* headers are believed. */
  readonly trustedProxies: number
  readonly accessTokenTtlSeconds: number
  readonly refreshTokenTtlSeconds: number
  /** Most bytes of permissions in an access token. */
  readonly permissionsClaimBytes: number
  readonly signInsPerMinutePerAddress: number
  readonly codesPerHourPerAddress: number
  readonly registration: RegistrationMode
  /** Undefined: audit events are kept for ever. */
  readonly auditRetentionDays: number | undefined
  readonly logLevel: LogLevel
  /** Secrets given as settings; those left out come from the keys directory. */
  readonly cookieSecret: string | undefined
  readonly refreshTokenSecret: string | undefined
  readonly pepper: string | undefined
  /** Whether the pages that show the API are served. */
  readonly docs: boolean
  /** Run migrations at start also on an external database. */
  readonly autoMigrate: boolean
  readonly redisPrefix: string
  /** What is odd but no fault, one sentence each, for the log at start. */
  readonly warnings: readonly string[]
}

export type RegistrationMode = 'verified' | 'open' | 'closed'
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** How one setting is described in config/schema.json. */
export interface Setting {
  type: string
  description: string
  shape: string
  default?: string | number | boolean
  secret?: boolean
  unset?: string
  production?: string
}

export type Environment = Readonly<Record<string, string | undefined>>
type Value = string | number | boolean

export const settings: Readonly<Record<string, Setting>> = schema.properties

/** The environment of the process, for those few who look up a variable that the operator has named. */
export const environment: Environment = process.env

/** The settings do not allow a start. One sentence per fault; never the value of a secret. */
export class ConfigError extends Error {
  /** EX_CONFIG of sysexits. */
  readonly exitCode = 78
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** What the environment says, before the rules that look at several settings at once. */
export interface Reading {
  values: Map<string, Value>
  sources: Map<string, 'default' | 'environment' | 'file'>
  faults: string[]
  warnings: string[]
}

/**
 * Reads and checks all settings. An empty variable counts as unset. Relative folders are taken from `cwd`.
 * @throws ConfigError with every fault at once
 */
export function loadConfig(env: Environment = environment, cwd: string = process.cwd()): Config {
  const reading = readSettings(env, cwd)
  const production = env.NODE_ENV === 'production'
  if (production) reading.faults.push(...productionFaults(reading))
  if (reading.faults.length > 0) throw new ConfigError(reading.faults)

  const { text, optionalText, number, optionalNumber, flag } = typed(reading.values)
  const port = number('USHER_PORT')
  const issuer = optionalText('USHER_ISSUER')
  return Object.freeze({
    production,
    underTest: env.NODE_ENV === 'test',
    host: text('USHER_HOST'),
    port,
    issuer: issuer === undefined ? localIssuer(port) : new URL(issuer).origin,
    issuerFollowsPort: issuer === undefined,
    dataDir: resolve(cwd, text('USHER_DATA_DIR')),
    keysDir: resolve(cwd, text('USHER_KEYS_DIR')),
    databaseUrl: optionalText('USHER_DATABASE_URL'),
    redisUrl: optionalText('USHER_REDIS_URL'),
    smtpUrl: optionalText('USHER_SMTP_URL'),
    mailFrom: optionalText('USHER_MAIL_FROM') ?? `Usher <no-reply@${mailHost(issuer)}>`,
    allowEmbedded: flag('USHER_ALLOW_EMBEDDED'),
    trustedProxies: number('USHER_TRUSTED_PROXIES'),
    accessTokenTtlSeconds: number('USHER_ACCESS_TOKEN_TTL'),
    refreshTokenTtlSeconds: number('USHER_REFRESH_TOKEN_TTL'),
    permissionsClaimBytes: number('USHER_PERMISSIONS_CLAIM_BYTES'),
    signInsPerMinutePerAddress: number('USHER_SIGN_INS_PER_MINUTE'),
    codesPerHourPerAddress: number('USHER_CODES_PER_HOUR'),
    registration: REGISTRATION_MODES.find((mode) => mode === text('USHER_REGISTRATION')) ?? 'verified',
    auditRetentionDays: optionalNumber('USHER_AUDIT_RETENTION_DAYS'),
    logLevel: LOG_LEVELS.find((level) => level === text('USHER_LOG_LEVEL')) ?? 'info',
    cookieSecret: optionalText('USHER_COOKIE_SECRET'),
    refreshTokenSecret: optionalText('USHER_REFRESH_TOKEN_SECRET'),
    pepper: optionalText('USHER_PEPPER'),
    docs: flag('USHER_DOCS'),
    autoMigrate: flag('USHER_AUTO_MIGRATE'),
    redisPrefix: text('USHER_REDIS_PREFIX'),
    warnings: Object.freeze(reading.warnings),
  })
}

const REGISTRATION_MODES: readonly RegistrationMode[] = ['verified', 'open', 'closed']
const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

const localIssuer = (port: number): string => new URL(`http://localhost:${port}`).origin

/** An address has no place for a port, and one for an IP address only in brackets that few servers take. */
function mailHost(issuer: string | undefined): string {
  const { hostname } = new URL(issuer ?? 'http://localhost')
  return /^[\d.]+$|^\[/.test(hostname) ? 'localhost' : hostname
}

/** The same settings once the listener knows its port: with USHER_PORT=0 the default issuer is known only then. */
export function boundTo(config: Config, port: number): Config {
  return Object.freeze({ ...config, port, issuer: config.issuerFollowsPort ? localIssuer(port) : config.issuer })
}

/** Collects the values with their sources, and the faults of single settings. Throws nothing. */
export function readSettings(env: Environment, cwd: string): Reading {
  const reading: Reading = { values: new Map(), sources: new Map(), faults: [], warnings: unknownVariables(env) }
  for (const [name, setting] of Object.entries(settings)) {
    const given = readText(name, setting, env, cwd, reading)
    if (given !== undefined) accept(name, setting, given, reading)
    else if (setting.default !== undefined && !reading.sources.has(name)) {
      reading.values.set(name, setting.default)
      reading.sources.set(name, 'default')
    }
  }
  return reading
}

function readText(name: string, setting: Setting, env: Environment, cwd: string, reading: Reading): string | undefined {
  const text = env[name] || undefined
  const path = setting.secret ? env[`${name}_FILE`] || undefined : undefined
  if (text !== undefined) reading.sources.set(name, 'environment')
  if (path === undefined) return text
  reading.sources.set(name, 'file')
  if (text !== undefined) {
    reading.faults.push(`${name} and ${name}_FILE are both set: keep one`)
    return undefined
  }
  try {
    const content = readFileSync(resolve(cwd, path), 'utf8').trim()
    if (content === '') reading.faults.push(`${name}_FILE names an empty file`)
    return content || undefined
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    reading.faults.push(`${name}_FILE cannot be read (${reason}): ${path}`)
    return undefined
  }
}

function accept(name: string, setting: Setting, text: string, reading: Reading): void {
  const value = parse(setting.type, text)
  if (value !== undefined && obeysSchema({ [name]: value }) && (name !== 'USHER_ISSUER' || isIssuer(text))) {
    reading.values.set(name, value)
    return
  }
  const shown = setting.secret ? '' : `, not ${JSON.stringify(text)}`
  reading.faults.push(`${name} must be ${setting.shape}${shown}`)
}

// That the schema is one is a matter of the tests, not of each start. Formats of other drafts are not used; the extra members are documentation for people and for the rules below.
const ajv = new Ajv2020({ allErrors: true, validateSchema: false })
ajv.addVocabulary(['secret', 'shape', 'unset', 'production'])
const obeysSchema = ajv.compile(schema)

const FLAGS: Readonly<Record<string, boolean>> = { 1: true, true: true, yes: true, 0: false, false: false, no: false }

/** Undefined when the text cannot be a value of the type. */
function parse(type: string, text: string): Value | undefined {
  if (type === 'boolean') return FLAGS[text.toLowerCase()]
  if (type === 'integer') return /^\d{1,15}$/.test(text) ? Number(text) : undefined
  return text
}

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** RFC 8414 section 2: a URL that uses https and has no query or fragment. Ours has no path either. */
function isIssuer(text: string): boolean {
  const url = URL.parse(text)
  if (!url || url.username || url.password || /[?#]/.test(text) || url.pathname !== '/') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname))
}

const PRODUCTION_RULES: Readonly<
  Record<string, (value: Value | undefined, allowEmbedded: boolean) => string | undefined>
> = {
  store: (value, allowEmbedded) =>
    value === undefined && !allowEmbedded
      ? 'must be set in production (or allow it with USHER_ALLOW_EMBEDDED=1)'
      : undefined,
  https: (value) => (String(value).startsWith('https:') ? undefined : 'must be an https:// address in production'),
  secret: (value) =>
    value !== undefined && isSampleSecret(String(value))
      ? 'is a sample or guessable value: production needs a random one'
      : undefined,
}

function productionFaults({ values, sources }: Reading): string[] {
  const allowEmbedded = values.get('USHER_ALLOW_EMBEDDED') === true
  return Object.entries(settings).flatMap(([name, setting]) => {
    if (sources.has(name) && !values.has(name)) return [] // given, and already found faulty
    const fault = PRODUCTION_RULES[setting.production ?? '']?.(values.get(name), allowEmbedded)
    return fault === undefined ? [] : [`${name} ${fault}`]
  })
}

const SAMPLE = /change.?me|example|sample|secret|password|default|insecure|development|012345|abcdef/i

/** 256 random bits in any usual encoding have more than ten different characters and spell none of these words. */
const isSampleSecret = (secret: string): boolean => SAMPLE.test(secret) || new Set(secret).size < 10

function unknownVariables(env: Environment): string[] {
  const known = Object.entries(settings).flatMap(([name, { secret }]) => (secret ? [name, `${name}_FILE`] : [name]))
  return Object.keys(env)
    .filter((name) => name.startsWith('USHER_') && !known.includes(name))
    .map((name) => `${name} is no setting of this server; did you mean ${nearest(name, known)}?`)
}

const nearest = (name: string, known: readonly string[]): string =>
  known.reduce((best, next) => (distance(name, next) < distance(name, best) ? next : best), known[0] ?? '')

/** Edits (insert, remove, replace) between two words, after Levenshtein. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [line, letter] of [...a].entries()) {
    const row = [line + 1]
    for (const [column, other] of [...b].entries()) {
      const replace = (above[column] ?? 0) + (letter === other ? 0 : 1)
      row.push(Math.min(replace, (above[column + 1] ?? 0) + 1, (row[column] ?? 0) + 1))
    }
    above = row
  }
  return above[b.length] ?? 0
}

/** Typed access to values that the schema has checked. */
function typed(values: ReadonlyMap<string, Value>) {
  const wrong = (name: string): never => {
    throw new TypeError(`config/schema.json and src/config.ts disagree about ${name}`)
  }
  const optionalText = (name: string): string | undefined => {
    const value = values.get(name)
    return value === undefined || typeof value === 'string' ? value : wrong(name)
  }
  const optionalNumber = (name: string): number | undefined => {
    const value = values.get(name)
    return value === undefined || typeof value === 'number' ? value : wrong(name)
  }
  return {
    optionalText,
    optionalNumber,
    text: (name: string): string => optionalText(name) ?? wrong(name),
    number: (name: string): number => optionalNumber(name) ?? wrong(name),
    flag: (name: string): boolean => {
      const value = values.get(name)
      return typeof value === 'boolean' ? value : wrong(name)
    },
  }
}
