/** How a command ends when it fails: one clear line on the error output and an exit code that scripts can tell apart. */
import { CommanderError } from 'commander'

/** The command line itself is wrong. */
export class UsageError extends Error {
  readonly exitCode = 2
}

interface Told {
  /** 2 usage, 78 configuration, 1 otherwise, 0 when nothing failed. */
  exitCode: number
  lines: string[]
}

/** Knows no class of the rooms, so that reporting a failure loads nothing. */
export function tell(error: unknown, { withStack = false } = {}): Told {
  // Commander has already written what was wrong, or the help that was asked for.
  if (error instanceof CommanderError) return { exitCode: error.exitCode === 0 ? 0 : 2, lines: [] }
  if (!(error instanceof Error)) return { exitCode: 1, lines: [String(error)] }
  const lines = [...linesOf(error), ...(withStack && error.stack ? [error.stack] : [])]
  return { exitCode: 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : 1, lines }
}

function linesOf(error: Error): string[] {
  const faults = 'faults' in error && Array.isArray(error.faults) ? error.faults : []
  // What stands in the way is said by the sentence; where in a body it was met concerns callers of the API.
  const isInTheWay = 'code' in error && error.code === 'conflict'
  if (faults.length > 0 && !isInTheWay) return faults.map(faultLine)
  // The detail is for the operator, who is the one that reads here.
  const detail = 'detail' in error && typeof error.detail === 'string' ? error.detail : undefined
  return (detail ?? whereRefused(error) ?? (error.message || reasonOf(error))).trim().split('\n')
}

/** What the operating system refuses is named by its call alone, which tells nobody what to do. */
function whereRefused(error: Error): string | undefined {
  if (!('code' in error && 'path' in error)) return undefined
  const reason = REFUSALS[String(error.code)]
  if (reason === undefined) return undefined
  return `${String(error.path)}: ${reason}. Make it writable, or choose other folders with USHER_DATA_DIR and USHER_KEYS_DIR`
}

const REFUSALS: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
}

const faultLine = (fault: unknown): string =>
  typeof fault === 'object' && fault !== null && 'pointer' in fault && 'message' in fault
    ? `${String(fault.pointer)}: ${String(fault.message)}`
    : String(fault)

/** An AggregateError, as of a refused connection, has no message of its own. */
const reasonOf = (error: Error): string =>
  'code' in error && typeof error.code === 'string' ? error.code : error.constructor.name
