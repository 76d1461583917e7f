import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { examples } from './examples.ts'
import { withCore } from './with-core.ts'

interface ExportOptions {
  out?: string
  accounts: boolean
  json?: boolean
}

export function addExport(program: Command): void {
  program
    .command('export')
    .description('Write the file that "usher apply" reads, with all there is and no secrets')
    .option('--out <file>', 'write it there instead of to the standard output')
    .option('--no-accounts', 'leave out accounts and who is where, as for another installation')
    .option('--json', 'write JSON instead of YAML')
    .addHelpText('after', examples('usher export --out usher.yaml', 'usher export --no-accounts > roles.yaml'))
    .action(write)
}

async function write({ out, accounts, json }: ExportOptions): Promise<void> {
  const { asYaml, describeEverything } = await import('./manifest-export.ts')
  const manifest = await withCore((core) => describeEverything(core, { withAccounts: accounts }))
  const text = json ? `${JSON.stringify(manifest, null, 2)}\n` : asYaml(manifest)
  if (out === undefined) process.stdout.write(text)
  else writeFileSync(out, text, { mode: 0o600 }) // it names people
}
