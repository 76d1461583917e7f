import { Unavailable } from '../errors.ts'

/**
 * The one place that decides which driver errors mean "no answer". They become Unavailable (503): the outcome is then
 * unknown, and neither "not found" nor "refused" may be made of it. Everything else is passed on as it is.
 */

const NETWORK = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT', // a Unix socket that is not there
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
])

/** Classes 08 (connection) and 53 (resources), 57P0x (shutdown), 57014 (statement_timeout), 25006 (a demoted primary). */
const SQLSTATE = /^(08\w{3}|53\w{3}|57P0\d|57014|25006|25P03)$/

/** MOVED, ASK and UNBLOCKED: a cluster that is just being changed. */
const REDIS_REPLY =
  /^(OOM|READONLY|MISCONF|LOADING|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|BUSY|MOVED|ASK|UNBLOCKED)\b/

/** Both drivers throw plain errors for these; the words are all they say. */
const WORDS = [
  'Query read timeout',
  'timeout exceeded when trying to connect',
  'Connection terminated',
  'is not queryable',
  'Cannot use a pool after calling end on the pool',
  'Command timed out',
  'Connection is closed',
  "Stream isn't writeable",
  'Reached the max retries per request limit',
  'Command aborted due to connection close',
  'Too many Cluster redirections',
  "Cluster isn't ready",
  'Cluster is ended',
  'Failed to refresh slots cache',
  'None of startup nodes is available',
  'All sentinels are unreachable',
]

/** Whether a driver's error says that the store did not answer, whatever was asked. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    NETWORK.has(code) ||
    SQLSTATE.test(code) ||
    REDIS_REPLY.test(error.message) ||
    WORDS.some((words) => error.message.includes(words))
  )
}

/** The error to throw on: Unavailable for an outage, the error itself otherwise. */
export function unavailableOr(dependency: string, error: unknown): unknown {
  forgetValues(error)
  return isOutage(error) ? new Unavailable(dependency, error) : error
}

/**
 * Takes out of a driver's error what it repeats of the request: arguments, parameters, the failing row. They hold
 * password hashes and sealed answers, and errors end in logs. `code`, `constraint` and the message stay.
 */
export function forgetValues(error: unknown): void {
  if (!(error instanceof Error)) return
  for (const property of ['command', 'detail', 'params', 'query', 'queryOptions', 'where']) {
    Reflect.deleteProperty(error, property)
  }
}

/** An error in one line without its stack, for the operator at start. Never contains the URL, which holds a password. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
