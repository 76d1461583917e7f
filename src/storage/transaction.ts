import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KyselyPlugin, Transaction } from 'kysely'
import type { Database, Tables } from './tables.ts'

const ATTEMPTS = 3
const current = new AsyncLocalStorage<Scope>()

interface Scope {
  open: boolean
  effects: (() => void)[]
}

/**
 * Runs `work` in one transaction and answers what it answers; whatever it throws rolls everything back.
 * Begun again, at most three times, when the database gave up on it before the commit (serialization failure, deadlock,
 * shutdown), so `work` must not have effects outside the transaction.
 */
export async function inTransaction<T>(db: Database, work: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
  refuseInsideTransaction()
  for (let attempt = 1; ; attempt += 1) {
    let isWorkDone = false
    const scope: Scope = { open: true, effects: [] }
    try {
      const answer = await current.run(scope, () =>
        db.transaction().execute(async (trx) => {
          const result = await work(trx.withoutPlugins())
          isWorkDone = true
          return result
        }),
      )
      scope.open = false
      for (const effect of scope.effects) effect()
      return answer
    } catch (error) {
      if (attempt === ATTEMPTS || !mayBegin(error, isWorkDone)) throw error
      await sleep(Math.random() * 20 * attempt)
    } finally {
      scope.open = false
    }
  }
}

/**
 * Runs an effect that must not throw once the caller's transaction has committed, and never when it rolls back; at once
 * when the caller is in no transaction.
 */
export function afterCommit(effect: () => void): void {
  const scope = current.getStore()
  if (scope?.open) scope.effects.push(effect)
  else effect()
}

/** 40001 and 40P01 are certain roll-backs. A shutdown during the commit is not: the commit may have happened. */
function mayBegin(error: unknown, isWorkDone: boolean): boolean {
  const code = sqlState(error)
  return code === '40001' || code === '40P01' || (code === '57P01' && !isWorkDone)
}

/** The SQLSTATE of a driver's error, also of one that became Unavailable. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('code' in error && typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code)) return error.code
  return error.cause === undefined ? undefined : sqlState(error.cause)
}

function refuseInsideTransaction(): void {
  if (current.getStore()?.open) {
    throw new Error('The database was used inside a transaction callback: pass the transaction on instead.')
  }
}

/**
 * Refuses a query through the outer database while its own caller holds a transaction. PGlite has one connection, so
 * such a query would wait for ever; on PostgreSQL it would do so only once the pool is empty, in production.
 */
export const refuseOuterQueries: KyselyPlugin = {
  transformQuery({ node }) {
    refuseInsideTransaction()
    return node
  },
  transformResult: ({ result }) => Promise.resolve(result),
}
