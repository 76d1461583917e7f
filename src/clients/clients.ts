/**
 * The registered clients. The rules of registration are in
 * client-registration.ts; what an engine makes of a client belongs to the protocol, which checks it through
 * `checkClientMetadata` before anything is written.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Clock, systemClock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Database } from '../storage/tables.ts'
import { BUILT_IN_CLIENT } from './built-in-client.ts'
import type { Client } from './client.ts'
import { createClientCache } from './client-cache.ts'
import { type ClientInput, describeClient, usesSecret } from './client-registration.ts'
import { generateSecret, isSameDigest, secretDigest } from './client-secret.ts'
import type { ClientStore } from './client-store.ts'
import { createOwnOrigins } from './own-origins.ts'

/** The engine's own rules, asked at write time because it would refuse only at run time. Throws AppError bad_request. */
export type CheckClientMetadata = (client: Client) => void | Promise<void>

export interface ClientsDeps {
  db: Database
  store: ClientStore
  /** Keys the digests of secrets. */
  pepper: string | Buffer
  production: boolean
  checkClientMetadata: CheckClientMetadata
  /** Ends every grant of the client. Called after it was removed, and safe to repeat. */
  revokeClient(clientId: string): Promise<void>
  /** The server's own clients. */
  builtIn?: readonly Client[]
  clock?: Clock
}

export interface Registered {
  client: Client
  /** In clear, when it was generated just now; nobody can read it again. */
  secret: string | undefined
}

export type Outcome = 'created' | 'changed' | 'unchanged'

type NamedInput = ClientInput & { id: string }

interface Comparison {
  outcome: Outcome
  before: Client | undefined
  client: Client
  /** A new secret in clear. */
  generated: string | undefined
}

export type Clients = ReturnType<typeof createClients>

const MAX_PAGE = 100
const POSSIBLE_ID = /^[A-Za-z0-9._~-]{1,64}$/

export function createClients(deps: ClientsDeps) {
  const { db, store, pepper, production, checkClientMetadata, revokeClient, clock = systemClock } = deps
  const builtIn = new Map((deps.builtIn ?? [BUILT_IN_CLIENT]).map((client) => [client.id, client]))
  const cache = createClientCache({ load: (id) => store.findById(db, id), clock })

  /** Undefined for an id that no client can have, without asking the database. */
  const find = async (id: string): Promise<Client | undefined> => {
    const own = builtIn.get(id)
    if (own) return own
    return POSSIBLE_ID.test(id) ? cache.find(id) : undefined
  }

  async function create(input: ClientInput): Promise<Registered> {
    if (input.id !== undefined && builtIn.has(input.id)) throw idTaken(input.id)
    const described = await checked(input)
    const secret = usesSecret(described) ? (input.secret ?? generateSecret()) : undefined
    const client = withSecret(described, secret)
    if (!(await store.insert(db, client))) throw idTaken(client.id)
    cache.forget(client.id)
    return { client, secret: input.secret === undefined ? secret : undefined }
  }

  async function ensure(input: NamedInput): Promise<Registered & { outcome: Outcome }> {
    const { outcome, before, client, generated } = await compare(input)
    if (!before) return { outcome, ...(await create(input)) }
    if (outcome === 'unchanged') return { outcome, client: before, secret: undefined }
    await store.update(db, client, new Date(clock.now()))
    cache.forget(client.id)
    return { outcome, client, secret: generated }
  }

  async function compare(input: NamedInput): Promise<Comparison> {
    const described = await checked(input)
    const before = await store.findById(db, input.id)
    if (!before) return { outcome: 'created', before, client: described, generated: undefined }
    const isNewlySecret = usesSecret(described) && before.secretDigest === undefined
    const generated = input.secret === undefined && isNewlySecret ? generateSecret() : undefined
    const secret = input.secret ?? generated
    const client = secret === undefined ? withDigestOf(before, described) : withSecret(described, secret)
    return { outcome: isDeepStrictEqual(before, client) ? 'unchanged' : 'changed', before, client, generated }
  }

  async function checked(input: ClientInput): Promise<Client> {
    const client = describeClient(input, { production })
    await checkClientMetadata(client)
    return client
  }

  const withSecret = (client: Client, secret: string | undefined): Client =>
    secret === undefined ? client : { ...client, secretDigest: secretDigest(client.id, secret, pepper) }

  async function remove(id: string): Promise<void> {
    const wasThere = POSSIBLE_ID.test(id) && (await store.remove(db, id))
    if (!wasThere) throw new AppError('not_found', 404, 'There is no such client.')
    cache.forget(id)
    await revokeClient(id)
  }

  return {
    /**
     * The client, at most 5 s old and always the same frozen object while it is unchanged.
     * Throws Unavailable when the database does not answer.
     */
    find,

    /** Registers a client. Throws AppError bad_request (400) with every fault, conflict (409) when the id is taken. */
    create,

    /** For a declarative file: makes the client be as described. Without a secret the one it has stays. */
    ensure,

    /** What ensure would do, without doing it. Throws like it for malformed members. */
    foresee: async (input: NamedInput): Promise<Outcome> => (await compare(input)).outcome,

    /** Throws not_found (404). Its grants are revoked afterwards. */
    remove,

    /** A page in the order of ids. `after` is the id of the last client of the page before. */
    list: ({ after, limit = 20 }: { after?: string; limit?: number } = {}): Promise<Client[]> =>
      store.list(db, { after, limit: Math.min(Math.max(limit, 1), MAX_PAGE) }),

    /** Whether an origin is that of a page of a first-party public client, at most 5 s behind. Throws Unavailable. */
    isOwnOrigin: createOwnOrigins({ load: () => store.ownRedirectUris(db), clock }),

    /** Whether the secret is the client's, in constant time. A client without a secret has no right one. */
    compareSecret: (client: Pick<Client, 'id' | 'secretDigest'>, secret: string): boolean =>
      client.secretDigest !== undefined && isSameDigest(client.secretDigest, secretDigest(client.id, secret, pepper)),
  }
}

const withDigestOf = (before: Client, client: Client): Client =>
  usesSecret(client) ? { ...client, secretDigest: before.secretDigest } : client

const idTaken = (id: string) => new AppError('conflict', 409, `A client with the id ${id} exists already.`)
