/**
 * Mail that must go out, whatever happens to the mail server or to this process: a use case writes an intent in its own
 * transaction, and a worker delivers it in the background, at least once. Handlers therefore bear a repeat: they look
 * up what is true now, make the code they send, and replace the one before.
 */
import type { Logger } from '../observability/logger.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { afterCommit } from '../storage/transaction.ts'
import type { Deliver, NewIntent } from './intent.ts'
import type { OutboxStore } from './outbox-store.ts'
import { createOutboxWorker, type OutboxWorker, type WorkerOptions } from './outbox-worker.ts'

export interface OutboxDeps extends WorkerOptions {
  db: Database
  store: OutboxStore
}

export type Outbox = ReturnType<typeof createOutbox>

export function createOutbox({ db, store, ...options }: OutboxDeps) {
  const handlers = new Map<string, Deliver>()
  let worker: OutboxWorker | undefined

  return {
    /** Registers who delivers the intents of one kind. A process takes only the kinds it has handlers for. */
    handle(kind: string, deliver: Deliver): void {
      if (handlers.has(kind)) throw new Error(`Two handlers for ${kind}`)
      handlers.set(kind, deliver)
    },

    /**
     * Writes an intent through the caller's executor: it is kept exactly when the caller's transaction commits. A
     * worker in this process begins within a second of the commit, those of other processes find it within seconds.
     */
    async add(executor: Executor, intent: NewIntent): Promise<void> {
      if (!handlers.has(intent.kind)) throw new Error(`Nobody delivers ${intent.kind}`)
      await store.insert(executor, intent)
      afterCommit(() => worker?.wakeSoon())
    },

    /** Begins to deliver in the background. Its timers do not keep the process alive. */
    start(logger: Logger): void {
      worker ??= createOutboxWorker({ db, store, handlers, logger, ...options })
    },

    /** Takes no further intents and waits, bounded, for the deliveries under way. What is left stays for later. */
    async stop(): Promise<void> {
      const stopping = worker
      worker = undefined
      await stopping?.stop()
    },
  }
}
