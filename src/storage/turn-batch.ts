/** Asks for one row; undefined when there is none. */
export type FindOne<Row> = (id: string) => Promise<Row | undefined>

/**
 * What is asked for one by one within a turn of the event loop is read together: under load one statement instead of one
 * for each request, for a single request the same. The read begins after the last question, so no answer is older than
 * its question. A read that fails, fails for all who asked.
 */
export function createTurnBatch<Row>(
  readAll: (ids: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
): FindOne<Row> {
  let asked = new Map<string, PromiseWithResolvers<Row | undefined>>()

  async function read(): Promise<void> {
    const waiting = asked
    asked = new Map()
    try {
      const rows = await readAll([...waiting.keys()])
      for (const [id, { resolve }] of waiting) resolve(rows.get(id))
    } catch (error) {
      for (const { reject } of waiting.values()) reject(error)
    }
  }

  return function findOne(id) {
    const known = asked.get(id)
    if (known) return known.promise
    if (asked.size === 0) setImmediate(read)
    const asking = Promise.withResolvers<Row | undefined>()
    asked.set(id, asking)
    return asking.promise
  }
}
