import type { LogEvent } from 'kysely'
import type { Database } from './tables.ts'
import { forgetValues } from './unavailable.ts'

/** An open durable store: PostgreSQL over the network, or PGlite in this process. */
export interface OpenDatabase {
  readonly db: Database
  readonly kind: 'postgres' | 'pglite'
  /** As the server itself says it, such as "PostgreSQL 15.18". */
  readonly version: string
  /** Answers when the database answers; throws Unavailable otherwise. */
  check(): Promise<void>
  /** Runs work on a connection of its own whose statements may take minutes: migrations and nothing else. */
  withoutDeadline<T>(work: (db: Database) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface OpenDatabaseOptions {
  /** Told every statement sent, also begin and commit on PostgreSQL. For counting round trips and for looking at plans. */
  onQuery?: (sql: string, parameters: readonly unknown[]) => void
}

/** Kysely's log: it sees every statement after it ran, and every error before the caller does. */
export const observing = (onQuery: OpenDatabaseOptions['onQuery']) => (event: LogEvent) => {
  onQuery?.(event.query.sql, event.query.parameters)
  if (event.level === 'error') forgetValues(event.error)
}

/** "PostgreSQL 15.18 (Debian …) on x86_64 …" → "PostgreSQL 15.18". */
export const shortVersion = (version: string): string => /^PostgreSQL [\w.]+/.exec(version)?.[0] ?? version
