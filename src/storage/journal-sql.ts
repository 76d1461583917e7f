import { sql } from 'kysely'
import type { OpenDatabase } from './database.ts'
import { type Journal, markText } from './journal.ts'
import { lifeMs } from './life.ts'

/** Without Redis: marks lie in the database beside what they were made from, and nobody can follow, only ask. */
export function createSqlJournal({ db }: OpenDatabase): Journal {
  return {
    async write(marks) {
      if (marks.length === 0) return
      // One statement may not touch a row twice, and rivals must take rows in one order.
      const highest = new Map<string, (typeof marks)[number]>()
      for (const mark of marks) if (mark.rank >= (highest.get(mark.key)?.rank ?? 0)) highest.set(mark.key, mark)
      const sorted = [...highest.values()].sort((one, other) => (one.key < other.key ? -1 : 1))
      const rows = sorted.map(
        (mark) =>
          sql`(${mark.key}, ${markText(mark)}, clock_timestamp() + make_interval(secs => ${lifeMs(mark.ttlSeconds) / 1000}))`,
      )
      await sql`
        insert into ephemeral_records as old (key, value, expires_at) values ${sql.join(rows)}
        on conflict (key) do update set value = excluded.value, state = null, expires_at = excluded.expires_at
        where old.expires_at <= clock_timestamp() or ${rankOf('old')} < ${rankOf('excluded')}
      `.execute(db)
    },

    close: () => undefined,
  }
}

/** A mark of another form has none. */
const rankOf = (row: 'old' | 'excluded') =>
  sql`coalesce(substring(${sql.ref(`${row}.value`)} from '^\\S+ \\S+ (\\d+)$')::bigint, 0)`
