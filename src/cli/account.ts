import type { Command } from 'commander'
import type { Account } from '../accounts/account.ts'
import type { AccountInput } from '../accounts/account-input.ts'
import { OPERATOR } from '../audit-event.ts'
import type { Core } from '../compose/core.ts'
import type { SessionView } from '../sessions/sessions.ts'
import { accountCalled } from './access-lookup.ts'
import { examples } from './examples.ts'
import { UsageError } from './failure.ts'
import { inWords, printJson, printTable, withoutUndefined } from './output.ts'
import { confirmed, required, requiredSecret, secretFrom } from './prompt.ts'
import { withCore } from './with-core.ts'

interface CreateOptions {
  email?: string
  password?: string
  passwordFile?: string
  passwordHash?: string
  withoutPassword?: boolean
  username?: string
  firstName?: string
  lastName?: string
  locale?: string
  unverified?: boolean
  json?: boolean
}

const WHO = 'its e-mail address, username or id'

export function addAccount(program: Command): void {
  const account = program.command('account').description('Create, show, disable or sign out an account')
  account
    .command('create')
    .description('Create an account')
    .option('--email <address>', 'e-mail address to sign in with')
    .option('--password <password>', 'password; on a terminal better left out, it is asked for')
    .option('--password-file <path>', 'a file that holds the password; - reads standard input')
    .option('--password-hash <hash>', 'a hash made elsewhere: argon2, bcrypt, PBKDF2 or scrypt')
    .option('--without-password', 'leave the password to be set by a password reset')
    .option('--username <name>', 'another name to sign in with')
    .option('--first-name <name>', 'given name')
    .option('--last-name <name>', 'family name')
    .option('--locale <tag>', 'language of the mails to it, such as en or ru')
    .option('--unverified', 'the e-mail address is still to be proved')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'usher account create --email ada@example.org --first-name Ada',
        'usher account create --email ada@example.org --password-file - < password.txt',
        'usher account create --email ada@example.org --without-password',
      ),
    )
    .action(create)
  withLogin(account, 'show', 'Show an account with its roles, without its password hash')
    .option('--json', 'print JSON')
    .action(show)
  withLogin(account, 'disable', 'Keep an account from signing in; its sessions and tokens end')
    .option('--yes', 'do not ask')
    .action(disable)
  withLogin(account, 'enable', 'Let a disabled account sign in again').action(enable)
  withLogin(account, 'sessions', 'List where an account is signed in').option('--json', 'print JSON').action(sessions)
  withLogin(account, 'sign-out', 'End every session and token of an account').action(signOut)
  account.addHelpText(
    'after',
    examples('usher account create --email ada@example.org', 'usher account show ada@example.org'),
  )
}

const withLogin = (account: Command, verb: string, description: string): Command =>
  account
    .command(verb)
    .argument('<login>', WHO)
    .description(description)
    .addHelpText('after', examples(`usher account ${verb} ada@example.org`))

async function create(options: CreateOptions): Promise<void> {
  const given = secretFrom(options.password, options.passwordFile, '--password')
  const ways = [given, options.passwordHash, options.withoutPassword || undefined].filter((way) => way !== undefined)
  if (ways.length > 1) throw new UsageError('give one of --password, --password-hash and --without-password')
  const email = await required(options.email, '--email', 'E-mail address')
  const password =
    ways.length === 0 ? await requiredSecret(undefined, '--password or --password-file', 'Password') : given
  const described: { [Member in keyof AccountInput]: AccountInput[Member] | undefined } = {
    password,
    passwordHash: options.passwordHash,
    username: options.username,
    firstName: options.firstName,
    lastName: options.lastName,
    locale: options.locale,
  }
  const set = Object.fromEntries(Object.entries(described).filter(([, value]) => value !== undefined))
  const account = await withCore(({ accountAdministration }) =>
    accountAdministration.create(OPERATOR, { ...set, email, emailVerified: options.unverified !== true }),
  )
  if (options.json) return printJson(present(account))
  console.log(`Created the account ${account.email}.\nid: ${account.id}`)
}

async function show(login: string, { json }: { json?: boolean }): Promise<void> {
  const presented = await withCore(async (core) => {
    const account = await accountCalled(core, login)
    return { ...present(account), roles: await core.access.rolesOf(account.id) }
  })
  if (json) return printJson(presented)
  for (const [name, value] of Object.entries(presented)) console.log(`${name}: ${inWords(value)}`)
}

async function disable(login: string, { yes }: { yes?: boolean }): Promise<void> {
  if (!yes && !(await confirmed(`Disable the account ${login}? Its sessions and tokens end.`)))
    throw new UsageError('cancelled')
  const { email } = await withCore(async (core) => change(core, login, 'disabled'))
  console.log(`Disabled the account ${email}.`)
}

async function enable(login: string): Promise<void> {
  const { email } = await withCore(async (core) => change(core, login, 'active'))
  console.log(`Enabled the account ${email}.`)
}

async function sessions(login: string, { json }: { json?: boolean }): Promise<void> {
  const views = await withCore(async (core) => core.sessions.all((await accountCalled(core, login)).id))
  if (json) return printJson(views.map(presentSession))
  const rows = views.map((view) => ({
    id: view.id,
    client: view.clientName ?? view.clientId ?? '',
    device: [view.browser, view.system].filter(Boolean).join(' on '),
    address: view.address,
    'first seen': view.firstSeenAt.toISOString(),
    'last seen': view.lastSeenAt.toISOString(),
  }))
  printTable(rows, 'It is signed in nowhere.')
}

async function signOut(login: string): Promise<void> {
  const { email } = await withCore(async (core) => {
    const account = await accountCalled(core, login)
    await core.accountAdministration.signOut(OPERATOR, account.id)
    return account
  })
  console.log(`Signed ${email} out everywhere.`)
}

const change = async (core: Core, login: string, status: 'active' | 'disabled'): Promise<Account> =>
  core.accountAdministration.change(OPERATOR, (await accountCalled(core, login)).id, { status }, () => undefined)

/** By the names of the OpenID claims where there is one. Of the password only whether there is one. */
const present = (account: Account): Record<string, unknown> =>
  withoutUndefined({
    id: account.id,
    email: account.email,
    email_verified: account.emailVerified,
    username: account.username,
    first_name: account.firstName,
    last_name: account.lastName,
    locale: account.locale,
    status: account.status,
    has_password: account.passwordHash !== undefined,
    profile: account.profile,
    attributes: account.attributes,
    created_at: account.createdAt.toISOString(),
    updated_at: account.updatedAt.toISOString(),
  })

const presentSession = (view: SessionView): Record<string, unknown> =>
  withoutUndefined({
    id: view.id,
    client_id: view.clientId,
    client_name: view.clientName,
    browser: view.browser,
    system: view.system,
    address: view.address,
    first_seen_at: view.firstSeenAt.toISOString(),
    last_seen_at: view.lastSeenAt.toISOString(),
  })
