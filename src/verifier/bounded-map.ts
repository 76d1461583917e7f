/** A map that forgets what was used longest ago once it is full. */
export interface BoundedMap<V> {
  /** Also makes it the one used last. */
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): void
  clear(): void
  readonly size: number
}

/** @param onEvicted hears of what had to go to make room */
export function createBoundedMap<V>(maxEntries: number, onEvicted?: (value: V) => void): BoundedMap<V> {
  const entries = new Map<string, V>() // keeps the order of insertion
  const evictOldest = (): void => {
    for (const [key, value] of entries) {
      entries.delete(key)
      onEvicted?.(value)
      return
    }
  }
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size > maxEntries) evictOldest()
    },
    delete: (key) => void entries.delete(key),
    clear: () => entries.clear(),
    get size() {
      return entries.size
    },
  }
}
