/**
 * Refresh token families (RFC 9700 section 4.14.2): every use rotates, one successor per generation, reuse ends the grant.
 *
 * The engine consumes a token before it has made the successor, so a crash in between would sign the user out. Here
 * consuming only takes a lease; what the engine then stores is parked with the request, and one call records successor
 * and sealed answer just before the reply leaves. A retry of the immediately previous token within the grace, its
 * successor unused, gets that same answer; anything older is theft.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { calculateJwkThumbprint, decodeProtectedHeader } from 'jose'
import { type AdapterPayload, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { Unavailable } from '../errors.ts'
import { opaqueId } from '../ids.ts'
import type { Ephemeral, SingleUse } from '../storage/ephemeral.ts'
import { type FamilyKeys, familyKeys, generationOf, grantIndexKey, grantKey } from './ephemeral-keys.ts'
import { decodeRecord, encodeRecord } from './record-format.ts'
import { marksOf, type Revocation, type TokenMarks } from './revocation.ts'
import { seal, unseal } from './sealed-response.ts'
import type { Lineage } from './sign-in-lineage.ts'
import { CLOCK_TOLERANCE_SECONDS, type RefreshTokenClaims } from './token-formats.ts'

/** The holder of a lease has this long to answer: the deadline of a whole request. */
const LEASE_MS = 5_000
/** How long after its rotation a token may be presented again for the same answer. */
export const GRACE_MS = 10_000
/** A loser looks again this often before it gives up; in all a little over a second. */
const RETRY_DELAYS_MS = [10, 20, 40, 80, 150, 250, 500]

interface Parked {
  jti: string
  payload: AdapterPayload
  ttlSeconds: number
}

/** What a token request will write once its answer is known. */
interface PendingWrites {
  /** Key of the authorization code this request has taken. */
  takenCode?: string
  lease?: { keys: FamilyKeys; id: string; digest: string }
  refreshToken?: Parked
  /** The answer of the rotation this request repeats. */
  replay?: string
}

/** A family as the fast endpoint rotates it. */
export interface PlainFamily {
  keys: FamilyKeys
  /** Digest of the presented generation. */
  digest: string
  payload: AdapterPayload & Lineage
  grant: AdapterPayload
}

export interface RefreshRotationDeps {
  ephemeral: Ephemeral
  revocation: Revocation
  /** A replayed code must be recognised at least as long as the tokens it gave may live. */
  settledCodeSeconds: number
  /** The previous generation is back; older ones the engine itself finds out. */
  onReuse(ctx: KoaContextWithOIDC, grantId: string): void
}

export type RefreshRotation = ReturnType<typeof createRefreshRotation>

