/**
 * The registered clients. The rules of registration are in
 * client-registration.ts; what an engine makes of a client belongs to the protocol, which checks it through
 * `checkClientMetadata` before anything is written.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Clock, systemClock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Database, Executor } from '../storage/tables.ts'
import { inTransaction } from '../storage/transaction.ts'
import { BUILT_IN_CLIENT } from './built-in-client.ts'
import type { Client } from './client.ts'
import { createClientCache } from './client-cache.ts'
import { type ClientInput, describeClient, usesSecret } from './client-registration.ts'
import { createSecretDigest, createSecretMatch, generateSecret } from './client-secret.ts'
import type { ClientSearch, ClientStore, FoundClient } from './client-store.ts'
import { createOwnOrigins } from './own-origins.ts'

/** The engine's own rules, asked at write time because it would refuse only at run time. Throws AppError bad_request. */
export type CheckClientMetadata = (client: Client) => void | Promise<void>

export interface ClientsDeps {
  db: Database
  store: ClientStore
  /** Keys the digests of secrets. */
  pepper: string
  production: boolean
  checkClientMetadata: CheckClientMetadata
  /** Ends every grant of the client. Called after it was removed, and safe to repeat. */
  revokeClient(clientId: string): Promise<void>
  /**
   * Runs last in a transaction after which nothing may live on that was given out before: also when this process dies
   * before it comes to revokeClient, services hear of it.
   */
  raiseFloor?(executor: Executor, clientId: string): Promise<unknown>
  /** The server's own clients. */
  builtIn?: readonly Client[]
  clock?: Clock
}

export interface Registered {
  client: Client
  /** In clear, when it was generated just now; nobody can read it again. */
  secret: string | undefined
}

/** A client before a write and after it; undefined where there is none. */
export interface ClientStates {
  before: Client | undefined
  after: Client | undefined
}

/**
 * Makes a write part of a larger one: called first of all in its transaction, it runs the write between what must come
 * before and what must come after, and throws to undo everything.
 */
export type AroundClient = (executor: Executor, states: ClientStates, write: () => Promise<void>) => Promise<void>

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
const REWRITE_ATTEMPTS = 5
const POSSIBLE_ID = /^[A-Za-z0-9._~-]{1,64}$/

