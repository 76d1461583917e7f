/** The `usher` command: reads the command line, runs one command, and turns a failure into one line and an exit code. */
import { existsSync } from 'node:fs'
import { tell } from './failure.ts'
import { createProgram } from './program.ts'

if (existsSync('.env')) process.loadEnvFile('.env') // what the environment says already wins

try {
  await createProgram().parseAsync()
} catch (error) {
  const { environment } = await import('../config.ts')
  const { exitCode, lines } = tell(error, { withStack: environment.USHER_LOG_LEVEL === 'debug' })
  for (const line of lines) console.error(`usher: ${line}`)
  process.exitCode = exitCode
  // Whatever a failed command may have left open must not keep it from ending.
  setTimeout(() => process.exit(), 2000).unref()
}