export function createRefreshRotation(deps: RefreshRotationDeps) {
  const { ephemeral, revocation } = deps
  const pending = new WeakMap<object, PendingWrites>()

  const writesOf = (ctx: KoaContextWithOIDC): PendingWrites => {
    const writes = pending.get(ctx) ?? {}
    pending.set(ctx, writes)
    return writes
  }

  const begin = (keys: FamilyKeys, digest: string, leaseId: string) =>
    ephemeral.rotateBegin({
      key: keys.family,
      sealedKey: keys.sealed,
      grant: revocation.grantKeys(keys.grantId),
      digest,
      leaseId,
      leaseMs: LEASE_MS,
      graceMs: GRACE_MS,
    })

  const unsealFor = async (ctx: KoaContextWithOIDC, sealed: string) =>
    unseal(sealed, String(ctx.oidc.params?.refresh_token), await fingerprintOf(ctx))

  /** Rotates, replays or refuses; throws the engine's InvalidGrant in every case but the winner's. */
  const takeLease = async (ctx: KoaContextWithOIDC, jti: string): Promise<void> => {
    const keys = familyKeys(jti)
    if (!keys) throw new errors.InvalidGrant('refresh token not found')
    const digest = generationOf(jti)
    const leaseId = opaqueId(128)
    for (const waitMs of [...RETRY_DELAYS_MS, 0]) {
      const rotation = await begin(keys, digest, leaseId)
      if (rotation.outcome === 'won') {
        writesOf(ctx).lease = { keys, id: leaseId, digest }
        return
      }
      if (rotation.outcome === 'replay') {
        const body = await unsealFor(ctx, rotation.sealed)
        if (body !== undefined) writesOf(ctx).replay = body
        throw new errors.InvalidGrant('refresh token already used')
      }
      if (rotation.outcome === 'reuse') {
        await revocation.revokeReused(keys.grantId)
        deps.onReuse(ctx, keys.grantId)
        throw new errors.InvalidGrant('refresh token already used')
      }
      if (rotation.outcome === 'gone') throw new errors.InvalidGrant('refresh token not found')
      await delay(waitMs)
    }
    throw new Unavailable('another request is rotating this refresh token')
  }

  const commitRotation = async (ctx: KoaContextWithOIDC, lease: NonNullable<PendingWrites['lease']>, next: Parked) => {
    const committed = await ephemeral.rotateCommit({
      key: lease.keys.family,
      sealedKey: lease.keys.sealed,
      index: grantIndexKey(lease.keys.grantId),
      leaseId: lease.id,
      digest: generationOf(next.jti),
      data: encodeFamily(next.payload),
      sealed: seal(JSON.stringify(ctx.body), String(ctx.oidc.params?.refresh_token), await fingerprintOf(ctx)),
      ttlSeconds: next.ttlSeconds + CLOCK_TOLERANCE_SECONDS,
      graceMs: GRACE_MS,
    })
    if (committed) return
    // The lease was taken over while we were minting: what we minted is thrown away, the other's answer is the answer.
    const rotation = await begin(lease.keys, lease.digest, opaqueId(128))
    const body = rotation.outcome === 'replay' ? await unsealFor(ctx, rotation.sealed) : undefined
    if (body === undefined) throw new Unavailable('the lease on this rotation was lost')
    answer(ctx, body)
  }

  const startFamily = async (first: Parked, takenCode: string | undefined) => {
    const keys = familyKeys(first.jti)
    if (!keys) throw new Error('a refresh token id names its grant and family')
    const { index, deny } = revocation.grantKeys(keys.grantId)
    const started = await ephemeral.startFamily({
      key: keys.family,
      index,
      deny,
      digest: generationOf(first.jti),
      data: encodeFamily(first.payload),
      ttlSeconds: first.ttlSeconds + CLOCK_TOLERANCE_SECONDS,
      ...(takenCode === undefined ? {} : { settles: { key: takenCode, ttlSeconds: deps.settledCodeSeconds } }),
    })
    if (!started) throw new Unavailable('the grant was revoked while its tokens were made')
  }

  return {
    /**
     * What the engine should see of a genuine refresh token: its stored payload, marked `consumed` when the generation
     * is older than the previous one. During a refresh the previous generation is left to takeLease to judge; everywhere
     * else it is as dead as the older ones.
     */
    async find(claims: RefreshTokenClaims, options: { refreshing: boolean }): Promise<AdapterPayload | undefined> {
      const keys = familyKeys(claims.jti)
      if (!keys) return undefined
      const token = familyOrigin(keys, claims)
      const marks = marksOf(token)
      const found = await ephemeral.readFamily(keys.family, marks.keys)
      const live = decodeFamily(found.family?.data, keys, claims)
      if (!found.family || !live || marks.isDead(found.marks, live.sessionUid)) return undefined
      if (await revocation.deniesFamily(token, live.sessionUid)) return undefined
      const digest = generationOf(claims.jti)
      if (digest === found.family.current) return live
      const mayBeRetry = options.refreshing && digest === found.family.previous
      const presented = { ...live, iat: claims.iat, exp: claims.exp }
      return mayBeRetry ? presented : { ...presented, consumed: claims.iat }
    },

    consume: takeLease,

    /**
     * Whether a code is presented again by somebody who may know the answer to its first presentation. Who was here
     * already when it was settled is a rival that lost, and must not harm the winner. Lengths of time are compared, not
     * clocks; the store's are whole milliseconds, and in doubt it is a replay.
     */
    isReplay({ state, leftMs }: SingleUse, ageMs: number): boolean {
      const settledMsAgo = deps.settledCodeSeconds * 1000 - leftMs
      return state === 'done' && ageMs < settledMsAgo + 1
    },

    /** Remembers that this request has taken a code; the code is settled together with what it gave. */
    codeTaken(ctx: KoaContextWithOIDC, key: string): void {
      writesOf(ctx).takenCode = key
    },

    /** Parks a refresh token until the answer is known; outside a request it is stored at once. */
    async store(ctx: KoaContextWithOIDC | undefined, token: Parked): Promise<void> {
      if (ctx) writesOf(ctx).refreshToken = token
      else await startFamily(token, undefined)
    },

    /**
     * For the fast endpoint: the living family of a token that is its latest generation, and its grant. Undefined for
     * whatever else; the engine then says what it is. One round trip while memory is complete.
     */
    async findPlain(claims: RefreshTokenClaims): Promise<PlainFamily | undefined> {
      const keys = familyKeys(claims.jti)
      if (!keys) return undefined
      const token = familyOrigin(keys, claims)
      // Memory forgets a floor when no access token is left that it kills; families live longer, and so does its mark.
      const marks = marksOf(token)
      const digest = generationOf(claims.jti)
      const found = await ephemeral.readFamily(keys.family, [grantKey(keys.grantId), ...marks.keys])
      const [storedGrant, ...values] = found.marks
      const payload = decodeFamily(found.family?.data, keys, claims)
      const grant = decodeRecord<AdapterPayload>(storedGrant)
      if (!payload || !grant || found.family?.current !== digest) return undefined
      if (marks.isDead(values, payload.sessionUid)) return undefined
      const isDead = await revocation.deniesFamily(token, payload.sessionUid)
      return isDead ? undefined : { keys, payload, grant, digest }
    },

    /** Records successor and answer in one step; false when somebody else was there first, and nothing was recorded. */
    rotatePlain: (
      { keys, digest }: PlainFamily,
      next: { jti: string; payload: AdapterPayload; ttlSeconds: number; body: string; presented: string },
    ): Promise<boolean> =>
      ephemeral.rotate({
        key: keys.family,
        sealedKey: keys.sealed,
        index: grantIndexKey(keys.grantId),
        presented: digest,
        digest: generationOf(next.jti),
        data: encodeFamily(next.payload),
        sealed: seal(next.body, next.presented, PLAIN_FINGERPRINT),
        ttlSeconds: next.ttlSeconds + CLOCK_TOLERANCE_SECONDS,
        graceMs: GRACE_MS,
      }),

    /** To be called when the engine has made its answer and before the reply leaves. */
    async commit(ctx: KoaContextWithOIDC): Promise<void> {
      const writes = pending.get(ctx)
      if (!writes) return
      const { lease, refreshToken, takenCode, replay } = writes
      if (replay !== undefined) answer(ctx, replay)
      else if (ctx.status !== 200) {
        if (lease) await ephemeral.rotateAbort({ key: lease.keys.family, leaseId: lease.id })
      } else if (lease && refreshToken) await commitRotation(ctx, lease, refreshToken)
      else if (refreshToken) await startFamily(refreshToken, takenCode)
      else if (takenCode) await ephemeral.settle(takenCode, { ttlSeconds: deps.settledCodeSeconds })
    },
  }
}

