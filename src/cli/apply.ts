import type { Command } from 'commander'
import type { Core } from '../compose/core.ts'
import type { Stores } from '../compose/stores.ts'
import { examples } from './examples.ts'
import type { Manifest } from './manifest.ts'
import { withCore } from './with-core.ts'

export function addApply(program: Command): void {
  program
    .command('apply <file>')
    .description('Make roles, teams, clients, accounts and more be as a YAML or JSON file says; repeatable')
    .option('--dry-run', 'print the plan and write nothing')
    .addHelpText('after', examples('usher apply config/apply.example.yaml --dry-run', 'usher export --out usher.yaml'))
    .action(async (file: string, { dryRun }: { dryRun?: boolean }) => {
      const { environment } = await import('../config.ts')
      const { readManifest } = await import('./manifest.ts')
      const manifest = readManifest(file, environment)
      await withCore((core, stores) => (dryRun ? plan(manifest, core, stores) : apply(manifest, core, stores)))
    })
}

async function plan(manifest: Manifest, core: Core, stores: Stores): Promise<void> {
  const { reporter } = await import('./apply-report.ts')
  const { rehearse } = await import('./rehearsal.ts')
  const { report, summary } = reporter()
  await rehearse(manifest, core, stores, report)
  console.log(`${summary()} Nothing was written.`)
}

/** What would be refused half-way is refused before anything is written. */
async function apply(manifest: Manifest, core: Core, stores: Stores): Promise<void> {
  const { reporter } = await import('./apply-report.ts')
  const { rehearse } = await import('./rehearsal.ts')
  const { bring } = await import('./apply-steps.ts')
  await rehearse(manifest, core, stores, () => undefined)
  const { report, summary } = reporter()
  await bring(manifest, core, report)
  console.log(summary())
}
