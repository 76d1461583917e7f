import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

/**
 * Only one process may open a PGlite directory; PGlite itself does not care, and two writers lose committed rows.
 * The lock is a file beside the directory that names its holder. It is reaped when that process is certainly gone,
 * never because of its age.
 */
interface Holder {
  pid: number
  /** What the operating system says of the process's birth: tells a reused pid from the holder. */
  startedAt: string
  host: string
  /** Makes every lock file different from every other. */
  nonce: string
}

/** The embedded database is open in another process. The message is one line for the operator and names the pid. */
export class DirectoryInUse extends Error {
  readonly pid: number

  constructor(directory: string, holder: Holder) {
    const isHere = holder.host === hostname()
    super(
      isHere
        ? `${directory} is in use by process ${holder.pid}, such as a running server: stop that first, or use PostgreSQL.`
        : `${directory} is in use by process ${holder.pid} on host ${holder.host}. If that host is gone, remove ${lockFileOf(directory)}.`,
    )
    this.name = 'DirectoryInUse'
    this.pid = holder.pid
  }
}

const lockFileOf = (directory: string): string => `${directory}.lock`

const guardOf = (file: string): string => `${file}.reaping`

/** Far above what removing a file takes. A guard that outlives it is never removed by us: refusing loses nothing. */
const REAPING_MS = 2_000

/** Locks this very process holds: the only way its own pid in a lock file can be alive. */
const ours = new Set<string>()

/**
 * Takes the lock of a directory and answers how to give it back.
 * @throws DirectoryInUse
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const file = lockFileOf(resolve(directory))
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const mine: Holder = {
    pid: process.pid,
    startedAt: (await birthOf(process.pid)) ?? 'unknown',
    host: hostname(),
    nonce: randomUUID(),
  }
  const deadline = performance.now() + REAPING_MS
  while (!(await create(file, mine))) {
    const holder = await read(file)
    if (holder === undefined) continue
    if (await isAlive(holder, file)) throw new DirectoryInUse(directory, holder)
    if (performance.now() > deadline)
      throw new Error(`${guardOf(file)} was left by a start that was killed. Remove it.`)
    await reap(file, holder)
  }
  ours.add(file)
  return async () => {
    ours.delete(file)
    if ((await read(file))?.nonce === mine.nonce) await rm(file, { force: true })
  }
}

/** Exclusive, and never seen half written: the complete file appears under its name or not at all. */
async function create(file: string, holder: Holder): Promise<boolean> {
  const draft = `${file}.${holder.nonce}`
  await writeFile(draft, JSON.stringify(holder), { mode: 0o600 })
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function read(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new Error(`${file} is not a lock file of this server. Remove it if no server runs on this directory.`, {
      cause: error,
    })
  }
}

/**
 * Removes a stale file. Only under the guard, and only after another look: a rival that saw the same dead holder may
 * have removed its file and taken the lock meanwhile, and a living lock must never be removed.
 */
async function reap(file: string, stale: Holder): Promise<void> {
  const guard = guardOf(file)
  try {
    await writeFile(guard, '', { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    await sleep(5)
    return
  }
  try {
    if ((await read(file))?.nonce === stale.nonce) await rm(file)
  } finally {
    await rm(guard)
  }
}

async function isAlive(holder: Holder, file: string): Promise<boolean> {
  // Nothing can be known about a process of another machine or container.
  if (holder.host !== hostname()) return true
  // In a container the server is always pid 1: after a restart the file of the former pid 1 carries our own pid.
  if (holder.pid === process.pid) return ours.has(file)
  if (!exists(holder.pid)) return false
  const birth = await birthOf(holder.pid)
  return birth === undefined || birth === holder.startedAt
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/** When a process was started, in whatever form this system tells it; undefined when it does not tell. */
async function birthOf(pid: number): Promise<string | undefined> {
  try {
    if (process.platform === 'linux') {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
      // proc(5): field 22; the second field, the name, may contain blanks and parentheses.
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    }
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)])
    return stdout.trim() || undefined
  } catch {
    return undefined
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)
