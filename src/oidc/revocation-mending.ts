/**
 * Carrying out what has been revoked: marks, the records of grants, and the news for other processes. Whoever wrote a
 * revocation may have met a failed store or have died before it came to this, and a store may lose what it held; so
 * whatever a store does not show to have been carried out is carried out again.
 */
import type { Ephemeral } from '../storage/ephemeral.ts'
import type { Journal, Mark } from '../storage/journal.ts'
import { grantKey, grantKeys } from './ephemeral-keys.ts'
import { encodeRevoked, markKeyOf, markOf, type Revoked } from './revocation-entry.ts'
import type { RevocationFeed } from './revocation-feed.ts'

export interface RevocationMendingDeps {
  ephemeral: Pick<Ephemeral, 'get' | 'revokeGrant'>
  journal: Pick<Journal, 'write'>
  feed: Pick<RevocationFeed, 'storeNowMs' | 'eachInForce' | 'onLate' | 'onLoss'>
  /** How long access tokens live, and browser sessions that are not used; with some leeway. */
  tokenSeconds: number
  sessionSeconds: number
}

export function createRevocationMending(deps: RevocationMendingDeps) {
  const { ephemeral, journal, feed, tokenSeconds, sessionSeconds } = deps
  /** What others have written and perhaps not carried out. */
  const late = new Set<Revoked>()
  /** Whether everything in force has been looked at since this process began. */
  let isMended = false
  // Perhaps its writer has died before it was carried out; without a journal everything of others is late.
  feed.onLate(noteLate)
  feed.onLoss(mend)

  /** Removes what must not outlive the marks, writes them and tells the others. Safe to repeat. */
  async function carryOutAll(all: readonly Revoked[]): Promise<void> {
    const grants = all.filter(({ kind }) => kind === 'grant')
    await Promise.all([
      journal.write(all.map(lastingMarkOf), all.map(encodeRevoked)),
      ...grants.map(({ id }) => ephemeral.revokeGrant(grantKeys(id, tokenSeconds))),
    ])
  }

  /** By the database's clock: ours may be ahead, and a mark must not end before what it kills. */
  function lastingMarkOf(revoked: Revoked): Mark {
    const mark = markOf(revoked, revoked.writtenAtMs)
    // Of a grant nothing is left but access tokens.
    if (revoked.kind === 'grant') return { ...mark, ttlSeconds: tokenSeconds }
    // A request that was on its way may save a session once more.
    if (revoked.kind === 'session') return { ...mark, ttlSeconds: sessionSeconds }
    return mark
  }

  /** Carries out what the store does not show to have been carried out, or has lost. */
  async function mend(batch: readonly Revoked[]): Promise<void> {
    if (batch.length === 0) return
    const found = await ephemeral.get(
      batch.flatMap((revoked) => [markKeyOf(revoked), revoked.kind === 'grant' ? grantKey(revoked.id) : NOWHERE]),
    )
    const nowMs = feed.storeNowMs()
    const lacking = batch.filter((revoked, place) => {
      const [mark, record] = found.slice(2 * place, 2 * place + 2)
      const isOverForTokens = revoked.tokensExpireAtMs <= nowMs
      if (record !== undefined || (revoked.kind === 'grant' && isOverForTokens)) return record !== undefined
      return mark === undefined || rankOf(mark) < revoked.seq
    })
    if (lacking.length > 0) await carryOutAll(lacking)
  }

  function noteLate(revoked: Revoked): void {
    if (late.size < MAX_LATE) late.add(revoked)
    else isMended = false
  }

  async function mendLate(): Promise<void> {
    const batches = [...late]
    for (let begin = 0; begin < batches.length; begin += MENDED_AT_ONCE) {
      const batch = batches.slice(begin, begin + MENDED_AT_ONCE)
      await mend(batch)
      for (const revoked of batch) late.delete(revoked)
    }
  }

  return {
    carryOutAll,

    /** For a timer: what others have written since, where it is not carried out. Throws Unavailable (503). */
    mendLate,

    /**
     * Once after the start, for a timer: what was interrupted before, by the end of this process or of another. Throws
     * Unavailable (503).
     */
    async mendOnce(): Promise<void> {
      if (isMended) return
      isMended = true
      try {
        await feed.eachInForce(mend)
      } catch (error) {
        isMended = false
        throw error
      }
    },
  }
}

const MAX_LATE = 10_000
const MENDED_AT_ONCE = 500

/** A key that is never written. */
const NOWHERE = 'none'

/** Of a mark that the store has set itself, with the grant, nothing later is known. */
const rankOf = (mark: string): number => Number(mark.split(' ')[2] ?? Number.POSITIVE_INFINITY)
