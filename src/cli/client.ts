import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { OPERATOR } from '../audit-event.ts'
import type { Client, ClientAuthMethod, ClientType } from '../clients/client.ts'
import type { ClientInput } from '../clients/client-registration.ts'
import { clientMembers } from './client-members.ts'
import { everyAfter } from './every-page.ts'
import { examples } from './examples.ts'
import { UsageError } from './failure.ts'
import { printJson, printMembers, printTable, withoutUndefined } from './output.ts'
import { chosen, confirmed, secretFrom } from './prompt.ts'
import { several } from './several.ts'
import { withCore } from './with-core.ts'

const TYPES: readonly ClientType[] = ['web', 'spa', 'native', 'machine']
const AUTH_METHODS: readonly ClientAuthMethod[] = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
]
const GRANTS = ['authorization_code', 'refresh_token', 'client_credentials', 'password']

interface CreateOptions {
  id?: string
  name?: string
  type?: ClientType
  secret?: string
  secretFile?: string
  redirectUri?: string[]
  postLogoutRedirectUri?: string[]
  grant?: string[]
  scope?: string[]
  firstParty?: boolean
  pkce: boolean
  audience?: string
  authMethod?: ClientAuthMethod
  jwksFile?: string
  accessTokenTtl?: number
  refreshTokenTtl?: number
  json?: boolean
}

export function addClient(program: Command): void {
  const client = program.command('client').description('Register, list, show or delete client applications')
  client
    .command('create')
    .description('Register a client; a generated secret is printed once')
    .addOption(new Option('--type <type>', 'what kind of application it is').choices(TYPES))
    .option('--id <id>', 'client_id; generated when absent')
    .option('--name <name>', 'what people see on the consent page')
    .option('--secret <secret>', 'its secret, at least 32 characters; generated when absent and needed')
    .option('--secret-file <path>', 'a file that holds the secret; - reads standard input')
    .option('--redirect-uri <uri>', 'where codes may be sent, exactly (repeatable)', several)
    .option('--post-logout-redirect-uri <uri>', 'where a sign-out may end (repeatable)', several)
    .addOption(new Option('--grant <grant>', `${GRANTS.join(', ')} (repeatable)`).argParser(severalOf(GRANTS)))
    .option('--scope <scope>', 'OpenID or API scope it may ask for (repeatable, or several in quotes)', severalWords)
    .option('--first-party', 'belongs to this installation: no consent page, may use the password grant')
    .option('--no-pkce', 'do not demand PKCE (confidential clients only)')
    .option('--audience <uri>', 'the aud of its access tokens when a request names no resource')
    .addOption(new Option('--auth-method <method>', 'how it authenticates at the token endpoint').choices(AUTH_METHODS))
    .option('--jwks-file <path>', 'its public keys as a JSON Web Key Set, for private_key_jwt')
    .option('--access-token-ttl <seconds>', 'life of its access tokens', seconds)
    .option('--refresh-token-ttl <seconds>', 'life of its refresh tokens', seconds)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'usher client create --type web --name "My shop" --redirect-uri https://shop.example/callback',
        'usher client create --id mobile --type native --redirect-uri com.example.app:/callback --scope "openid offline_access"',
        'usher client create --id worker --type machine --scope orders:read --scope orders:write',
      ),
    )
    .action(create)
  client
    .command('list')
    .description('List the clients')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher client list'))
    .action(list)
  client
    .command('show <id>')
    .description('Show one client, without its secret')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('usher client show shop'))
    .action(show)
  client
    .command('delete <id>')
    .description('Delete a client; its grants and tokens end')
    .option('--yes', 'do not ask')
    .addHelpText('after', examples('usher client delete shop --yes'))
    .action(remove)
  client.addHelpText('after', examples('usher client create --help', 'usher client list'))
}

const severalWords = (value: string, before: string[] = []): string[] => [
  ...before,
  ...value.split(/\s+/).filter((word) => word !== ''),
]

const severalOf =
  (choices: readonly string[]) =>
  (value: string, before: string[] = []): string[] => {
    if (!choices.includes(value)) throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.`)
    return [...before, value]
  }

function seconds(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError('It must be a whole number of seconds.')
  return Number(value)
}

async function create(options: CreateOptions): Promise<void> {
  const type = await chosen(options.type, TYPES, '--type', 'What kind of application is it?')
  const input = inputOf({ ...options, type })
  const { client, secret } = await withCore(({ clientAdministration }) => clientAdministration.create(OPERATOR, input))
  if (options.json) return printJson({ ...presentClient(client), ...(secret ? { client_secret: secret } : {}) })
  console.log(`Registered the ${client.type} client "${client.name}".`)
  console.log(`client_id:     ${client.id}`)
  if (secret)
    console.log(`client_secret: ${secret}\nThe secret is shown this once; the server keeps only a digest of it.`)
}

function inputOf(options: CreateOptions & { type: ClientType }): ClientInput {
  const given: { [Name in keyof ClientInput]: ClientInput[Name] | undefined } = {
    id: options.id,
    name: options.name,
    type: options.type,
    secret: secretFrom(options.secret, options.secretFile, '--secret'),
    firstParty: options.firstParty,
    requirePkce: options.pkce ? undefined : false,
    grantTypes: options.grant,
    redirectUris: options.redirectUri,
    postLogoutRedirectUris: options.postLogoutRedirectUri,
    scopes: options.scope,
    audience: options.audience,
    accessTokenTtlSeconds: options.accessTokenTtl,
    refreshTokenTtlSeconds: options.refreshTokenTtl,
    tokenEndpointAuthMethod: options.authMethod,
    metadata: options.jwksFile === undefined ? undefined : { jwks: readJwks(options.jwksFile) },
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...set, type: options.type }
}

function readJwks(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw new UsageError(`--jwks-file is not a readable JSON file: ${path}`)
  }
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const clients = await withCore(({ clients }) => everyAfter(clients.list, ({ id }) => id))
  if (json) return printJson(clients.map(presentClient))
  const rows = clients.map((client) => ({
    id: client.id,
    name: client.name,
    type: client.type,
    grants: client.grantTypes.join(' '),
    'first party': client.firstParty ? 'yes' : 'no',
  }))
  printTable(rows, 'There are no clients yet. "usher client create" registers one.')
}

async function show(id: string, { json }: { json?: boolean }): Promise<void> {
  const client = await withCore(({ clients }) => clients.find(id))
  if (!client) throw new Error(`There is no client ${id}.`)
  const presented = presentClient(client)
  if (json) return printJson(presented)
  printMembers(presented)
}

async function remove(id: string, { yes }: { yes?: boolean }): Promise<void> {
  if (!yes && !(await confirmed(`Delete the client ${id}? Its grants and tokens end.`)))
    throw new UsageError('cancelled')
  await withCore(({ clientAdministration }) => clientAdministration.remove(OPERATOR, id))
  console.log(`Deleted the client ${id}.`)
}

/** Nothing of the secret. */
const presentClient = (client: Client): Record<string, unknown> =>
  withoutUndefined({
    client_id: client.id,
    client_name: client.name,
    type: client.type,
    ...clientMembers(client),
    ...client.metadata,
  })
