import { type RawBuilder, sql } from 'kysely'
import type { OpenDatabase } from './database.ts'
import type { Bucket, Ephemeral, Family, GrantKeys, RotateBegin, Rotation, SingleUse, Spending } from './ephemeral.ts'
import { lifeMs } from './life.ts'
import type { Executor } from './tables.ts'
import { inTransaction } from './transaction.ts'

/** now() stands still within a transaction; lives and leases do not. */
const live = sql`expires_at > clock_timestamp()`

const nowMs = sql`floor(extract(epoch from clock_timestamp()) * 1000)::bigint`

const until = (ms: number): RawBuilder<Date> => sql`clock_timestamp() + make_interval(secs => ${ms / 1000})`

/**
 * The ephemeral store in the durable database, for an installation without Redis: one statement per verb where one is
 * enough, else one short transaction that locks the row or the grant. close() leaves the database open.
 */
export function createSqlEphemeral({ db, check }: OpenDatabase): Ephemeral {
  return {
    kind: 'sql',

    async get(keys) {
      if (keys.length === 0) return []
      const { rows } = await sql<{ key: string; value: string }>`
        select key, value from ephemeral_records where key = any(${[...keys]}::text[]) and state is null and ${live}
      `.execute(db)
      const values = new Map(rows.map(({ key, value }) => [key, value]))
      return keys.map((key) => values.get(key))
    },

    async put(key, value, { ttlSeconds, ifAbsent = false, index = null }: PutOptions) {
      const { rows } = await sql`
        insert into ephemeral_records as old (key, value, index_key, expires_at)
        values (${key}, ${value}, ${index}, ${until(lifeMs(ttlSeconds))})
        on conflict (key) do update set value = excluded.value, state = null, expires_at = excluded.expires_at,
          index_key = coalesce(excluded.index_key, old.index_key)
        where not ${ifAbsent} or old.expires_at <= clock_timestamp()
        returning key
      `.execute(db)
      return rows.length === 1
    },

    async swap(key, from, to, { ttlSeconds }) {
      const expiresAt = until(lifeMs(ttlSeconds))
      const { rows } =
        from === undefined
          ? await sql`
              insert into ephemeral_records as old (key, value, expires_at) values (${key}, ${to}, ${expiresAt})
              on conflict (key) do update set value = excluded.value, state = null, expires_at = excluded.expires_at
              where old.expires_at <= clock_timestamp()
              returning key`.execute(db)
          : await sql`
              update ephemeral_records set value = ${to}, expires_at = ${expiresAt}
              where key = ${key} and value = ${from} and state is null and ${live}
              returning key`.execute(db)
      return rows.length === 1
    },

    async putAll(records) {
      if (records.length === 0) return
      // One statement may not touch a row twice: the last value of a key counts.
      const last = [...new Map(records.map((record) => [record.key, record])).values()]
      const rows = last.map(({ key, value, ttlSeconds }) => sql`(${key}, ${value}, ${until(lifeMs(ttlSeconds))})`)
      await sql`
        insert into ephemeral_records (key, value, expires_at) values ${sql.join(rows)}
        on conflict (key) do update set value = excluded.value, state = null, expires_at = excluded.expires_at
      `.execute(db)
    },

    async take(key) {
      const { rows } = await sql<{ value: string }>`
        delete from ephemeral_records where key = ${key} and state is null and ${live} returning value
      `.execute(db)
      return rows[0]?.value
    },

    async remove(keys) {
      if (keys.length === 0) return 0
      const { rows } = await sql<{ removed: number }>`
        with records as (delete from ephemeral_records where key = any(${[...keys]}::text[]) returning ${live} as live),
          families as (delete from ephemeral_families where key = any(${[...keys]}::text[]) returning ${live} as live),
          buckets as (delete from ephemeral_buckets where key = any(${[...keys]}::text[]) returning ${live} as live)
        select count(*)::int as removed
        from (select live from records union all select live from families union all select live from buckets) gone
        where live
      `.execute(db)
      return rows[0]?.removed ?? 0
    },

    async offer(key, value, { ttlSeconds, index = null }: OfferOptions) {
      await sql`
        insert into ephemeral_records (key, value, state, index_key, expires_at)
        values (${key}, ${value}, 'fresh', ${index}, ${until(lifeMs(ttlSeconds))})
        on conflict (key) do update set value = excluded.value, state = 'fresh', index_key = excluded.index_key,
          expires_at = excluded.expires_at
      `.execute(db)
    },

    async peek(key) {
      const { rows } = await sql<SingleUse>`
        select value, state, ceil(extract(epoch from expires_at - clock_timestamp()) * 1000)::int as "leftMs"
        from ephemeral_records where key = ${key} and state is not null and ${live}
      `.execute(db)
      return rows[0]
    },

    async consumeOnce(key) {
      // Of rivals the row lock lets one through; the others find the state changed and see by their snapshot that
      // there was something to lose.
      const { rows } = await sql<{ outcome: 'won' | 'lost' | 'gone' }>`
        with winner as (
          update ephemeral_records set state = 'taken' where key = ${key} and state = 'fresh' and ${live} returning key)
        select case
          when exists (select from winner) then 'won'
          when exists (select from ephemeral_records where key = ${key} and state is not null and ${live}) then 'lost'
          else 'gone' end as outcome
      `.execute(db)
      return rows[0]?.outcome ?? 'gone'
    },

    async settle(key, { ttlSeconds }) {
      await sql`
        update ephemeral_records set state = 'done', expires_at = ${until(lifeMs(ttlSeconds))}
        where key = ${key} and state = 'taken' and ${live}
      `.execute(db)
    },

    async saveCode(key, digest, { ttlSeconds }) {
      await sql`
        insert into ephemeral_records (key, value, state, expires_at)
        values (${key}, ${`${digest} 0`}, 'fresh', ${until(lifeMs(ttlSeconds))})
        on conflict (key) do update set value = excluded.value, state = 'fresh', index_key = null,
          expires_at = excluded.expires_at
      `.execute(db)
    },

    async redeemCode(key, digest, { maxTries }) {
      // "digest wrong-tries". Rivals wait for the row and then see what the one before them has left.
      const { rows } = await sql<{ is_right: boolean }>`
        update ephemeral_records set
          value = split_part(value, ' ', 1) || ' ' || (split_part(value, ' ', 2)::int + 1),
          expires_at = case
            when split_part(value, ' ', 1) = ${digest} or split_part(value, ' ', 2)::int + 1 >= ${maxTries}::int
            then '-infinity' else expires_at end
        where key = ${key} and state = 'fresh' and ${live}
        returning split_part(value, ' ', 1) = ${digest} as is_right
      `.execute(db)
      return rows[0]?.is_right ?? false
    },

    startFamily: ({ key, index, digest, data, ttlSeconds, settles, deny = null }) =>
      inTransaction(db, async (trx) => {
        await lockGrant(trx, index)
        const { rows } = await sql`
          with started as (
            insert into ephemeral_families (key, index_key, current_digest, data, expires_at)
            select ${key}, ${index}, ${digest}, ${data}, ${until(lifeMs(ttlSeconds))}
            where not exists (select from ephemeral_records where key = ${deny} and ${live})
            on conflict (key) do update set index_key = excluded.index_key, current_digest = excluded.current_digest,
              previous_digest = null, lease_id = null, lease_until = null, consumed_at = null, data = excluded.data,
              expires_at = excluded.expires_at
            returning key),
          settled as (
            update ephemeral_records set state = 'done', expires_at = ${until(lifeMs(settles?.ttlSeconds ?? ttlSeconds))}
            where key = ${settles?.key ?? null} and state = 'taken' and ${live} and exists (select from started))
          select key from started
        `.execute(trx)
        return rows.length === 1
      }),

    async readFamily(key, marks) {
      const { rows } = await sql<FamilyRow & { marks: Record<string, string> | null }>`
        select current_digest, previous_digest, data, (
          select json_object_agg(key, value) from ephemeral_records
          where key = any(${[...marks]}::text[]) and state is null and ${live}) as marks
        from (select) always left join ephemeral_families on key = ${key} and ${live}
      `.execute(db)
      const row = rows[0]
      return { family: familyOf(row), marks: marks.map((mark) => row?.marks?.[mark]) }
    },

    async rotateBegin(request) {
      const rotation = await inTransaction(db, (trx) => decideRotation(trx, request))
      if (rotation.outcome !== 'reuse') return rotation
      // Whoever holds a grant may wait for its families, so the other order could wait for ever: judge once more with
      // the grant held, and revoke in that transaction.
      return inTransaction(db, async (trx) => {
        await lockGrant(trx, request.grant.index)
        const again = await decideRotation(trx, request)
        if (again.outcome === 'reuse') {
          await sql`delete from ephemeral_families where key = ${request.key}`.execute(trx)
          await sql`delete from ephemeral_records where key = ${request.sealedKey}`.execute(trx)
          await revoke(trx, request.grant)
        }
        return again
      })
    },

    async rotateCommit({ key, sealedKey, leaseId, digest, data, sealed, ttlSeconds, graceMs }) {
      const graceEnd = sql`consumed_at + make_interval(secs => ${graceMs / 1000})`
      const { rows } = await sql`
        with successor as (
          update ephemeral_families set previous_digest = current_digest, current_digest = ${digest}, data = ${data},
            lease_id = null, lease_until = null, expires_at = ${until(lifeMs(ttlSeconds))}
          where key = ${key} and lease_id = ${leaseId} and ${live}
          returning index_key, ${graceEnd} as grace_end),
        answer as (
          insert into ephemeral_records (key, value, index_key, expires_at)
          select ${sealedKey}, ${sealed}, index_key, grace_end from successor where grace_end > clock_timestamp()
          on conflict (key) do update set value = excluded.value, state = null, index_key = excluded.index_key,
            expires_at = excluded.expires_at)
        select from successor
      `.execute(db)
      return rows.length === 1
    },

    async rotate({ key, sealedKey, presented, digest, data, sealed, ttlSeconds, graceMs }) {
      const { rows } = await sql`
        with successor as (
          update ephemeral_families set previous_digest = current_digest, current_digest = ${digest}, data = ${data},
            consumed_at = clock_timestamp(), expires_at = ${until(lifeMs(ttlSeconds))}
          where key = ${key} and current_digest = ${presented} and lease_id is null and ${live}
          returning index_key),
        answer as (
          insert into ephemeral_records (key, value, index_key, expires_at)
          select ${sealedKey}, ${sealed}, index_key, ${until(graceMs)} from successor
          on conflict (key) do update set value = excluded.value, state = null, index_key = excluded.index_key,
            expires_at = excluded.expires_at)
        select from successor
      `.execute(db)
      return rows.length === 1
    },

    async rotateAbort({ key, leaseId }) {
      await sql`
        update ephemeral_families set lease_id = null, lease_until = null where key = ${key} and lease_id = ${leaseId}
      `.execute(db)
    },

    revokeGrant: (grant) =>
      inTransaction(db, async (trx) => {
        await lockGrant(trx, grant.index)
        await revoke(trx, grant)
      }),

    async enlist(list, member, value, { ttlSeconds, cap, keep = false }) {
      // The statement sees the list as it was before it: the member itself, and as many others as may stay.
      await sql`
        with renewed as (
          insert into ephemeral_members as old (index_key, member, value, used_ms, expires_at)
          values (${list}, ${member}, ${value}, ${nowMs}, ${until(lifeMs(ttlSeconds))})
          on conflict (index_key, member) do update set used_ms = excluded.used_ms,
            value = case when ${keep} and old.expires_at > clock_timestamp() then old.value else excluded.value end,
            expires_at = greatest(old.expires_at, excluded.expires_at))
        delete from ephemeral_members where index_key = ${list} and member in (
          select member from ephemeral_members where index_key = ${list} and member <> ${member}
          order by used_ms desc, member collate "C" desc offset ${cap - 1})
      `.execute(db)
    },

    async listMembers(list, { limit, before }) {
      const { rows } = await sql<{ member: string; value: string; used_ms: string }>`
        select member, value, used_ms from ephemeral_members
        where index_key = ${list} and ${live} and (${before === undefined}
          or used_ms < ${before?.usedAtMs ?? 0}::bigint
          or used_ms = ${before?.usedAtMs ?? 0}::bigint and member collate "C" < ${before?.member ?? ''})
        order by used_ms desc, member collate "C" desc limit ${limit}
      `.execute(db)
      return rows.map(({ member, value, used_ms }) => ({ member, value, usedAtMs: Number(used_ms) }))
    },

    async delist(list, members) {
      if (members.length === 0) return
      await sql`
        delete from ephemeral_members where index_key = ${list} and member = any(${[...members]}::text[])
      `.execute(db)
    },

    async spend(buckets) {
      for (const bucket of buckets) {
        const spending = await spendFrom(db, bucket)
        if (!spending.ok) return spending
      }
      return { ok: true, retryAfterMs: 0 }
    },

    check,

    // The connection is the database's own.
    close: () => Promise.resolve(),
  }
}

