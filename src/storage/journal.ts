/**
 * How processes tell one another what has been revoked: marks that anybody can look up, and a journal of entries that
 * every process follows. Neither is the truth: that is in the durable store, before anything is written here, so a journal
 * that loses entries costs time and nothing else. journal-redis.ts and journal-sql.ts implement it.
 */
export interface Mark {
  key: string
  value: string
  /** Of two writes of one mark that of the higher rank stays, in whichever order they arrive. */
  rank: number
  ttlSeconds: number
}

export interface Journal {
  /** Writes marks, and entries for whoever follows. One round trip. Throws Unavailable: then some of it may be written. */
  write(marks: readonly Mark[], entries: readonly string[]): Promise<void>
  /**
   * Opens a way of its own to follow the entries of all processes, this one included. Undefined where entries are not
   * kept, because marks lie in the durable store and cannot be lost.
   */
  follow?: (options: FollowOptions) => Follower
  /** Ends whoever follows. */
  close(): void
}

export interface FollowOptions {
  /** The way was lost: from now on entries may pass unseen until the follower answers again. */
  onLost(): void
}

export interface Follower {
  /** Where the journal ends now. Throws Unavailable. */
  end(): Promise<string>
  /**
   * Waits at most `waitMs` for entries behind a position, and answers at most `limit` of them with the position behind
   * the last. `isSealed` is false when the store has lost what it held, as after a flush. Throws Unavailable.
   */
  read(
    after: string,
    options: { limit: number; waitMs: number },
  ): Promise<{ entries: string[]; position: string; isSealed: boolean }>
  /** Says that all marks are there, until the store loses them. */
  seal(): Promise<void>
  isClosed(): boolean
  close(): void
}

/** Among the keys of the ephemeral store: there as long as the store has lost nothing. Asked for together with marks. */
export const SEAL_KEY = 'boot'

/** A mark as it is stored: its value, which has two words, and its rank. */
export const markText = ({ value, rank }: Mark): string => `${value} ${rank}`
