import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { examples } from './examples.ts'

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('Start the server')
    .option('--watch', 'start again whenever a file of the server changes (development)')
    .addHelpText('after', examples('usher serve', 'USHER_PORT=8080 usher serve'))
    .action(async ({ watch }: { watch?: boolean }) => {
      if (watch) return await serveWatched()
      const { loadConfig } = await import('../config.ts')
      const config = loadConfig()
      const { serve } = await import('../server.ts')
      await serve(config)
    })
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Node's own watcher; views and settings are no imports, so folders are watched. */
async function serveWatched(): Promise<void> {
  const folders = ['src', 'views', 'config', 'migrations'].map((folder) => `--watch-path=${ROOT}${folder}`)
  const args = ['--watch', '--watch-preserve-output', ...folders, `${ROOT}bin/usher.js`, 'serve']
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  const [code] = await once(child, 'exit')
  process.exitCode = typeof code === 'number' ? code : 1
}