/** One statement, so that rivals come one after the other. */
async function spendFrom(db: Executor, { key, capacity, perSecond, cost }: Bucket): Promise<Spending> {
  const full = cost <= capacity ? capacity - cost : capacity
  const { rows } = await sql<{ ok: boolean; tokens: number }>`
    insert into ephemeral_buckets as bucket (key, tokens, ok, touched_at, expires_at)
    values (${key}, ${full}, ${cost <= capacity}, clock_timestamp(),
      ${until(((capacity - full) / perSecond) * 1000 + 1000)})
    on conflict (key) do update set (tokens, ok, touched_at, expires_at) = (
      select rest, is_enough, at, at + make_interval(secs => (${capacity}::float8 - rest) / ${perSecond}::float8 + 1)
      from (
        select at, tokens >= ${cost}::float8 as is_enough,
          case when tokens >= ${cost}::float8 then tokens - ${cost}::float8 else tokens end as rest
        from (
          select at, least(${capacity}::float8, bucket.tokens
            + greatest(0, extract(epoch from at - bucket.touched_at))::float8 * ${perSecond}::float8) as tokens
          from (select clock_timestamp() as at) clock) filled) outcome)
    returning ok, tokens
  `.execute(db)
  const { ok, tokens } = rows[0] ?? { ok: false, tokens: 0 }
  return { ok, retryAfterMs: ok ? 0 : Math.ceil(((cost - tokens) / perSecond) * 1000) }
}

