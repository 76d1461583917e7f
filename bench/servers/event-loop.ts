/**
 * Loaded into the measured server by `--import`: on SIGUSR2 it writes to BENCH_LOOP_FILE how late its event loop was
 * since the last time, and begins anew.
 */
import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const RESOLUTION_MS = 1
const file = process.env.BENCH_LOOP_FILE

if (isMainThread && file) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  // What is recorded is from one beat to the next, so the beat itself is taken off.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  process.on('SIGUSR2', () => {
    const found = {
      p50Ms: late(histogram.percentile(50)),
      p99Ms: late(histogram.percentile(99)),
      maxMs: late(histogram.max),
    }
    writeFileSync(file, JSON.stringify(found))
    histogram.reset()
  })
}
