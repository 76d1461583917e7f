/** Who asks, and what is asked about, where round trips are counted. */
import { createLogger } from '../../src/observability/logger.ts'
import {
  ANNA,
  type CodeFlow,
  createAnna,
  createCodeFlow,
  PASSWORD,
  type TokenResponse,
  tokensOf,
} from '../support/code-flow.ts'
import type { CountedWorld } from '../support/counted-world.ts'
import { basic, type Reply, send } from '../support/http.ts'
import { codeIn, mailed } from '../support/mailed.ts'
import type { Page, UserAgent } from '../support/user-agent.ts'

/** Round trips to Redis and to SQL. */
export type Trips = readonly [redis: number, sql: number]
export type Work = () => Promise<unknown>

export interface Asked {
  /** In the places of the path's parameters, in their order. */
  at?: readonly string[]
  query?: Record<string, string>
  json?: unknown
  /** Whose token; nobody's when empty. Default: that of a superuser. */
  bearer?: string
}

/** The request that a row is about. Throws unless it is answered as wished. */
export type Call = (asked?: Asked) => Promise<Reply>
/** Prepares one request, and answers the work that is counted. */
export type Prepare = (cast: Cast, call: Call) => Work | Promise<Work>
/**
 * What one request costs; by default it is asked by a superuser and needs nothing more than the route says. `aim` is the
 * budget that it should come down to, where it is not there yet.
 */
export type Row = readonly [redis: number, sql: number, prepare?: Prepare, aim?: Trips]
/** By method and path as declared, with a word behind a comma where one route has several rows. */
export type Rows = Readonly<Record<string, Row>>

export interface Person {
  id: string
  email: string
  bearer: string
  refreshToken: string
}

/** What is created by a POST to a collection of that name. */
const BODIES = {
  accounts: (unique: string) => ({ email: `${unique}@example.org` }),
  clients: () => ({ type: 'machine' }),
  permissions: (key: string) => ({ key }),
  roles: (key: string) => ({ key }),
  resources: (key: string) => ({ key }),
  teams: (key: string) => ({ key }),
  visibility_groups: (key: string) => ({ key }),
}
export type Collection = keyof typeof BODIES

const REDIRECT_URI = 'https://client.example/cb'

export type Cast = Awaited<ReturnType<typeof createCast>>

export async function createCast(world: CountedWorld) {
  const { access, accounts, clients, outbox } = world.core
  const address = world.servers[0]?.address ?? ''
  let serial = 0
  const unique = (): string => {
    serial += 1
    return `thing-${serial}`
  }

  async function ask(method: string, path: string, { query, json, bearer = root.bearer }: Asked = {}): Promise<Reply> {
    const reply = await send(address, world.issuer, query ? `${path}?${new URLSearchParams(query)}` : path, {
      method,
      ...(json === undefined ? {} : { json }),
      headers: bearer === '' ? {} : { Authorization: `Bearer ${bearer}` },
    })
    if (reply.status >= 400) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`)
    return reply
  }

  async function signIn(login: string): Promise<TokenResponse> {
    const reply = await ask('POST', '/api/v1/session', { json: { login, password: PASSWORD }, bearer: '' })
    return reply.json<TokenResponse>()
  }

  /** Somebody new, signed in. */
  async function person(...roles: string[]): Promise<Person> {
    const email = `${unique()}@example.org`
    const { id } = await accounts.create({ email, password: PASSWORD, emailVerified: true })
    for (const role of roles) await access.assignRole(id, role)
    const { access_token: bearer, refresh_token: refreshToken } = await signIn(email)
    return { id, email, bearer, refreshToken }
  }

  async function serviceWith(scope: string): Promise<string> {
    const { client, secret = '' } = await clients.create({ type: 'machine', scopes: [scope] })
    const reply = await send(address, world.issuer, '/oauth2/token', {
      form: { grant_type: 'client_credentials', scope },
      headers: { Authorization: basic(client.id, secret) },
    })
    return tokensOf(reply).access_token
  }

  await access.initialize()
  await access.ensurePermission({ key: 'movies:edit' })
  await createAnna(world)
  const { secret } = await clients.create({
    id: 'app',
    type: 'web',
    firstParty: true,
    grantTypes: ['authorization_code', 'refresh_token', 'password', 'client_credentials'],
    redirectUris: [REDIRECT_URI],
  })
  const flow: CodeFlow = createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI })
  const agent = flow.newAgent()
  await flow.authorize(agent)
  const root: Person = await person('superuser')
  const self = await person()

  /** Creates what a collection holds, and answers its id. */
  const make = async (collection: Collection, more: object = {}): Promise<string> =>
    (await ask('POST', `/api/v1/${collection}`, { json: { ...BODIES[collection](unique()), ...more } })).json<{
      id: string
    }>().id

  // A list of one thing would not show what every further thing costs.
  for (const collection of Object.keys(BODIES) as Collection[]) for (let i = 0; i < 3; i += 1) await make(collection)

  return {
    world,
    flow,
    /** Signed in as Anna. */
    agent,
    root,
    self,
    /** A service that may ask what others may do, and one that is told of revocations. */
    reader: await serviceWith('access:read'),
    listener: await serviceWith('events:read'),
    address,
    unique,
    ask,
    person,
    signIn,
    make,

    /** Tokens of Anna's session, of a sign-in of their own. */
    fresh: async (): Promise<TokenResponse> =>
      tokensOf(await flow.redeem(await flow.authorize(agent, { prompt: 'none' }))),

    /** A POST to the token endpoint by an application. */
    grant: (form: Record<string, string>) => flow.post('/oauth2/token', form),

    signInPage: async (browser: UserAgent): Promise<Page> => browser.open(flow.requestOf().url),
    anna: { login: ANNA.login, password: PASSWORD },

    /** The code that an address was mailed last; mail goes out only here. */
    async codeFor(email: string): Promise<string> {
      outbox.start(createLogger({ level: 'silent' }))
      try {
        return codeIn(await mailed(world, email))
      } finally {
        await outbox.stop()
      }
    },

    /** Puts what rows take for granted into memory: the caller's permissions and the client. */
    async warm(): Promise<void> {
      await ask('GET', '/api/v1/permissions', { query: { limit: '1' } })
      await flow.post('/oauth2/token', { grant_type: 'client_credentials' })
    },
  }
}
