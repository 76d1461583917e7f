/** Server processes under measurement: pinned to a core where the system can, their CPU time read from the kernel. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'

/** The first core is the server's; the second that of the load, of the stores and of this process. */
export const canPin = process.platform === 'linux' && availableParallelism() > 1 && has('taskset')

export const pinnedTo = (core: number, command: string[]): string[] =>
  canPin ? ['taskset', '-c', String(core), ...command] : command

const CORES = availableParallelism()

/** This process and whatever it starts from now on keep to the load's core, unless they are told otherwise. */
export function pinSelf(): void {
  if (canPin) execFileSync('taskset', ['-acp', '1', String(process.pid)], { stdio: 'ignore' })
}

/** Every core of the machine again, as for filling a store. */
export function unpinSelf(): void {
  if (canPin) execFileSync('taskset', ['-acp', `0-${CORES - 1}`, String(process.pid)], { stdio: 'ignore' })
}

/** A program that may use every core, whoever starts it. */
export const onAllCores = (command: string[]): string[] =>
  canPin ? ['taskset', '-c', `0-${CORES - 1}`, ...command] : command

export function has(program: string): boolean {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const TICKS_PER_SECOND = 100 // what Linux tells user space, whatever its own timer is
const PAGE = 4096

export interface Measured {
  address: string
  pid: number
  /** Microseconds of CPU time since the start, all threads. */
  cpuMicros(): number
  /** Of the thread that answers requests alone. */
  mainThreadMicros(): number
  /** Resident memory now and at its highest, in MiB. */
  memory(): { now: number; high: number }
  /** The first lines of its log that speak of a fault. */
  faults(): readonly string[]
  stop(): Promise<void>
}

const FAULT = /"level":(?:[456]0|"(?:warn|error|fatal)")/

/** Starts a server and waits for the line by which it says where it listens, or for `ready` in its output. */
export async function startServer(
  command: string[],
  { env, ready, address, core }: { env: Record<string, string>; ready: RegExp; address: string; core: number | 'all' },
): Promise<Measured & { child: ChildProcess }> {
  const [program = '', ...rest] = core === 'all' ? onAllCores(command) : pinnedTo(core, command)
  const child = spawn(program, rest, {
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const faults: string[] = []
  const up = Promise.withResolvers<void>()
  const hear = (line: string) => {
    // Of a server under load one line per request would come; only the first ones are of interest.
    if (lines.length < 200) lines.push(line)
    if (FAULT.test(line) && faults.length < 20) faults.push(line)
    if (ready.test(line)) up.resolve()
  }
  createInterface({ input: child.stdout }).on('line', hear)
  createInterface({ input: child.stderr }).on('line', hear)
  child.once('exit', (code) => up.reject(new Error(`${command.join(' ')} ended with ${code}:\n${lines.join('\n')}`)))
  await up.promise
  const pid = child.pid ?? 0
  return {
    address,
    pid,
    child,
    faults: () => faults,
    cpuMicros: () => cpuMicros(`/proc/${pid}/stat`),
    mainThreadMicros: () => cpuMicros(`/proc/${pid}/task/${pid}/stat`),
    memory: () => memoryOf(pid),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

function cpuMicros(file: string): number {
  const stat = readFileSync(file, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6
}

function memoryOf(pid: number): { now: number; high: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0)
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return { now: Math.round((pages * PAGE) / 2 ** 20), high: Math.round(kib('VmHWM') / 1024) }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
