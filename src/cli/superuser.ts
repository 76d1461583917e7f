import type { Command } from 'commander'
import { OPERATOR } from '../audit-event.ts'
import type { Core } from '../compose/core.ts'
import { examples } from './examples.ts'
import { UsageError } from './failure.ts'
import { confirmed, required, requiredSecret, secretFrom } from './prompt.ts'
import { recorded } from './recorded.ts'
import { withCore } from './with-core.ts'

export interface SuperuserOptions {
  email?: string
  password?: string
  passwordFile?: string
  firstName?: string
  lastName?: string
}

export function addSuperuser(program: Command): void {
  const superuser = program.command('superuser').description('Create or delete an account that may do everything')
  withSuperuserOptions(superuser.command('create').description('Create a superuser, or make an existing account one'))
    .addHelpText(
      'after',
      examples(
        'usher superuser create --email ada@example.org',
        'usher superuser create --email ada@example.org --password-file - < password.txt',
      ),
    )
    .action(async (options: SuperuserOptions) => {
      const described = await describeSuperuser(options)
      await withCore((core) => createSuperuser(core, described))
    })
  superuser
    .command('delete')
    .description('Delete the account of a superuser; the last one stays')
    .option('--email <address>', 'its e-mail address')
    .option('--yes', 'do not ask')
    .addHelpText('after', examples('usher superuser delete --email ada@example.org --yes'))
    .action(remove)
  superuser.addHelpText('after', examples('usher superuser create --email ada@example.org'))
}

/** The same for `superuser create` and `init --with-superuser`. */
export const withSuperuserOptions = (command: Command): Command =>
  command
    .option('--email <address>', 'e-mail address to sign in with')
    .option('--password <password>', 'password; on a terminal better left out, it is asked for')
    .option('--password-file <path>', 'a file that holds the password; - reads standard input')
    .option('--first-name <name>', 'given name')
    .option('--last-name <name>', 'family name')

/** What the options say; what they leave open is asked before any store is opened, except the password. */
export async function describeSuperuser(options: SuperuserOptions) {
  const password = secretFrom(options.password, options.passwordFile, '--password')
  const email = await required(options.email, '--email', 'E-mail address of the superuser')
  const names = {
    ...(options.firstName === undefined ? {} : { firstName: options.firstName }),
    ...(options.lastName === undefined ? {} : { lastName: options.lastName }),
  }
  return { email, names, password }
}

type Described = Awaited<ReturnType<typeof describeSuperuser>>

/** An account with the address becomes a superuser and keeps its password, unless one is given. */
export async function createSuperuser(core: Core, described: Described): Promise<void> {
  const { accounts, access } = core
  const { email, names, password: given } = described
  await access.initialize()
  const existing = await accounts.findByLogin(email)
  if (existing) {
    const changes = { ...names, ...(given === undefined ? {} : { password: given }) }
    if (Object.keys(changes).length > 0) await accounts.update(existing.id, changes, recorded(core))
    await access.assignRole(existing.id, 'superuser')
    console.log(`${existing.email} is a superuser${given === undefined ? '' : '; the password is replaced'}.`)
    return
  }
  const password = await requiredSecret(given, '--password or --password-file', 'Password')
  // In one transaction: an account that was to be a superuser is never left without the role.
  const person = { email, password, emailVerified: true, ...names }
  const account = await accounts.create(person, async (executor, made) => {
    await recorded(core)(executor, made)
    await access.assignRole(made.id, 'superuser', executor)
  })
  console.log(`Created the superuser ${account.email}.`)
}

async function remove(options: { email?: string; yes?: boolean }): Promise<void> {
  const email = await required(options.email, '--email', 'E-mail address of the superuser')
  if (!options.yes && !(await confirmed(`Delete the account ${email}?`))) throw new UsageError('cancelled')
  await withCore(async ({ accounts, access, accountAdministration }) => {
    const account = await accounts.findByLogin(email)
    const isSuperuser = account !== undefined && (await access.rolesOf(account.id)).includes('superuser')
    if (!isSuperuser) throw new Error(`There is no superuser ${email}.`)
    await accountAdministration.remove(OPERATOR, account.id)
    console.log(`Deleted the superuser ${account.email}.`)
  })
}
