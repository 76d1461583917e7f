/** The durable floor: what has been revoked, one row each, never lowered. */
import { type RawBuilder, sql } from 'kysely'
import type { Executor } from '../storage/tables.ts'
import type { RevocationKind, Revoked } from './revocation-entry.ts'

export interface Wish {
  kind: RevocationKind
  id: string
  /** Of accounts and clients. The database's own clock counts where it is ahead. */
  notBeforeMs?: number | undefined
  /** The session to spare, and when it was signed in. Refused when that session is below the floor itself. */
  sparing?: { sessionId: string; signedInAtMs: number } | undefined
  tokensLiveSeconds: number
  liveSeconds: number
}

/** A place among the rows, in the order of the transactions that wrote them. */
export interface Place {
  txid: string
  seq: number
}

export type RevocationFloorStore = ReturnType<typeof createRevocationFloorStore>

const msOf = (instant: RawBuilder<unknown>) => sql`floor(extract(epoch from ${instant}) * 1000)`
const highestFloor = sql`coalesce((select max(not_before_ms) from revocations where not_before_ms is not null), 0)`
const inSeconds = (seconds: number) => sql`clock_timestamp() + make_interval(secs => ${seconds}::float8)`
const nowMs = msOf(sql`clock_timestamp()`)
const COLUMNS = sql`kind, id, not_before_ms::float8 as "notBeforeMs", except_session as except, seq::float8 as seq,
  ${msOf(sql`created_at`)}::float8 as "writtenAtMs", ${msOf(sql`tokens_expire_at`)}::float8 as "tokensExpireAtMs",
  ${msOf(sql`expires_at`)}::float8 as "expiresAtMs"`

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createRevocationFloorStore() {
  return {
    /**
     * Writes wishes about different things in one statement, and answers those that are in force as wished. One that
     * spares a session which is itself below the floor is refused, and missing from the answer.
     */
    async raise(executor: Executor, wishes: readonly Wish[]): Promise<Revoked[]> {
      // Rivals must take rows in one order, or they could wait for each other.
      const sorted = wishes.toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))
      const { rows } = await sql<Row>`
        with wishes (kind, id, not_before_ms, except_session, spared_since, tokens_expire_at, expires_at) as (
          values ${sql.join(sorted.map(valuesOf))})
        insert into revocations as old (kind, id, not_before_ms, except_session, tokens_expire_at, expires_at)
        select kind, id, not_before_ms, except_session, tokens_expire_at, expires_at from wishes
        on conflict (kind, id) do update set
          not_before_ms = greatest(old.not_before_ms, excluded.not_before_ms),
          except_session = excluded.except_session,
          seq = nextval('revocations_seq'),
          txid = pg_current_xact_id(),
          created_at = clock_timestamp(),
          tokens_expire_at = greatest(old.tokens_expire_at, excluded.tokens_expire_at),
          expires_at = greatest(old.expires_at, excluded.expires_at)
        where not exists (
          select from wishes where wishes.kind = old.kind and wishes.id = old.id
            and wishes.spared_since <= old.not_before_ms and old.except_session is distinct from wishes.except_session)
        returning ${COLUMNS}
      `.execute(executor)
      return rows.map(revokedOf)
    },

    /**
     * Of what kills access tokens, or with `all` anything: the rows behind a place, in order, and where the next reader
     * begins. Every transaction before that has ended, so whatever it wrote is among what was read; what a later one wrote
     * may be read twice.
     */
    async pageBehind(
      executor: Executor,
      { txid, seq }: Place,
      limit: number,
      { all = false } = {},
    ): Promise<{ revoked: Revoked[]; last: Place | undefined; horizon: string; isAhead: boolean; nowMs: number }> {
      const { rows } = await sql<Row & { txid: string; horizon: string; is_ahead: boolean; now_ms: number }>`
        select horizon::text, ahead as is_ahead, ${nowMs}::float8 as now_ms, page.* from (
          select pg_snapshot_xmin(pg_current_snapshot()) as horizon,
            ${txid}::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as ahead) now
        left join lateral (
          select ${COLUMNS}, txid::text as txid from revocations
          where (txid, seq) > (${txid}::xid8, ${seq}::bigint) and ${all ? sql`expires_at` : sql`tokens_expire_at`} > clock_timestamp()
          order by revocations.txid, revocations.seq limit ${limit}) page on true
      `.execute(executor)
      const found = rows.filter(({ kind }) => kind !== null)
      const last = found.at(-1)
      return {
        revoked: found.map(revokedOf),
        last: last && { txid: last.txid, seq: last.seq },
        horizon: rows[0]?.horizon ?? '0',
        isAhead: rows[0]?.is_ahead ?? false,
        nowMs: rows[0]?.now_ms ?? 0,
      }
    },

    /** Those of the named ones that are in force. */
    async find(executor: Executor, names: readonly { kind: RevocationKind; id: string }[]): Promise<Revoked[]> {
      const pairs = names.map(({ kind, id }) => sql`(${kind}, ${id})`)
      const { rows } = await sql<Row>`
        select ${COLUMNS} from revocations where (kind, id) in (${sql.join(pairs)}) and expires_at > clock_timestamp()
      `.execute(executor)
      return rows.map(revokedOf)
    },

    /** The highest instant of any floor, 0 without one, and the time. */
    async highestFloor(executor: Executor): Promise<{ floorMs: number; nowMs: number }> {
      const { rows } = await sql<{ floor_ms: number; now_ms: number }>`
        select ${highestFloor}::float8 as floor_ms, ${nowMs}::float8 as now_ms
      `.execute(executor)
      return { floorMs: rows[0]?.floor_ms ?? 0, nowMs: rows[0]?.now_ms ?? 0 }
    },
  }
}

interface Row {
  kind: RevocationKind
  id: string
  notBeforeMs: number | null
  except: string | null
  seq: number
  writtenAtMs: number
  tokensExpireAtMs: number
  expiresAtMs: number
}

const nameOf = ({ kind, id }: Wish): string => `${kind} ${id}`

function valuesOf({ kind, id, notBeforeMs, sparing, tokensLiveSeconds, liveSeconds }: Wish): RawBuilder<unknown> {
  // Of the clocks of all processes the database's is common. A sign-in may carry the highest floor and a bit more.
  const floor =
    notBeforeMs === undefined
      ? sql`null::bigint`
      : sql`greatest(${notBeforeMs}::bigint, ${nowMs}::bigint, least(${highestFloor} + 1, ${nowMs}::bigint + 60000))`
  return sql`(${kind}, ${id}, ${floor}, ${sparing?.sessionId ?? null}::text, ${sparing?.signedInAtMs ?? null}::bigint,
    ${inSeconds(tokensLiveSeconds)}, ${inSeconds(liveSeconds)})`
}

const revokedOf = (row: Row): Revoked => ({
  kind: row.kind,
  id: row.id,
  notBeforeMs: row.notBeforeMs ?? undefined,
  except: row.except ?? undefined,
  seq: row.seq,
  writtenAtMs: row.writtenAtMs,
  tokensExpireAtMs: row.tokensExpireAtMs,
  expiresAtMs: row.expiresAtMs,
})
