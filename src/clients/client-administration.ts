/**
 * What administrators do with clients. A client must not become a detour: whoever may write clients could otherwise make
 * one that acts with more rights than they have, so some clients are only for those who hold what such a client gives.
 */
import type { AccessChanges } from '../access/access-change.ts'
import { ALL_ALL, PERMISSIONS_ADMIN } from '../access/permission.ts'
import type { Actor } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import type { Client } from './client.ts'
import type { ClientInput } from './client-registration.ts'
import type { AroundClient, Clients, Registered } from './clients.ts'
import { presentClient } from './presentation.ts'

/** Scopes of this server's own API, by the permission that an account needs for the same. */
export const POWERFUL_SCOPES: ReadonlyMap<string, string> = new Map([
  ['access:read', PERMISSIONS_ADMIN],
  ['events:read', PERMISSIONS_ADMIN],
])

/** Whoever writes a client of such a kind, also one that is no longer of it afterwards, must hold the permission. */
const CEILING: readonly [isSuch: (client: Client) => boolean, permission: string][] = [
  // Its tokens act for people on this API: whoever receives them is whoever signs in, superusers included.
  [(client) => client.firstParty, ALL_ALL],
  // It sees the passwords of people.
  [(client) => client.grantTypes.includes('password'), ALL_ALL],
  ...[...POWERFUL_SCOPES].map(([scope, permission]): [(client: Client) => boolean, string] => [
    (client) => client.scopes.includes(scope),
    permission,
  ]),
]

/** Members left out stay as they are; null takes a value away, also a member of the metadata. */
export type ClientPatch = {
  [Member in Exclude<keyof ClientInput, 'id' | 'secret'>]?: ClientInput[Member] | null | undefined
}

export interface ClientAdministrationDeps {
  clients: Pick<Clients, 'read' | 'search' | 'create' | 'ensure' | 'revise' | 'rotateSecret' | 'remove'>
  changes: AccessChanges
}

export type ClientAdministration = ReturnType<typeof createClientAdministration>

export function createClientAdministration({ clients, changes }: ClientAdministrationDeps) {
  /** The write with its ceiling before it and its audit event behind it. */
  const recorded =
    (actor: Actor, happening: string): AroundClient =>
    (executor, { before, after }, write) =>
      changes.within(executor, actor, async (change) => {
        await change.requireHolds(permissionsFor([before, after]))
        await write()
        await change.record({
          action: `client.${happening}`,
          target: { kind: 'client', id: (after ?? before)?.id ?? '' },
          before: before && presentClient(before),
          after: after && presentClient(after),
        })
      })

  return {
    /** A page of clients, as Clients.search has them. */
    list: clients.search,

    /** As it is stored now. Throws not_found (404). */
    async find(id: string): Promise<Client> {
      const client = await clients.read(id)
      if (!client) throw new AppError('not_found', 404, 'There is no such client.')
      return client
    },

    /**
     * Registers a client. Throws bad_request (400) with every fault, forbidden (403) naming the permissions that the
     * actor lacks for such a client, conflict (409) when the id is taken.
     */
    create: (actor: Actor, input: ClientInput): Promise<Registered> =>
      clients.create(input, recorded(actor, 'created')),

    /**
     * Changes a client. `mayChange` sees it as it is when it is changed, and throws to leave it so.
     * Throws as create does, not_found (404), and conflict (409) for a client of the server itself.
     */
    change: (actor: Actor, id: string, patch: ClientPatch, mayChange: (before: Client) => void): Promise<Registered> =>
      clients.revise(
        id,
        (before) => {
          mayChange(before)
          return patched(before, patch)
        },
        recorded(actor, 'changed'),
      ),

    /** For a declarative file, as Clients.ensure is. Throws as create does. */
    ensure: (actor: Actor, input: ClientInput & { id: string }) =>
      clients.ensure(input, (executor, states, write) =>
        recorded(actor, states.before ? 'changed' : 'created')(executor, states, write),
      ),

    /** Makes a new secret; the old one is dead. Throws as change does, and conflict (409) where there is none. */
    rotateSecret: (actor: Actor, id: string): Promise<Registered> =>
      clients.rotateSecret(id, recorded(actor, 'secret_rotated')),

    /** Removes a client with its grants and tokens. Throws as change does. */
    remove: (actor: Actor, id: string): Promise<void> => clients.remove(id, recorded(actor, 'deleted')),
  }
}

const permissionsFor = (states: readonly (Client | undefined)[]): Set<string> =>
  new Set(
    CEILING.filter(([isSuch]) => states.some((client) => client && isSuch(client))).map(([, permission]) => permission),
  )

/** The whole description that a patch of a client amounts to. */
function patched({ secretDigest: _, ...before }: Client, { metadata, ...patch }: ClientPatch): ClientInput {
  const merged = withoutNothing({ ...before.metadata, ...metadata })
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
  return { type: before.type, ...withoutNothing({ ...before, ...given }), metadata: merged }
}

const withoutNothing = (members: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null))
