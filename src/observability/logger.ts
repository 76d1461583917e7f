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

/**
 * One event, one JSON line: level, ISO time, `req_id` inside a request, fields, message. Fields named like secrets
 * are censored at any depth, and so are tokens and passwords in addresses that slipped into a text (redaction.ts).
 */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
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
    // Lines that come while one is being written leave together with the next; what is left is written at the exit.
    destination ?? pino.destination({ fd: 1, sync: false }),
  )
}
