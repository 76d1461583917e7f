/**
 * Run by npm after an installation: makes the new embedded database that first starts unpack. An installation never
 * fails for it, because a start can do without. Plain JavaScript that Node 20 understands.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const pathOf = (name) => fileURLToPath(new URL(name, import.meta.url))
spawnSync(process.execPath, [pathOf('runtime.js'), pathOf('../src/cli/prepare.ts')], {
  stdio: 'ignore',
  timeout: 60_000,
})
