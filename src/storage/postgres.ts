import { setTimeout as sleep } from 'node:timers/promises'
import {
  Kysely,
  type PostgresCursor,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  type PostgresQueryResult,
  sql,
} from 'kysely'
import pg from 'pg'
import { Unavailable } from '../errors.ts'
import { type OpenDatabase, type OpenDatabaseOptions, observing, shortVersion } from './database.ts'
import type { Database, Tables } from './tables.ts'
import { refuseOuterQueries } from './transaction.ts'
import { isOutage, reasonOf, unavailableOr } from './unavailable.ts'

const ACQUIRE_MS = 1_000
const STATEMENT_MS = 2_000
/** Slightly above the server's own deadline: it strikes only when the server is no longer there to keep it. */
const ANSWER_MS = 2_300
const MIGRATION_MS = 10 * 60_000

export interface OpenPostgresOptions extends OpenDatabaseOptions {
  /** Most connections held at once. */
  poolSize?: number
  /** How long to keep asking a server that is not up yet. */
  readyMs?: number
}

/**
 * Opens PostgreSQL and waits, bounded, until it answers.
 * @throws Unavailable with host and reason in `detail` when it does not.
 */
export async function openPostgres(url: string, options: OpenPostgresOptions = {}): Promise<OpenDatabase> {
  const db = connect(url, options)
  const version = await waitForVersion(db, nameOf(url), options.readyMs ?? 5_000).catch(async (error) => {
    await db.destroy()
    throw error
  })
  return {
    db,
    kind: 'postgres',
    version: shortVersion(version),
    check: async () => void (await sql`select 1`.execute(db)),
    withoutDeadline: async (work) => {
      const patient = connect(url, {
        ...options,
        poolSize: 1,
        statementMs: MIGRATION_MS,
        answerMs: MIGRATION_MS + 1_000,
      })
      try {
        return await work(patient)
      } finally {
        await patient.destroy()
      }
    },
    close: () => db.destroy(),
  }
}

function connect(
  url: string,
  { poolSize = 20, statementMs = STATEMENT_MS, answerMs = ANSWER_MS, onQuery }: OpenPostgresOptions & Deadlines,
): Database {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'usher',
    max: poolSize,
    connectionTimeoutMillis: ACQUIRE_MS,
    statement_timeout: statementMs,
    query_timeout: answerMs,
    // A paused process must not keep its row locks for ever.
    idle_in_transaction_session_timeout: 10_000,
  })
  // A connection that breaks between two queries reports it as an event; unheard, the event would end the process.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: bounded(pool) }),
    plugins: [refuseOuterQueries],
    log: observing(onQuery),
  })
}

interface Deadlines {
  statementMs?: number
  answerMs?: number
}

/** The pool as Kysely uses it, its errors mapped, and clients that did not answer destroyed instead of reused. */
function bounded(pool: pg.Pool): PostgresPool {
  return {
    options: pool.options,
    connect: async () => {
      try {
        return lease(await pool.connect())
      } catch (error) {
        throw unavailableOr('PostgreSQL', error)
      }
    },
    end: () => pool.end(),
  }
}

function lease(client: pg.PoolClient): PostgresPoolClient {
  let fault: unknown
  const ask = async (text: string, parameters: readonly unknown[]) => {
    // The roll-back after a lost answer would only wait out a second deadline on the same dead connection.
    if (fault !== undefined) throw fault
    try {
      return await client.query(text, [...parameters])
    } catch (error) {
      const mapped = unavailableOr('PostgreSQL', error)
      if (isConnectionLost(error)) fault = mapped
      throw mapped
    }
  }
  function query<R>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  function query(text: unknown, parameters: readonly unknown[] = []): unknown {
    if (typeof text !== 'string') throw new Error('Rows are not streamed here: a stream has no deadline.')
    return ask(text, parameters)
  }
  return { query, release: () => client.release(fault !== undefined) }
}

/** After a statement the server itself cancelled (57014) the connection is still good; after anything else it is not. */
const isConnectionLost = (error: unknown): boolean =>
  isOutage(error) && !(error instanceof Error && 'code' in error && error.code === '57014')

/** What the log and the operator may see of the URL: everything but the password. */
function nameOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `PostgreSQL at ${host}${pathname}`
}

async function waitForVersion(db: Database, name: string, readyMs: number): Promise<string> {
  const deadline = performance.now() + readyMs
  for (;;) {
    try {
      const { rows } = await sql<{ version: string }>`select version()`.execute(db)
      return rows[0]?.version ?? ''
    } catch (error) {
      const cause = error instanceof Unavailable ? error.cause : error
      // A server that is starting or not there yet may come; a refused password stays refused.
      if (!isOutage(cause) || performance.now() > deadline) {
        throw new Unavailable(`${name} (${reasonOf(cause)})`, cause)
      }
      await sleep(100)
    }
  }
}