export function createClients(deps: ClientsDeps) {
  const { db, store, production, checkClientMetadata, revokeClient, raiseFloor, clock = systemClock } = deps
  const secretDigest = createSecretDigest(deps.pepper)
  const builtIn = new Map((deps.builtIn ?? [BUILT_IN_CLIENT]).map((client) => [client.id, client]))
  const cache = createClientCache({ load: (id) => store.findById(db, id), clock })

  /** Undefined for an id that no client can have, without asking the database. */
  const find = async (id: string): Promise<Client | undefined> => {
    const own = builtIn.get(id)
    if (own) return own
    return POSSIBLE_ID.test(id) ? cache.find(id) : undefined
  }

  /** As it is stored now. Throws not_found (404), conflict (409) for a client of the server itself. */
  async function existing(id: string): Promise<Client> {
    if (builtIn.has(id)) throw new AppError('conflict', 409, 'This client is a part of the server and stays as it is.')
    const client = POSSIBLE_ID.test(id) ? await store.findById(db, id) : undefined
    if (!client) throw notFound()
    return client
  }

  async function create(input: ClientInput, around: AroundClient = plainly): Promise<Registered> {
    if (input.id !== undefined && builtIn.has(input.id)) throw idTaken(input.id)
    const described = await checked(input)
    const secret = usesSecret(described) ? (input.secret ?? generateSecret()) : undefined
    const client = withSecret(described, secret)
    await inTransaction(db, (executor) =>
      around(executor, { before: undefined, after: client }, async () => {
        if (!(await store.insert(executor, client))) throw idTaken(client.id)
      }),
    )
    cache.forget(client.id)
    return { client, secret: input.secret === undefined ? secret : undefined }
  }

  async function ensure(input: NamedInput, around: AroundClient = plainly): Promise<Registered & { outcome: Outcome }> {
    const { outcome, before, client, generated } = await compare(input)
    if (!before) return { outcome, ...(await create(input, around)) }
    if (outcome === 'unchanged') return { outcome, client: before, secret: undefined }
    await inTransaction(db, (executor) =>
      around(executor, { before, after: client }, async () => {
        await store.update(executor, client, new Date(clock.now()))
      }),
    )
    cache.forget(client.id)
    return { outcome, client, secret: generated }
  }

  async function compare(input: NamedInput): Promise<Comparison> {
    const described = await checked(input)
    const before = await store.findById(db, input.id)
    if (!before) return { outcome: 'created', before, client: described, generated: undefined }
    return { before, ...succeeding(before, described, input) }
  }

  /** What becomes of a client that is described anew: without a secret in the description the one it has stays. */
  function succeeding(before: Client, described: Client, input: ClientInput): Omit<Comparison, 'before'> {
    const isNewlySecret = usesSecret(described) && before.secretDigest === undefined
    const generated = input.secret === undefined && isNewlySecret ? generateSecret() : undefined
    const secret = input.secret ?? generated
    const client = secret === undefined ? withDigestOf(before, described) : withSecret(described, secret)
    return { outcome: isDeepStrictEqual(before, client) ? 'unchanged' : 'changed', client, generated }
  }

  async function checked(input: ClientInput): Promise<Client> {
    const client = describeClient(input, { production })
    await checkClientMetadata(client)
    return client
  }

  const withSecret = (client: Client, secret: string | undefined): Client =>
    secret === undefined ? client : { ...client, secretDigest: secretDigest(client.id, secret) }

  const revise = (id: string, decide: (before: Client) => ClientInput, around?: AroundClient): Promise<Registered> =>
    rewrite(id, around, async (before) => {
      const input = decide(before)
      const { client, generated } = succeeding(before, await checked(input), input)
      return { client, secret: generated }
    })

  const rotateSecret = (id: string, around?: AroundClient): Promise<Registered> =>
    rewrite(id, around, async (before) => {
      if (!usesSecret(before)) throw new AppError('conflict', 409, 'A client that authenticates so has no secret.')
      const secret = generateSecret()
      return { client: withSecret(before, secret), secret }
    })

  /** What is decided about a state is written only while that state lasts; otherwise it is decided anew. */
  async function rewrite(
    id: string,
    around: AroundClient = plainly,
    decide: (before: Client) => Promise<Registered>,
  ): Promise<Registered> {
    for (let attempt = 1; ; attempt += 1) {
      const before = await existing(id)
      const decided = await decide(before)
      try {
        await inTransaction(db, (executor) =>
          around(executor, { before, after: decided.client }, async () => {
            if (!isDeepStrictEqual(await store.lock(executor, id), before)) throw new Outdated()
            await store.update(executor, decided.client, new Date(clock.now()))
          }),
        )
        cache.forget(id)
        return decided
      } catch (error) {
        if (!(error instanceof Outdated) || attempt === REWRITE_ATTEMPTS) throw error
      }
    }
  }

  async function remove(id: string, around: AroundClient = plainly): Promise<void> {
    const before = await existing(id)
    await inTransaction(db, (executor) =>
      around(executor, { before, after: undefined }, async () => {
        if (!isDeepStrictEqual(await store.lock(executor, id), before)) throw new Outdated()
        await store.remove(executor, id)
        await raiseFloor?.(executor, id)
      }),
    )
    cache.forget(id)
    await revokeClient(id)
  }

  return {
    /**
     * The client, at most 5 s old and always the same frozen object while it is unchanged.
     * Throws Unavailable when the database does not answer.
     */
    find,

    /** As find, but as it is stored now: for whoever is about to change it. */
    read: async (id: string): Promise<Client | undefined> =>
      builtIn.get(id) ?? (POSSIBLE_ID.test(id) ? store.findById(db, id) : undefined),

    /**
     * Registers a client, as a part of a larger write. Throws AppError bad_request (400) with every fault, conflict (409)
     * when the id is taken.
     */
    create,

    /**
     * Describes a client anew, by a decision about its present state, as a part of a larger write. The secret stays, and
     * one is generated where it is needed for the first time. Throws like create, not_found (404), conflict (409) for a
     * client of the server itself, and whatever `decide` throws.
     */
    revise,

    /** Puts a new secret in the place of the old one. Throws not_found (404), conflict (409) where there is none. */
    rotateSecret,

    /**
     * For a declarative file: makes the client be as described, as a part of a larger write. Without a secret the one it
     * has stays.
     */
    ensure,

    /** What ensure would do, without doing it. Throws like it for malformed members. */
    foresee: async (input: NamedInput): Promise<Outcome> => (await compare(input)).outcome,

    /**
     * Removes a client, as a part of a larger write; its grants are revoked afterwards. Throws not_found (404), conflict
     * (409) for a client of the server itself and for one that somebody changes at the same moment.
     */
    remove,

    /** A page of those whose name begins with a text, in that order, and then of those of whom only the id does. */
    search: (page: ClientSearch): Promise<FoundClient[]> => store.search(db, page),

    /** A page in the order of ids. `after` is the id of the last client of the page before. */
    list: ({ after, limit = 20 }: { after?: string; limit?: number } = {}): Promise<Client[]> =>
      store.list(db, { after, limit: Math.min(Math.max(limit, 1), MAX_PAGE) }),

    /** Whether an origin is that of a page of a first-party public client, at most 5 s behind. Throws Unavailable. */
    isOwnOrigin: createOwnOrigins({ load: () => store.ownRedirectUris(db), clock }),

    /** Whether the secret is the client's, in constant time. A client without a secret has no right one. */
    compareSecret: createSecretMatch(secretDigest),
  }
}

const plainly: AroundClient = (_executor, _states, write) => write()

/** Somebody else has written in between. */
class Outdated extends AppError {
  constructor() {
    super('conflict', 409, 'Somebody else is changing this client. Try again.')
  }
}

const notFound = () => new AppError('not_found', 404, 'There is no such client.')

const withDigestOf = (before: Client, client: Client): Client =>
  usesSecret(client) ? { ...client, secretDigest: before.secretDigest } : client

const idTaken = (id: string) => new AppError('conflict', 409, `A client with the id ${id} exists already.`)
