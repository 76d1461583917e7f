/** Runs the real command in a process of its own, over stores of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { freshDatabase, freshRedisPrefix, storeUrl, temporaryDirectory } from '../support/database.ts'

export const LAUNCHER = fileURLToPath(new URL('../../bin/usher.js', import.meta.url))

export interface Answer {
  code: number | null
  out: string
  err: string
}

export interface Usher {
  (...args: string[]): Promise<Answer>
  readonly dir: string
  /** As the call, with something to read on the standard input or more settings. */
  with(given: { input?: string; env?: Record<string, string> }): (...args: string[]) => Promise<Answer>
  remove(): Promise<void>
}

/** The command in a folder of its own, over the embedded stores unless the settings say otherwise. */
export async function usherIn(settings: Record<string, string> = {}): Promise<Usher> {
  const dir = await temporaryDirectory('cli')
  const run = async (args: string[], input = '', more: Record<string, string> = {}): Promise<Answer> => {
    const env = { PATH: process.env.PATH, NODE_ENV: 'test', ...settings, ...more }
    const child = spawn(process.execPath, [LAUNCHER, ...args], { cwd: dir, env })
    child.stdin.on('error', () => undefined) // it may end without reading
    child.stdin.end(input)
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    return { code, out, err }
  }
  return Object.assign((...args: string[]) => run(args), {
    dir,
    with:
      ({ input, env }: { input?: string; env?: Record<string, string> }) =>
      (...args: string[]) =>
        run(args, input, env),
    remove: async () => undefined,
  })
}

/** The command over a migrated PostgreSQL database and a Redis prefix that nobody else uses. */
export async function usherOnServers(): Promise<Usher> {
  const database = await freshDatabase()
  const usher = await usherIn({
    USHER_DATABASE_URL: database.url,
    USHER_REDIS_URL: storeUrl(),
    USHER_REDIS_PREFIX: freshRedisPrefix(),
  })
  return Object.assign(usher, { remove: () => database.drop() })
}
