import { AsyncLocalStorage } from 'node:async_hooks'
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino'
import type { Config } from '../config.ts'
import { CENSORED, SECRET_BINDINGS, withoutSecrets, withoutSecretText } from './redaction.ts'

export type Logger = PinoLogger

/** What belongs to the request being answered; every line written inside `run` carries it. */
export const requestScope = new AsyncLocalStorage<{ requestId: string }>()

export interface LoggerOptions {
  level: Config['logLevel']
  /** Where lines go; standard output when left out. */
  destination?: DestinationStream
}

let latest = { ms: Number.NaN, text: '' }

/** As pino's own, but busy milliseconds have many lines. */
function isoTime(): string {
  const ms = Date.now()
  if (ms !== latest.ms) latest = { ms, text: `,"time":"${new Date(ms).toISOString()}"` }
  return latest.text
}

/** Lines wait at most this long for others to leave with: under load a system call for each would cost more than it. */
const GATHER_MS = 20
const GATHER_LENGTH = 16_384

function standardOutput(): DestinationStream {
  const output = pino.destination({ fd: 1, sync: false })
  let gathered = ''
  let isWaiting = false

  function send(): void {
    isWaiting = false
    if (gathered === '') return
    output.write(gathered)
    gathered = ''
  }
  process.once('exit', () => {
    send()
    output.flushSync()
  })
  return {
    write(line) {
      gathered += line
      if (gathered.length >= GATHER_LENGTH) send()
      else if (!isWaiting) {
        isWaiting = true
        setTimeout(send, GATHER_MS).unref()
      }
    },
  }
}

/**
 * One event, one JSON line: level, ISO time, `req_id` inside a request, fields, message. Fields named like secrets
 * are censored at any depth, and so are tokens and passwords in addresses that slipped into a text (redaction.ts).
 */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: isoTime,
      mixin: () => {
        const scope = requestScope.getStore()
        return scope === undefined ? {} : { req_id: scope.requestId }
      },
      // withoutSecrets has made errors plain already; the stock serializer would mistake them for something else.
      serializers: { err: (err: unknown) => err },
      // Bindings of child loggers do not pass through formatters.
      redact: { paths: SECRET_BINDINGS, censor: CENSORED },
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
      hooks: { streamWrite: withoutSecretText },
    },
    destination ?? standardOutput(),
  )
}