/** The session is known only with the family, and a session that ends does not end a family: the session is looked up. */
const familyOrigin = ({ grantId }: FamilyKeys, { sub, client_id, ims }: RefreshTokenClaims): TokenMarks => ({
  grantId,
  sessionUid: undefined,
  subject: sub,
  clientId: client_id,
  issuedAtMs: ims,
})

/** What its key and the presented token say is not stored with a family. */
function encodeFamily(payload: AdapterPayload): string {
  const { kind, jti, grantId, accountId, clientId, ...stored } = payload
  return encodeRecord(stored)
}

function decodeFamily(
  data: string | undefined,
  { grantId }: FamilyKeys,
  { jti, sub: accountId, client_id: clientId }: RefreshTokenClaims,
): (AdapterPayload & Lineage) | undefined {
  const stored = decodeRecord<AdapterPayload & Lineage>(data)
  return stored && { ...stored, kind: 'RefreshToken', jti, grantId, accountId, clientId }
}

function answer(ctx: KoaContextWithOIDC, body: string): void {
  ctx.status = 200
  ctx.type = 'application/json; charset=utf-8'
  ctx.set('Cache-Control', 'no-store')
  ctx.body = body
}

/** Of a request that names neither scope, resource nor proof key. */
const PLAIN_FINGERPRINT = JSON.stringify([null, null, null])

/** A retry must ask for the very same thing: scope, resource and proof key. */
async function fingerprintOf(ctx: KoaContextWithOIDC): Promise<string> {
  const { scope, resource } = ctx.oidc.params ?? {}
  const proof = ctx.get('DPoP')
  const jwk = proof ? decodeProtectedHeader(proof).jwk : undefined
  return JSON.stringify([scope ?? null, resource ?? null, jwk ? await calculateJwkThumbprint(jwk) : null])
}
