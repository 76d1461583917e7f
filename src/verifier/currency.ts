/** Whether what is known is also up to date: it was told whole, and the other side has been heard a moment ago. */
import type { Report } from './events.ts'
import { monotonicMs } from './server-call.ts'

export interface CurrencyDeps {
  /** Silence for so long means that nothing is known of the present. */
  downMs: number
  /** How long the whole may take to arrive before it counts as silence. */
  startMs: number
  report: Report
}

export interface Currency {
  isCurrent(): boolean
  /** Whether everything has been told, however long ago. */
  isWhole(): boolean
  /** Something is missing until everything has been told anew. */
  incomplete(): void
  /** Everything has been told. */
  complete(): void
  /** The other side lives, and nothing it said before is still under way. */
  heard(): void
  /** Waits until current, but no longer than the whole may take to arrive. */
  settle(): Promise<void>
  /** Resolves when current; rejects when closed before. */
  ready(): Promise<void>
  close(): void
}

interface Waiter {
  resolve(): void
  reject(error: Error): void
}

export function createCurrency({ downMs, startMs, report }: CurrencyDeps): Currency {
  const waiters = new Set<Waiter>()
  let isWhole = false
  let isClosed = false
  let heardAt = Number.NEGATIVE_INFINITY
  let waitUntil = monotonicMs() + startMs
  let downTimer = later(startMs)

  function later(ms: number): NodeJS.Timeout {
    return setTimeout(() => report({ kind: 'stream_down' }), ms).unref()
  }
  const isCurrent = (): boolean => isWhole && !isClosed && monotonicMs() - heardAt < downMs
  const closedError = (): Error => new Error('The verifier has been closed.')

  const ready = (): Promise<void> => {
    if (isCurrent()) return Promise.resolve()
    if (isClosed) return Promise.reject(closedError())
    return new Promise((resolve, reject) => waiters.add({ resolve, reject }))
  }

  const heard = (): void => {
    if (!isWhole || isClosed) return
    heardAt = monotonicMs()
    clearTimeout(downTimer)
    downTimer = later(downMs)
    for (const { resolve } of waiters) resolve()
    waiters.clear()
  }

  return {
    isCurrent,
    isWhole: () => isWhole,
    heard,
    ready,

    incomplete() {
      if (isWhole) waitUntil = monotonicMs() + startMs
      isWhole = false
    },

    complete() {
      isWhole = true
      heard()
    },

    settle() {
      const waitMs = waitUntil - monotonicMs()
      if (isCurrent() || isWhole || isClosed || waitMs <= 0) return Promise.resolve()
      return new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer)
          waiters.delete(waiter)
          resolve()
        }
        const waiter = { resolve: done, reject: done }
        const timer = setTimeout(done, waitMs) // somebody waits for it, so it may keep the process alive
        waiters.add(waiter)
      })
    },

    close() {
      isClosed = true
      clearTimeout(downTimer)
      for (const { reject } of waiters) reject(closedError())
      waiters.clear()
    },
  }
}
