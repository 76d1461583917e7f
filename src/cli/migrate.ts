import type { Command } from 'commander'
import type { OpenDatabase } from '../storage/database.ts'
import { examples } from './examples.ts'
import { UsageError } from './failure.ts'
import { confirmed } from './prompt.ts'

export function addMigrate(program: Command): void {
  const migrate = program.command('migrate').description('Bring the database schema up to date, or back')
  migrate
    .command('up')
    .description('Run every pending migration')
    .addHelpText('after', examples('usher migrate up'))
    .action(() => withDatabase(up))
  migrate
    .command('down')
    .description('Take the latest migrations back; what they had stored is lost')
    .option('--steps <number>', 'how many', '1')
    .option('--yes', 'do not ask')
    .addHelpText('after', examples('usher migrate down --steps 1 --yes'))
    .action(async ({ steps, yes }: { steps: string; yes?: boolean }) => {
      if (!/^[1-9]\d{0,3}$/.test(steps)) throw new UsageError('--steps must be a whole number from 1')
      const isCertain = yes || (await confirmed(`Take back ${steps} migration(s)? What they stored is lost.`))
      if (!isCertain) throw new UsageError('cancelled')
      await withDatabase((database) => down(database, Number(steps)))
    })
  migrate
    .command('status')
    .description('List the migrations')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher migrate status'))
    .action(({ json }: { json?: boolean }) => withDatabase((database) => status(database, json)))
  migrate.addHelpText('after', examples('usher migrate up', 'usher migrate status'))
}

async function withDatabase(work: (database: OpenDatabase) => Promise<void>): Promise<void> {
  const { loadConfig } = await import('../config.ts')
  const config = loadConfig()
  const { openDatabase } = await import('../compose/stores.ts')
  const database = await openDatabase(config)
  try {
    await work(database)
  } finally {
    await database.close()
  }
}

async function up(database: OpenDatabase): Promise<void> {
  const { migrateUp } = await import('../storage/migrator.ts')
  const names = await migrateUp(database)
  for (const name of names) console.log(`applied ${name}`)
  if (names.length === 0) console.log('The schema is up to date.')
}

async function down(database: OpenDatabase, steps: number): Promise<void> {
  const { migrateDown } = await import('../storage/migrator.ts')
  const names = await migrateDown(database, steps)
  for (const name of names) console.log(`took back ${name}`)
  if (names.length === 0) console.log('There is nothing to take back.')
}

async function status(database: OpenDatabase, json = false): Promise<void> {
  const { migrationStatus } = await import('../storage/migrator.ts')
  const { printJson, printTable } = await import('./output.ts')
  const { applied, pending } = await migrationStatus(database)
  if (json) return printJson({ applied, pending })
  const lines = (names: readonly string[], state: string) => names.map((migration) => ({ migration, state }))
  printTable([...lines(applied, 'applied'), ...lines(pending, 'pending')], 'There are no migrations.')
}
