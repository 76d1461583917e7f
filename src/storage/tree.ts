/**
 * Trees of rows. Beside each lies a table of every row with itself and all rows above it, kept when a row is planted or
 * moved, so that readers never walk. Writers must follow one another; the version of access sees to that.
 */
import { sql } from 'kysely'
import type { Executor } from './tables.ts'

export interface TreeTables {
  closure: 'team_closure' | 'visibility_closure'
  /** The column of `closure` that names the row below. */
  node: 'team_id' | 'group_id'
}

export type Tree = ReturnType<typeof createTree>

/** Every method takes the executor: the database, or the transaction its caller has opened. */
export function createTree({ closure, node }: TreeTables) {
  const [links, below] = [sql.table(closure), sql.ref(node)]

  async function count(executor: Executor, query: ReturnType<typeof sql<{ count: number }>>): Promise<number> {
    return (await query.execute(executor)).rows[0]?.count ?? 0
  }

  return {
    /** Links a new row below its parent; null for the top. */
    async plant(executor: Executor, id: string, parentId: string | null): Promise<void> {
      await sql`
        insert into ${links} (${below}, ancestor_id)
        select ${id}::uuid, ancestor_id from ${links} where ${below} = ${parentId}::uuid
        union all select ${id}::uuid, ${id}::uuid`.execute(executor)
    },

    /** Links a row and everything below it anew; the parent must not be one of these. */
    async move(executor: Executor, id: string, parentId: string | null): Promise<void> {
      const moved = sql`select ${below} from ${links} where ancestor_id = ${id}::uuid`
      await sql`
        delete from ${links} where ${below} in (${moved}) and ancestor_id not in (${moved})`.execute(executor)
      if (parentId === null) return
      await sql`
        insert into ${links} (${below}, ancestor_id)
        select lower.${below}, upper.ancestor_id from ${links} as lower cross join ${links} as upper
        where lower.ancestor_id = ${id}::uuid and upper.${below} = ${parentId}::uuid`.execute(executor)
    },

    /** The row itself and everything below it, in no order. */
    async branchOf(executor: Executor, id: string): Promise<string[]> {
      const query = sql<{ id: string }>`select ${below} as id from ${links} where ancestor_id = ${id}::uuid`
      return (await query.execute(executor)).rows.map((row) => row.id)
    },

    /** Of rows from the top down to this one. */
    depthOf: (executor: Executor, id: string): Promise<number> =>
      count(executor, sql`select count(*)::int as count from ${links} where ${below} = ${id}::uuid`),

    /** Of rows from this one down to the deepest below it. */
    async heightOf(executor: Executor, id: string): Promise<number> {
      const branch = sql`select ${below} from ${links} where ancestor_id = ${id}::uuid`
      const query = sql<{ count: number }>`
        select max(height)::int as count from (
          select count(*) as height from ${links} as link
          where link.${below} in (${branch}) and link.ancestor_id in (${branch}) group by link.${below}
        ) as heights`
      return count(executor, query)
    },
  }
}
