/**
 * What must never reach a log, whoever logs it: credentials, codes, tokens, cookies. Censored by the name of the field
 * at any depth, and by shape inside texts, because an error message of a library may quote a whole URL or token.
 */
export const CENSORED = '[redacted]'

/** Compared with the field name in lower case without `-` and `_`. */
const SECRET_FIELD =
  /^(proxy)?authorization$|^(user|device|reset)?code$|cookie|passw|secret|pepper|token(hint)?$|verifier|assertion|[xc]srf|dpop|(api|private)key|jwks?$/

/** The plain names once more, for pino's own redaction of child loggers. */
export const SECRET_BINDINGS = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'code',
  'code_verifier',
  'client_secret',
]

// Every repetition that could start anywhere is bounded: a hostile text must not make logging slow.
const SECRET_TEXTS: readonly [shape: RegExp, replacement: string][] = [
  // user:password@ of a store's address
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/"'@:]{0,200}:[^\s/"'@]{0,400}@/gi, `$1${CENSORED}@`],
  // anything in the compact form of JWS or JWE (RFC 7515 section 7.1)
  [/\beyJ[\w-]{5,2000}(?:\.[\w-]*){2,4}/g, CENSORED],
  [
    /([?&;](?:code|state|password|[a-z_]*token(?:_hint)?|client_secret|code_verifier|client_assertion)=)[^\s&"']+/gi,
    `$1${CENSORED}`,
  ],
  [/\b((?:Basic|Bearer|DPoP)\s+)[\w.~+/=-]{8,}/g, `$1${CENSORED}`],
]

/** JSON leaves these two raw, and some log readers break lines at them. */
const LINE_SEPARATORS = /[\u2028\u2029]/g

const MAX_DEPTH = 6
const MAX_ENTRIES = 100
const MAX_TEXT = 8192

/** Names of fields are few and come from our own code; bounded all the same. */
const knownFields = new Map<string, boolean>()
const MAX_KNOWN_FIELDS = 1_000

function isSecretField(name: string): boolean {
  const known = knownFields.get(name)
  if (known !== undefined) return known
  const isSecret = SECRET_FIELD.test(name.toLowerCase().replaceAll(/[-_]/g, ''))
  if (knownFields.size < MAX_KNOWN_FIELDS) knownFields.set(name, isSecret)
  return isSecret
}

/** A copy of the fields of a log line with every secret one censored; errors become plain objects. */
export function withoutSecrets(fields: object): Record<string, unknown> {
  return copyFields(fields, 0)
}

/** What every shape above, and a line separator, has at least one of: most lines have none and stay as they are. */
const SUSPECT = /@|eyJ|[?&;]|\b(?:Basic|Bearer|DPoP)\s|[\u2028\u2029]/i

/** Censors secrets by their shape in a finished line and keeps the line one line. */
export function withoutSecretText(line: string): string {
  if (!SUSPECT.test(line)) return line
  let clean = line
  for (const [shape, replacement] of SECRET_TEXTS) clean = clean.replace(shape, replacement)
  return clean.replace(LINE_SEPARATORS, (separator) => (separator === '\u2028' ? '\\u2028' : '\\u2029'))
}

function copyFields(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).slice(0, MAX_ENTRIES)
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      isSecretField(name) && value !== undefined ? CENSORED : copy(value, depth + 1),
    ]),
  )
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'string') return cut(value)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth > MAX_DEPTH) return '[deep]'
  if (value instanceof Error) return copyError(value, depth)
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((item) => copy(item, depth + 1))
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  return copyFields(value, depth)
}

/** The named parts only: drivers hang queries with their parameters on an error. */
function copyError(error: Error & { code?: unknown; detail?: unknown }, depth: number): Record<string, unknown> {
  return {
    type: error.name,
    message: cut(error.message),
    code: error.code,
    detail: error.detail,
    stack: error.stack === undefined ? undefined : cut(error.stack),
    ...(error.cause === undefined ? {} : { cause: copy(error.cause, depth + 1) }),
  }
}

const cut = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text)
