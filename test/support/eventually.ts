/** For what comes to pass in a moment and not at once: what one process has done, as another sees it. */
import { setTimeout as sleep } from 'node:timers/promises'

const PATIENCE_MS = 10_000
const PAUSE_MS = 20

/** Looks again until the look throws nothing, and gives what it gave; throws what it threw when it never stops to. */
export async function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  for (const end = performance.now() + PATIENCE_MS; ; await sleep(PAUSE_MS)) {
    try {
      return await look()
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

/** Waits until it is so, and fails when it never is. */
export const until = (isSo: () => boolean | Promise<boolean>): Promise<void> =>
  eventually(async () => {
    if (!(await isSo())) throw new Error('it never came to pass')
  })
