/**
 * Clients as they were read within the last seconds. Every request names one, and the engine keeps what it parsed of a
 * client only as long as it is handed the same object, so an unchanged client stays one frozen object.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Clock, elapsedMs, type Moment, momentOf } from '../clock.ts'
import type { Client } from './client.ts'

export interface ClientCacheOptions {
  load(id: string): Promise<Client | undefined>
  clock: Clock
  ttlMs?: number
  /** How long "no such client" is believed. */
  missTtlMs?: number
  maxEntries?: number
}

interface Entry {
  client: Client | undefined
  readAt: Moment
  ttlMs: number
}

export function createClientCache(options: ClientCacheOptions) {
  const { load, clock, ttlMs = 5_000, missTtlMs = 1_000, maxEntries = 10_000 } = options
  const known = new Map<string, Entry>()
  // Apart, so that invented ids push out no real client.
  const unknown = new Map<string, Entry>()
  const loading = new Map<string, Promise<Client | undefined>>()

  const fresh = (entry: Entry | undefined): Entry | undefined =>
    entry !== undefined && elapsedMs(entry.readAt, clock) < entry.ttlMs ? entry : undefined

  function remember(id: string, read: Client | undefined): Client | undefined {
    if (!read) {
      known.delete(id)
      keep(unknown, id, { client: undefined, readAt: momentOf(clock), ttlMs: missTtlMs })
      return undefined
    }
    const before = known.get(id)?.client
    const client = before && isDeepStrictEqual(before, read) ? before : deepFreeze(read)
    unknown.delete(id)
    keep(known, id, { client, readAt: momentOf(clock), ttlMs })
    return client
  }

  function keep(entries: Map<string, Entry>, id: string, entry: Entry): void {
    // Deleted first, so that the order of the map is the order of reading and the oldest goes.
    entries.delete(id)
    entries.set(id, entry)
    const oldest = entries.keys().next()
    if (entries.size > maxEntries && !oldest.done) entries.delete(oldest.value)
  }

  /** Of any number of simultaneous requests one asks the database. */
  function read(id: string): Promise<Client | undefined> {
    const running = loading.get(id)
    if (running) return running
    const reading: Promise<Client | undefined> = load(id)
      .then((client) => (loading.get(id) === reading ? remember(id, client) : client && deepFreeze(client)))
      .finally(() => {
        if (loading.get(id) === reading) loading.delete(id)
      })
    loading.set(id, reading)
    return reading
  }

  return {
    find: async (id: string): Promise<Client | undefined> => {
      const entry = fresh(known.get(id)) ?? fresh(unknown.get(id))
      return entry ? entry.client : read(id)
    },

    /** After a write: the next find reads, and a read begun before the write is not kept. */
    forget(id: string): void {
      loading.delete(id)
      unknown.delete(id)
      const entry = known.get(id)
      if (entry) entry.ttlMs = 0
    },
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) deepFreeze(member)
  }
  return value
}
