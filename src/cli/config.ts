import type { Command } from 'commander'
import { examples } from './examples.ts'

export function addConfig(program: Command): void {
  const config = program.command('config').description('Check or show the settings')
  config
    .command('check')
    .description('Check the settings and report every fault')
    .addHelpText('after', examples('NODE_ENV=production usher config check'))
    .action(check)
  config
    .command('print')
    .description('Print every setting with its source, without secrets')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher config print'))
    .action(print)
  config.addHelpText('after', examples('usher config check', 'usher config print'))
}

async function check(): Promise<void> {
  const { loadConfig } = await import('../config.ts')
  const { warnings } = loadConfig()
  for (const warning of warnings) console.error(`usher: warning: ${warning}`)
  console.log('The settings are in order.')
}

async function print({ json }: { json?: boolean }): Promise<void> {
  const { ConfigError, environment, readSettings, settings } = await import('../config.ts')
  const { printJson, printTable } = await import('./output.ts')
  const { values, sources, faults } = readSettings(environment, process.cwd())
  const lines = Object.entries(settings).map(([name, { secret, unset }]) => ({
    setting: name,
    value: values.has(name) && secret ? '(secret)' : String(values.get(name) ?? ''),
    source: sources.get(name) ?? `unset: ${unset}`,
  }))
  if (json) printJson(lines)
  else printTable(lines, '')
  if (faults.length > 0) throw new ConfigError(faults)
}
