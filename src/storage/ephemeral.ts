/**
 * The ephemeral store: everything that dies by itself (grants, sessions, codes, token families, deny marks, budgets).
 * This file is the contract; ephemeral-redis.ts (one Lua per verb) and ephemeral-sql.ts (one statement per verb)
 * implement it, and test/contract/ephemeral.contract.ts holds both to it.
 *
 * Every verb is atomic, every key has a life, and life is measured by the store's clock. A store that does not answer
 * within its deadline throws Unavailable: the outcome is then unknown, and "not found" is never made of it.
 *
 * Keys that change together carry the same hash tag, `{grant id}`, so that a cluster keeps them in one slot.
 */
export interface Ephemeral {
  readonly kind: 'redis' | 'sql'

  /** The values of live records, in the order asked, in one round trip. */
  get(keys: readonly string[]): Promise<(string | undefined)[]>

  /**
   * Writes a record. With `ifAbsent` the first writer wins and the others get false.
   * With `index` the key becomes a member of that grant index and dies with revokeGrant.
   */
  put(key: string, value: string, options: { ttlSeconds: number; ifAbsent?: boolean; index?: string }): Promise<boolean>

  /** Writes a record only where its value is still `from`, undefined for none: of rivals with one view exactly one writes. */
  swap(key: string, from: string | undefined, to: string, options: { ttlSeconds: number }): Promise<boolean>

  /** Writes several records in one round trip; not atomic across hash tags. */
  putAll(records: readonly { key: string; value: string; ttlSeconds: number }[]): Promise<void>

  /** Reads and removes: of any number of rivals exactly one gets the value. */
  take(key: string): Promise<string | undefined>

  /** Removes records, single-use objects, codes, families or buckets; answers how many there were. */
  remove(keys: readonly string[]): Promise<number>

  /** Stores an object that may be redeemed once, in the state `fresh`. */
  offer(key: string, value: string, options: { ttlSeconds: number; index?: string }): Promise<void>

  /** Reads a single-use object with its state, without changing it. */
  peek(key: string): Promise<SingleUse | undefined>

  /** fresh → taken. Of any number of rivals exactly one wins; `gone` when there is no such object. Keeps the life. */
  consumeOnce(key: string): Promise<'won' | 'lost' | 'gone'>

  /** taken → done: the winner's answer is about to leave, a later presentation is a replay. Sets the life anew. */
  settle(key: string, options: { ttlSeconds: number }): Promise<void>

  /** Writes the digest of a one-time code. It replaces any code under the key, and the count of its wrong tries. */
  saveCode(key: string, digest: string, options: { ttlSeconds: number }): Promise<void>

  /**
   * One try at a code: true once, for the right digest. Count, comparison and consumption are one step, and the wrong
   * try that reaches `maxTries` ends the code: of any number of rivals no more than `maxTries` are looked at.
   */
  redeemCode(key: string, digest: string, options: { maxTries: number }): Promise<boolean>

  /**
   * Begins a refresh token family; in the same step it settles the single-use object it came from, if any.
   * False, and nothing is begun, when `deny` is given and the grant has been revoked meanwhile.
   */
  startFamily(family: NewFamily): Promise<boolean>

  /** The family and the values of the given marks, in one round trip. */
  readFamily(
    key: string,
    marks: readonly string[],
  ): Promise<{ family: Family | undefined; marks: (string | undefined)[] }>

  /** Asks for the right to rotate. On `reuse` the whole grant has been revoked in the same step. */
  rotateBegin(request: RotateBegin): Promise<Rotation>

  /** Records the successor and the sealed answer; false when the lease was taken over or the family is gone. */
  rotateCommit(request: RotateCommit): Promise<boolean>

  /**
   * Lease and successor in one step, for who has made the successor beforehand; false when the presented generation is not
   * the latest or somebody holds a lease on it, and nothing has changed.
   */
  rotate(request: Rotate): Promise<boolean>

  /** Gives a lease back when nothing was issued under it: the presented generation is live again. */
  rotateAbort(request: { key: string; leaseId: string }): Promise<void>

  /** Removes every member of a grant's index and sets its deny mark. Idempotent. */
  revokeGrant(grant: GrantKeys): Promise<void>

  /**
   * Puts a member on a list, or renews it: it is the most recently used one now, and its life is never shortened. With
   * `keep` a member that is there already keeps its value. Of more than `cap` members the least recently used fall off.
   */
  enlist(
    list: string,
    member: string,
    value: string,
    options: { ttlSeconds: number; cap: number; keep?: boolean },
  ): Promise<void>

  /** Live members of a list, most recently used first, behind the position `before`. */
  listMembers(list: string, page: { limit: number; before?: ListPosition | undefined }): Promise<ListMember[]>

  /** Takes members off a list. */
  delist(list: string, members: readonly string[]): Promise<void>

  /**
   * Takes the `cost` of each from token buckets, in turn; on a single Redis in one round trip. The first that has not
   * enough says when enough will be there, and those behind it stay untouched. A negative cost gives back; no bucket ever
   * holds more than its capacity. Each bucket is atomic by itself.
   */
  spend(buckets: readonly Bucket[]): Promise<Spending>

  /** Answers when the store answers. */
  check(): Promise<void>

  close(): Promise<void>
}

export interface SingleUse {
  value: string
  state: 'fresh' | 'taken' | 'done'
  /** What is left of its life, by the store's clock. */
  leftMs: number
}

export interface GrantKeys {
  /** The index of everything that hangs on the grant. */
  index: string
  /** The deny mark that kills its access tokens. */
  deny: string
  denySeconds: number
}

export interface NewFamily {
  key: string
  index: string
  /** Digest of the first token's jti. */
  digest: string
  /** What is needed to mint the successor. */
  data: string
  ttlSeconds: number
  settles?: { key: string; ttlSeconds: number }
  /** The deny mark of the grant. */
  deny?: string
}

export interface Family {
  /** Digest of the live generation. */
  current: string
  /** Digest of the generation before it. */
  previous: string | undefined
  /** What belongs to the live generation. */
  data: string
}

export interface RotateBegin {
  key: string
  /** Where the sealed answer of the last rotation lies. */
  sealedKey: string
  grant: GrantKeys
  /** Digest of the presented generation. */
  digest: string
  leaseId: string
  leaseMs: number
  /** How long after its rotation the previous generation gets the same answer again. 0 switches it off. */
  graceMs: number
}

export type Rotation =
  /** The lease is ours; `data` belongs to the presented generation. */
  | { outcome: 'won'; data: string }
  /** Somebody else is minting; ask again. `retryMs` is what is left of the lease. */
  | { outcome: 'busy'; retryMs: number }
  /** The previous generation within the grace, its successor unused: the sealed answer. */
  | { outcome: 'replay'; sealed: string }
  /** An old generation: the grant is revoked. */
  | { outcome: 'reuse' }
  | { outcome: 'gone' }

export interface RotateCommit {
  key: string
  sealedKey: string
  /** The index of the grant. */
  index: string
  leaseId: string
  /** Digest of the successor. */
  digest: string
  data: string
  sealed: string
  ttlSeconds: number
  graceMs: number
}

export interface Rotate extends Omit<RotateCommit, 'leaseId'> {
  /** Digest of the presented generation. */
  presented: string
}

export interface ListPosition {
  /** Milliseconds since the epoch. */
  usedAtMs: number
  member: string
}

export interface ListMember extends ListPosition {
  value: string
}

export interface Bucket {
  key: string
  capacity: number
  perSecond: number
  cost: number
}

export interface Spending {
  ok: boolean
  /** 0 when ok. */
  retryAfterMs: number
}
