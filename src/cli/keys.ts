import type { Command } from 'commander'
import { examples } from './examples.ts'

export function addKeys(program: Command): void {
  const keys = program.command('keys').description('List or rotate the keys that sign tokens and cookies')
  keys
    .command('list')
    .description('List the keys without their secret parts')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher keys list'))
    .action(list)
  keys
    .command('rotate')
    .description('Make the first keys, or take one step: publish the next ones, then, after five minutes, use them')
    .option('--force', 'use the next keys although others may not know them yet')
    .addHelpText('after', examples('usher keys rotate'))
    .action(rotate)
  keys.addHelpText('after', examples('usher keys list', 'usher keys rotate'))
}

/** The keys folder alone matters here, and in production it is filled before anything else is set up. */
async function keysOfConfig() {
  const { loadConfig } = await import('../config.ts')
  const config = loadConfig()
  const { keysOf } = await import('../compose/keys.ts')
  return keysOf(config)
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const keys = await keysOfConfig()
  const { printJson, printTable } = await import('./output.ts')
  const listed = await keys.list()
  if (json) return printJson(listed)
  const rows = listed.map(({ kid, use, alg, state, createdAt, currentAt, retiredAt, expiresAt }) => ({
    kid,
    signs: use,
    alg,
    state,
    since: retiredAt ?? currentAt ?? createdAt,
    expires: expiresAt ?? '',
  }))
  printTable(rows, 'There are no keys yet. "usher keys rotate" makes the first ones.')
}

async function rotate({ force = false }: { force?: boolean }): Promise<void> {
  const keys = await keysOfConfig()
  const { outcome, waitSeconds, dropped } = await keys.rotate({ force })
  console.log(
    {
      created: 'Made the first keys. They sign from now on.',
      published: `Published the next keys. Run the same command again in ${waitSeconds} s to put them to use.`,
      waiting: `The next keys are published, but may not be known everywhere yet. Run the same command again in ${waitSeconds} s.`,
      activated: 'The next keys sign from now on. The former ones verify until the last token they signed has expired.',
    }[outcome],
  )
  for (const kid of dropped) console.log(`Dropped the retired key ${kid}.`)
  if (outcome !== 'waiting') console.log('Running servers read the change within seconds.')
}
