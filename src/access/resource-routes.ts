/** /api/v1/resources. */
import { sendPage } from '../http/answers.ts'
import type { Api } from '../http/api.ts'
import { checkIfMatch, sendCreated, sendWithEtag } from '../http/etag.ts'
import { keyPageOf } from '../http/pagination.ts'
import type { Access } from './access.ts'
import { presentResource } from './presentation.ts'
import type { Resource, ResourceInput } from './resource.ts'
import { ADMIN, BY_KEY, IN_ORDER, KEY_TAKEN } from './route-words.ts'
import * as schemas from './schemas.ts'

const RESOURCES = '/api/v1/resources'

export function mountResources(api: Api, { resources }: Pick<Access, 'resources'>): void {
  const tag = 'Resources'
  const not_found = 'There is no such resource.'

  api.add(
    {
      id: 'listResources',
      method: 'get',
      path: RESOURCES,
      tag,
      summary: 'List resources',
      description: IN_ORDER,
      who: ADMIN,
      page: BY_KEY,
      answers: { 200: { description: 'One page.', schema: schemas.resourcePage } },
    },
    async function listResources(ctx, { page }) {
      sendPage(ctx, await resources.list(keyPageOf(page)), presentResource)
    },
  )

  api.add<schemas.NewResourceBody>(
    {
      id: 'createResource',
      method: 'post',
      path: RESOURCES,
      tag,
      summary: 'Create a resource',
      description: 'A protected kind of thing that permissions belong to, and the audience of its resource server.',
      who: ADMIN,
      body: schemas.newResourceBody,
      idempotent: true,
      answers: { 201: { description: 'The resource.', schema: schemas.resource } },
      errors: { conflict: KEY_TAKEN },
    },
    async function createResource(ctx, { caller, body: { key, ...rest } }) {
      const resource = await resources.create(caller.actor, { key, ...resourceOf(rest) })
      sendCreated(ctx, `${RESOURCES}/${resource.id}`, presentResource(resource))
    },
  )

  api.add(
    {
      id: 'readResource',
      method: 'get',
      path: `${RESOURCES}/{id}`,
      tag,
      summary: 'Read a resource',
      who: ADMIN,
      answers: { 200: { description: 'The resource.', schema: schemas.resource } },
      errors: { not_found },
    },
    async function readResource(ctx, { params: { id = '' } }) {
      sendWithEtag(ctx, presentResource(await resources.find(id)))
    },
  )

  api.add<schemas.ResourceChangeBody>(
    {
      id: 'changeResource',
      method: 'patch',
      path: `${RESOURCES}/{id}`,
      tag,
      summary: 'Change a resource',
      description: 'A key never changes.',
      who: ADMIN,
      body: schemas.resourceChangeBody,
      ifMatch: true,
      answers: { 200: { description: 'The resource as it is now.', schema: schemas.resource } },
      errors: { not_found },
    },
    async function changeResource(ctx, { caller, params: { id = '' }, body, ifMatch }) {
      const check = (before: Resource) => checkIfMatch(ifMatch, presentResource(before))
      sendWithEtag(ctx, presentResource(await resources.change(caller.actor, id, resourceOf(body), check)))
    },
  )

  api.add(
    {
      id: 'deleteResource',
      method: 'delete',
      path: `${RESOURCES}/{id}`,
      tag,
      summary: 'Delete a resource',
      who: ADMIN,
      answers: { 204: { description: 'It is gone.' } },
      errors: { not_found, in_use: 'Permissions belong to it; they are named.' },
    },
    async function deleteResource(ctx, { caller, params: { id = '' } }) {
      await resources.remove(caller.actor, id)
      ctx.status = 204
    },
  )
}

function resourceOf({ permissions_claim: claim, ...rest }: schemas.ResourceChangeBody): Omit<ResourceInput, 'key'> {
  return { ...rest, ...(claim === undefined ? {} : { permissionsClaim: claim }) }
}
