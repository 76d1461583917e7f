import { sql } from 'kysely'
import type { OpenDatabase } from './database.ts'

/** What has an end of its own, in `expires_at`. */
const TABLES = [
  'ephemeral_records',
  'ephemeral_families',
  'ephemeral_buckets',
  'ephemeral_members',
  'sign_ins',
  'revocations',
] as const

export interface SweeperOptions {
  intervalMs?: number
  /** Most rows deleted by one statement: a long one would hold its locks and the embedded database's only connection. */
  batch?: number
  /** Other work of the same kind, done once in every round after the sweeping. */
  chores?: readonly (() => Promise<unknown>)[]
  /** Told when a round failed; the next round tries again. */
  onFault?: (error: unknown) => void
}

export interface Sweeper {
  /** Deletes what has expired; answers how many rows. */
  sweep(): Promise<number>
  /** Ends the rounds and waits for the one under way. */
  stop(): Promise<void>
}

/**
 * Deletes expired rows off the request path. Readers do not depend on it: they look at
 * expires_at themselves. Its timer does not keep the process alive.
 */
export function createSweeper(
  { db }: OpenDatabase,
  { intervalMs = 60_000, batch = 500, chores = [], onFault }: SweeperOptions = {},
): Sweeper {
  let isStopped = false
  let round: Promise<unknown> | undefined

  async function goRound(): Promise<void> {
    await sweep()
    for (const chore of chores) if (!isStopped) await chore()
  }

  async function sweep(): Promise<number> {
    let removed = 0
    for (const table of TABLES) {
      let deleted = batch
      while (deleted === batch && !isStopped) {
        deleted = await sweepBatch(table)
        removed += deleted
      }
    }
    return removed
  }

  async function sweepBatch(table: (typeof TABLES)[number]): Promise<number> {
    // Of two servers each takes rows the other has not locked.
    const { rows } = await sql`
      delete from ${sql.table(table)} where ctid in (
        select ctid from ${sql.table(table)} where expires_at <= clock_timestamp() limit ${batch} for update skip locked)
      returning 1
    `.execute(db)
    return rows.length
  }

  const timer = setInterval(() => {
    round ??= goRound()
      .catch((error) => onFault?.(error))
      .finally(() => {
        round = undefined
      })
  }, intervalMs)
  timer.unref()

  return {
    sweep,
    async stop() {
      isStopped = true
      clearInterval(timer)
      await round
    },
  }
}
