/** A server with the clients that outside libraries use; they speak to its issuer by name, as in the world. */
import { createAnna } from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'

export const CALLBACK = 'https://client.example/callback'
export const SIGNED_OUT = 'https://client.example/signed-out'
export const AUDIENCE = 'https://notes.example'

export interface InteropWorld extends World {
  /** Of the confidential client `web`. The client `spa` is public, `service` answers for AUDIENCE. */
  webSecret: string
  serviceSecret: string
}

export async function startInteropWorld(): Promise<InteropWorld> {
  const world = await startWorld()
  await createAnna(world)
  const common = {
    redirectUris: [CALLBACK],
    postLogoutRedirectUris: [SIGNED_OUT],
    scopes: ['openid', 'profile', 'email', 'offline_access', 'notes:read'],
    audience: AUDIENCE,
  }
  const web = await world.core.clients.create({ id: 'web', type: 'web', firstParty: true, ...common })
  await world.core.clients.create({ id: 'spa', type: 'spa', firstParty: false, ...common })
  const service = await world.core.clients.create({
    ...{ id: 'service', type: 'machine', audience: AUDIENCE, scopes: ['notes:read'] },
  })
  return { ...world, webSecret: web.secret ?? '', serviceSecret: service.secret ?? '' }
}