interface OfferOptions {
  ttlSeconds: number
  index?: string | null
}

interface PutOptions extends OfferOptions {
  ifAbsent?: boolean
}

interface FamilyRow {
  current_digest: string | null
  previous_digest: string | null
  data: string | null
}

function familyOf(row: FamilyRow | undefined): Family | undefined {
  if (!row || row.current_digest === null || row.data === null) return undefined
  return { current: row.current_digest, previous: row.previous_digest ?? undefined, data: row.data }
}

/** Holds a grant until the end of the transaction: a family cannot start beside the revocation of its grant. */
async function lockGrant(trx: Executor, index: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${index}, 0))`.execute(trx)
}

/**
 * Three statements, each with a view of its own: the deletion of a family waits for a commit under way, and only then
 * the sealed answer of that commit can be seen. The deny mark of a repeat is never shorter.
 */
async function revoke(trx: Executor, { index, deny, denySeconds }: GrantKeys): Promise<void> {
  await sql`delete from ephemeral_families where index_key = ${index}`.execute(trx)
  await sql`delete from ephemeral_records where index_key = ${index}`.execute(trx)
  await sql`
    insert into ephemeral_records as old (key, value, expires_at)
    values (${deny}, (extract(epoch from clock_timestamp()) * 1000)::bigint::text, ${until(lifeMs(denySeconds))})
    on conflict (key) do update set expires_at = greatest(old.expires_at, excluded.expires_at)
  `.execute(trx)
}

/** The decision of the rotation with the family's row held; everything but `reuse` is also carried out. */
async function decideRotation(trx: Executor, request: RotateBegin): Promise<Rotation> {
  const { key, sealedKey, digest, leaseId, leaseMs, graceMs } = request
  const { rows } = await sql<LockedFamily>`
    select current_digest, previous_digest, data, lease_id,
      ceil(extract(epoch from lease_until - clock_timestamp()) * 1000)::int as lease_left_ms,
      coalesce(consumed_at > clock_timestamp() - make_interval(secs => ${graceMs / 1000}), false) as is_in_grace
    from ephemeral_families where key = ${key} and ${live} for update
  `.execute(trx)
  const family = rows[0]
  if (!family) return { outcome: 'gone' }
  const { lease_id: lease, lease_left_ms: leaseLeftMs, is_in_grace: isInGrace } = family

  if (digest === family.current_digest) {
    if (lease !== null && leaseLeftMs > 0) return { outcome: 'busy', retryMs: leaseLeftMs }
    if (lease !== null && !isInGrace) return { outcome: 'reuse' }
    await sql`
      update ephemeral_families set lease_id = ${leaseId}, lease_until = ${until(leaseMs)},
        consumed_at = case when lease_id is null then clock_timestamp() else consumed_at end
      where key = ${key}
    `.execute(trx)
    // The successor of the former generation is in use from now on.
    await sql`delete from ephemeral_records where key = ${sealedKey}`.execute(trx)
    return { outcome: 'won', data: family.data }
  }

  if (digest === family.previous_digest && isInGrace) {
    // There is a sealed answer only until its successor is presented.
    const answer = await sql<{ value: string }>`
      select value from ephemeral_records where key = ${sealedKey} and ${live}
    `.execute(trx)
    if (answer.rows[0]) return { outcome: 'replay', sealed: answer.rows[0].value }
  }
  return { outcome: 'reuse' }
}

interface LockedFamily {
  current_digest: string
  previous_digest: string | null
  data: string
  lease_id: string | null
  /** 0 or less when the lease has run out, or there is none. */
  lease_left_ms: number
  is_in_grace: boolean
}
