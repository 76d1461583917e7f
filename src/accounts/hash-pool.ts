/**
 * The hash tier: worker threads that run argon2 outside the server's own thread and outside libuv's pool, where
 * signing lives. The queue is bounded at about one second of work; beyond it the answer is 503, at once.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { Unavailable } from '../errors.ts'
import type { HashAnswer, HashJob } from './hash-worker.ts'
import type { Verification } from './password-hash.ts'

export interface HashPool {
  /** A PHC string of current cost. Throws Unavailable when the queue is full or the worker died. */
  hash(password: string): Promise<string>
  /** Whether the password belongs to the hash. Throws like hash. */
  verify(hash: string, password: string): Promise<Verification>
  /** Whether the next job would be refused: who asks before any other work refuses at the least cost. */
  isFull(): boolean
  /** Ends the workers; waiting jobs are answered with Unavailable. */
  close(): Promise<void>
}

export interface HashPoolOptions {
  /** Default: one per core. */
  workers?: number
  /** Jobs that may wait per worker; 40 are about one second. */
  queuePerWorker?: number
  /** The thread's module; tests pass a faulty one. */
  workerModule?: URL
}

interface Task {
  job: HashJob
  resolve(result: string | Verification): void
  reject(error: Error): void
}

const DEPENDENCY = 'password hashing'

/** What a caller is told while the queue is full, and when a worker has died. */
export const hashingUnavailable = (cause?: unknown): Unavailable => new Unavailable(DEPENDENCY, cause)

export function createHashPool(options: HashPoolOptions = {}): HashPool {
  const size = Math.max(1, options.workers ?? availableParallelism())
  const mayWait = size * (options.queuePerWorker ?? 40)
  const workerModule = options.workerModule ?? new URL('./hash-worker.ts', import.meta.url)
  const waiting: Task[] = []
  const idle: Worker[] = []
  const busy = new Map<Worker, Task>()
  let closed = false

  const submit = (job: HashJob) =>
    new Promise<string | Verification>((resolve, reject) => {
      if (closed || isFull()) return reject(hashingUnavailable())
      waiting.push({ job, resolve, reject })
      dispatch()
    })

  const freeWorkers = () => size - busy.size
  const isFull = () => freeWorkers() === 0 && waiting.length >= mayWait

  function dispatch(): void {
    while (waiting.length > 0 && busy.size < size) {
      const task = waiting.shift()
      if (task) assign(idle.pop() ?? spawn(), task)
    }
  }

  function assign(worker: Worker, task: Task): void {
    busy.set(worker, task)
    // A command line must wait for its hash, and must not wait for an idle worker.
    worker.ref()
    worker.postMessage(task.job)
  }

  /** Workers start with their first job: a server that nobody signs in to starts none. */
  function spawn(): Worker {
    // Flags of this process, such as --input-type, are not meant for the thread.
    const worker = new Worker(workerModule, { execArgv: [] })
    worker.on('message', (answer: HashAnswer) => finish(worker, answer))
    worker.on('error', (error) => fail(worker, error))
    worker.on('exit', () => fail(worker))
    return worker
  }

  function finish(worker: Worker, answer: HashAnswer): void {
    const task = release(worker)
    worker.unref()
    idle.push(worker)
    if (answer.ok) task?.resolve(answer.result)
    else task?.reject(hashingUnavailable(new Error(answer.message)))
    dispatch()
  }

  /** The job of a dead worker is lost; the next job gets a new worker. */
  function fail(worker: Worker, cause?: unknown): void {
    const place = idle.indexOf(worker)
    if (place >= 0) idle.splice(place, 1)
    release(worker)?.reject(hashingUnavailable(cause))
    if (!closed) dispatch()
  }

  function release(worker: Worker): Task | undefined {
    const task = busy.get(worker)
    busy.delete(worker)
    return task
  }

  return {
    hash: async (password) => expectText(await submit({ kind: 'hash', password })),
    verify: async (hash, password) => expectVerification(await submit({ kind: 'verify', hash, password })),
    isFull,
    async close() {
      closed = true
      for (const task of waiting.splice(0)) task.reject(hashingUnavailable())
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()))
    },
  }
}

function expectText(result: string | Verification): string {
  if (typeof result === 'string') return result
  throw new TypeError('the worker answered another question')
}

function expectVerification(result: string | Verification): Verification {
  if (typeof result !== 'string') return result
  throw new TypeError('the worker answered another question')
}
