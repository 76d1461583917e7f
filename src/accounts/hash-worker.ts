/** The thread that hashes. One job at a time, each a message; the answer carries the job's number. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { hashPassword, type Verification, verifyPassword } from './password-hash.ts'

export type HashJob = { kind: 'hash'; password: string } | { kind: 'verify'; hash: string; password: string }
export type HashAnswer = { ok: true; result: string | Verification } | { ok: false; message: string }

/** Token validation goes on beside a storm of sign-ins: this thread yields to the server's own. */
function lowerOwnPriority(): void {
  try {
    const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    setPriority(threadId, 19)
  } catch {
    // Only Linux can lower one thread; elsewhere the operating system shares fairly enough.
  }
}

function run(job: HashJob): HashAnswer {
  try {
    return job.kind === 'hash'
      ? { ok: true, result: hashPassword(job.password) }
      : { ok: true, result: verifyPassword(job.hash, job.password) }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'unknown' }
  }
}

lowerOwnPriority()
parentPort?.on('message', (job: HashJob) => parentPort?.postMessage(run(job)))
