import type { Command } from 'commander'
import type { Core } from '../compose/core.ts'
import { examples } from './examples.ts'
import { UsageError } from './failure.ts'
import { createSuperuser, describeSuperuser, type SuperuserOptions, withSuperuserOptions } from './superuser.ts'
import { withCore } from './with-core.ts'

interface InitOptions extends SuperuserOptions {
  withSuperuser?: boolean
}

export function addInit(program: Command): void {
  const init = program
    .command('init')
    .description('Create the base permissions and roles; repeatable')
    .option('--with-superuser', 'create a superuser as well')
  withSuperuserOptions(init)
    .addHelpText(
      'after',
      examples(
        'usher init',
        'usher init --with-superuser --email ada@example.org --password-file /run/secrets/password',
      ),
    )
    .action(async ({ withSuperuser, ...options }: InitOptions) => {
      if (!withSuperuser && Object.keys(options).length > 0) {
        throw new UsageError('options of a superuser need --with-superuser')
      }
      const superuser = withSuperuser ? await describeSuperuser(options) : undefined
      await withCore(async (core) => {
        await initialize(core)
        if (superuser) await createSuperuser(core, superuser)
      })
    })
}

async function initialize({ access, visibility }: Core): Promise<void> {
  const { created } = await access.initialize()
  await visibility.initialize()
  if (created.length === 0) console.log('The base permissions and roles are there.')
  else console.log(`Created ${created.join(', ')}.`)
}
