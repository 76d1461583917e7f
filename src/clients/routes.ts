/** /api/v1/clients: the applications that may ask for tokens, for administrators. */
import type { Context } from 'koa'
import { CLIENTS_ADMIN } from '../access/permission.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import { onePage, type Page, pageOf } from '../http/pagination.ts'
import type { ClientAdministration, ClientPatch } from './client-administration.ts'
import type { Registered } from './clients.ts'
import { presentClient } from './presentation.ts'
import * as schemas from './schemas.ts'

export interface ClientRoutesDeps {
  clientAdministration: ClientAdministration
}

const CLIENTS = '/api/v1/clients'

const FOR_ADMINISTRATORS = { tag: 'Clients', who: { permissions: [CLIENTS_ADMIN] } } as const
const ONE = {
  ...FOR_ADMINISTRATORS,
  path: `${CLIENTS}/{id}`,
  params: { id: { description: 'The `client_id`.', schema: schemas.clientId } },
} as const

const UNKNOWN = 'There is no such client.'
const BEYOND =
  'You lack a permission for such a client; the faults name it. First-party clients and the grant `password` need ' +
  '`all_all`, the scopes `access:read` and `events:read` need `permissions_admin`.'
const FIXED = 'This client is a part of the server.'

export function mountClients(api: Api, deps: ClientRoutesDeps): void {
  mountCollection(api, deps)
  mountOne(api, deps)
}

function mountCollection(api: Api, { clientAdministration }: ClientRoutesDeps): void {
  api.add(
    {
      ...FOR_ADMINISTRATORS,
      id: 'listClients',
      method: 'get',
      path: CLIENTS,
      summary: 'List the clients',
      description:
        'In the order of their names. A search finds those whose name begins with the text, and behind them those of ' +
        'whom only the id does, in the order of the ids.',
      page: { cursor: ['number', 'string', 'string'], search: 'How the name or the id begins.' },
      answers: { 200: { description: 'A page of clients.', schema: schemas.clientPage } },
    },
    async function listClients(ctx, { page }) {
      const { limit, search } = page
      const found = await clientAdministration.list({ search, limit: limit + 1, after: positionOf(page) })
      const { items, next } = onePage(found, limit, ({ turn, text, item }) => [turn, text, item.id])
      ctx.set('Cache-Control', 'no-store')
      ctx.body = pageOf(
        items.map(({ item }) => presentClient(item)),
        next,
      )
    },
  )

  api.add<schemas.ClientCreation>(
    {
      ...FOR_ADMINISTRATORS,
      id: 'createClient',
      method: 'post',
      path: CLIENTS,
      summary: 'Register a client',
      description:
        'Members that are left out get the default of the type. A secret that was made up is shown this once.',
      body: schemas.clientCreation,
      idempotent: true,
      answers: { 201: { description: 'The new client.', schema: schemas.registeredClient } },
      errors: { forbidden: BEYOND, conflict: 'The id is taken.' },
    },
    async function createClient(ctx, { caller, body: { id, secret, type, ...rest } }) {
      const own = { ...(id === undefined ? {} : { id }), ...(secret === undefined ? {} : { secret }) }
      const registered = await clientAdministration.create(caller.actor, { ...own, ...givenOf(rest), type })
      sendCreated(ctx, `${CLIENTS}/${registered.client.id}`, presentClient(registered.client))
      addSecret(ctx, registered)
    },
  )
}

function mountOne(api: Api, { clientAdministration }: ClientRoutesDeps): void {
  api.add(
    {
      ...ONE,
      id: 'getClient',
      method: 'get',
      summary: 'Read a client',
      answers: { 200: { description: 'The client.', schema: schemas.client } },
      errors: { not_found: UNKNOWN },
    },
    async function showClient(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentClient(await clientAdministration.find(id)))
    },
  )

  api.add<schemas.ClientChange>(
    {
      ...ONE,
      id: 'changeClient',
      method: 'patch',
      summary: 'Change a client',
      description:
        'Members that are left out stay; null removes one. A client that needs a secret for the first time gets one, ' +
        'shown this once. Other processes of the server follow within five seconds.',
      body: schemas.clientChange,
      ifMatch: true,
      answers: { 200: { description: 'The client as it is now.', schema: schemas.registeredClient } },
      errors: { forbidden: BEYOND, not_found: UNKNOWN, conflict: `${FIXED} Or somebody else changes it right now.` },
    },
    async function changeClient(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const registered = await clientAdministration.change(caller.actor, id, patchOf(body), (before) =>
        checkIfMatch(ifMatch, presentClient(before)),
      )
      sendWithEtag(ctx, presentClient(registered.client))
      addSecret(ctx, registered)
    },
  )

  api.add(
    {
      ...ONE,
      id: 'deleteClient',
      method: 'delete',
      summary: 'Delete a client',
      description: 'With its grants and tokens.',
      answers: { 204: { description: 'It is gone.' } },
      errors: { forbidden: BEYOND, not_found: UNKNOWN, conflict: `${FIXED} Or somebody else changes it right now.` },
    },
    async function deleteClient(ctx, { caller, params: { id = '' } }) {
      await clientAdministration.remove(caller.actor, id)
      ctx.status = 204
    },
  )

  api.add(
    {
      ...ONE,
      id: 'rotateClientSecret',
      method: 'post',
      path: `${CLIENTS}/{id}/secret`,
      summary: 'Give a client a new secret',
      description: 'The old one is dead at once, in other processes of the server within five seconds.',
      answers: { 200: { description: 'The new secret.', schema: schemas.secret } },
      errors: { forbidden: BEYOND, not_found: UNKNOWN, conflict: `${FIXED} Or it has no secret.` },
    },
    async function rotateClientSecret(ctx, { caller, params: { id = '' } }) {
      const { secret } = await clientAdministration.rotateSecret(caller.actor, id)
      ctx.set('Cache-Control', 'no-store')
      ctx.body = { client_secret: secret }
    },
  )
}

/** Beside the representation, so that its validator is that of the client. */
function addSecret(ctx: Context, { client, secret }: Registered): void {
  if (secret === undefined) return
  ctx.status = ctx.status === 304 ? 200 : ctx.status
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { ...presentClient(client), client_secret: secret }
}

function positionOf({ cursor }: Page) {
  if (!cursor) return undefined
  const [turn, text, id] = cursor
  return { turn: Number(turn), text: String(text), id: String(id) }
}

const patchOf = (body: schemas.ClientChange): ClientPatch => ({
  name: body.name,
  type: body.type,
  firstParty: body.first_party,
  requirePkce: body.require_pkce,
  grantTypes: body.grant_types,
  redirectUris: body.redirect_uris,
  postLogoutRedirectUris: body.post_logout_redirect_uris,
  scopes: body.scopes,
  audience: body.audience,
  accessTokenTtlSeconds: body.access_token_ttl_seconds,
  refreshTokenTtlSeconds: body.refresh_token_ttl_seconds,
  tokenEndpointAuthMethod: body.token_endpoint_auth_method,
  metadata: body.metadata,
})

/** What a body says; null says nothing that the default would not. */
const givenOf = (body: schemas.ClientChange): object =>
  Object.fromEntries(Object.entries(patchOf(body)).filter(([, value]) => value !== undefined && value !== null))
