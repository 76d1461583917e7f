/** A worker that hashes like the real one, except that some passwords kill its thread. */
import { parentPort } from 'node:worker_threads'
import type { HashJob } from '../../src/accounts/hash-worker.ts'
import { hashPassword } from '../../src/accounts/password-hash.ts'

parentPort?.on('message', ({ password }: HashJob) => {
  if (password === 'exit') process.exit(1)
  if (password === 'throw') throw new Error('the worker broke')
  if (password === 'answer, then exit') setImmediate(() => process.exit(1))
  parentPort?.postMessage({ ok: true, result: hashPassword(password) })
})
