import type { Command } from 'commander'
import { examples } from './examples.ts'
import { UsageError } from './failure.ts'

export function addDocs(program: Command): void {
  program
    .command('docs')
    .description(
      'Write the documents that follow from the settings, the commands and the routes, or check that they are fresh',
    )
    .option('--write', 'write them')
    .option('--check', 'fail when one is stale')
    .addHelpText('after', examples('usher docs --write', 'usher docs --check'))
    .action(async ({ write, check }: { write?: boolean; check?: boolean }) => {
      if (write === check) throw new UsageError('give --write or --check')
      const { staleDocuments, writeDocuments } = await import('./documents.ts')
      const stale = await staleDocuments(program)
      if (write) return writeDocuments(stale)
      if (stale.length > 0) {
        throw new Error(
          `${stale.map(({ path }) => path).join(', ')} no longer fits the server: run "usher docs --write"`,
        )
      }
      console.log('The generated documents are fresh.')
    })
}
