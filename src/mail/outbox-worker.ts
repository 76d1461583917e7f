import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, systemClock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import type { Database } from '../storage/tables.ts'
import type { Deliver } from './intent.ts'
import type { Claimed, OutboxStore } from './outbox-store.ts'
import { Undeliverable } from './undeliverable.ts'

export interface WorkerOptions {
  /** How long an intent of this process waits before its delivery begins: a random time between the two. */
  beginAfterMs?: { least: number; most: number }
  /** How often to look for intents of other processes and for those due again. */
  pollMs?: number
  /** Most deliveries at once. */
  concurrency?: number
  /** The first and the longest wait before another attempt. */
  backOff?: { firstMs: number; longestMs: number }
  /** Age at which an intent that still fails is given up. */
  giveUpAfterMs?: number
  /** How long one delivery may take. */
  deliveryMs?: number
  /** How long nobody else takes a claimed intent: longer than a delivery may take. */
  leaseSeconds?: number
  clock?: Clock
}

export interface OutboxWorkerDeps extends WorkerOptions {
  db: Database
  store: OutboxStore
  handlers: ReadonlyMap<string, Deliver>
  logger: Logger
}

export interface OutboxWorker {
  /** Looks for due intents a little later. */
  wakeSoon(): void
  stop(): Promise<void>
}

const SECOND = 1_000
const HOUR = 3_600 * SECOND
/** A process that is told to end waits this long; what is still under way then is sent by another when its lease ends. */
const STOP_MS = 10 * SECOND

/** Delivers due intents until it is stopped. */
export function createOutboxWorker(deps: OutboxWorkerDeps): OutboxWorker {
  const { db, store, handlers, logger } = deps
  const { pollMs = 5 * SECOND, concurrency = 5, giveUpAfterMs = 72 * HOUR } = deps
  const { deliveryMs = 30 * SECOND, leaseSeconds = 60, backOff = { firstMs: 5 * SECOND, longestMs: HOUR } } = deps
  const { beginAfterMs = { least: 100, most: 700 }, clock = systemClock } = deps
  const underway = new Set<Promise<void>>()
  let claiming: Promise<void> | undefined
  let isWokenAgain = false
  let isStopped = false
  let soon: NodeJS.Timeout | undefined
  // Whoever wakes the worker lends it neither his request id nor his transaction.
  const inOwnContext = AsyncLocalStorage.snapshot()

  const timer = setInterval(wake, pollMs)
  timer.unref()
  wake()
  return { wakeSoon, stop }

  /**
   * A delivery is more work for an address with an account than for one without. At a random time it falls on no
   * particular one of the requests behind, so whoever asks again at once does not feel which it was.
   */
  function wakeSoon(): void {
    if (isStopped || soon !== undefined) return
    const { least, most } = beginAfterMs
    const begin = () => {
      soon = undefined
      wake()
    }
    soon = setTimeout(begin, least + Math.random() * (most - least))
    soon.unref()
  }

  function wake(): void {
    isWokenAgain = true
    if (isStopped || claiming) return
    claiming = inOwnContext(fillSlots)
      .catch((error) => logger.warn({ event: 'outbox.unreadable', err: error }, 'the outbox could not be read'))
      .finally(() => {
        claiming = undefined
        if (isWokenAgain && underway.size < concurrency) setImmediate(wake)
      })
  }

  /** Full slots end it; the first delivery that ends wakes it again. */
  async function fillSlots(): Promise<void> {
    isWokenAgain = false
    const kinds = [...handlers.keys()]
    const limit = concurrency - underway.size
    if (limit === 0 || kinds.length === 0) return
    for (const intent of await store.claim(db, { kinds, limit, leaseSeconds })) {
      const delivery = attempt(intent).finally(() => {
        underway.delete(delivery)
        wake()
      })
      underway.add(delivery)
    }
  }

  /** Never rejects: what cannot even be written down is tried again when the lease ends. */
  async function attempt(intent: Claimed): Promise<void> {
    try {
      await deliver(intent)
      await store.remove(db, intent)
    } catch (error) {
      await settle(intent, error).catch((fault) =>
        logger.warn({ event: 'outbox.unsettled', ...nameOf(intent), err: fault }, 'an attempt could not be recorded'),
      )
    }
  }

  async function deliver(intent: Claimed): Promise<void> {
    const deadline = new AbortController()
    try {
      await Promise.race([
        handlers.get(intent.kind)?.(intent),
        sleep(deliveryMs, undefined, { signal: deadline.signal, ref: false }).then(() => {
          throw new Error('The delivery took too long.')
        }),
      ])
    } finally {
      deadline.abort()
    }
  }

  async function settle(intent: Claimed, error: unknown): Promise<void> {
    const age = clock.now() - intent.createdAt.getTime()
    if (error instanceof Undeliverable || age > giveUpAfterMs) {
      await store.remove(db, intent)
      logger.error({ event: 'outbox.given_up', ...nameOf(intent) }, 'a mail was given up')
      return
    }
    await store.postpone(db, intent, delayAfter(intent.attempts, backOff))
    logger.warn({ event: 'outbox.retry', ...nameOf(intent), ...reasonOf(error) }, 'a mail could not be sent yet')
  }

  async function stop(): Promise<void> {
    isStopped = true
    clearInterval(timer)
    clearTimeout(soon)
    await claiming
    await Promise.race([Promise.all(underway), sleep(STOP_MS, undefined, { ref: false })])
  }
}

const nameOf = ({ kind, id, attempts }: Claimed) => ({ kind, id, attempts })

/** The mail server in a word; anything else is a fault of ours and needs its stack. */
const reasonOf = (error: unknown): object =>
  error instanceof AppError && error.detail !== undefined ? { detail: error.detail } : { err: error }

/** Doubles from the first to the longest wait; the jitter keeps what failed together from coming back together. */
export function delayAfter(attempts: number, { firstMs, longestMs }: { firstMs: number; longestMs: number }): number {
  const full = Math.min(longestMs, firstMs * 2 ** Math.min(attempts - 1, 30))
  return Math.max(firstMs, full * (0.5 + Math.random() / 2))
}
