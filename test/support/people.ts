/** Two server processes with their REST API, and people of a test's own who have signed in over it. */
import { expect } from 'chai'
import { UNAUTHENTICATED } from './administration.ts'
import { type Api, createApi, problemOf } from './api.ts'
import { PASSWORD, type TokenResponse } from './code-flow.ts'
import { eventually } from './eventually.ts'
import { basic, type Reply, send } from './http.ts'
import { startWorld, type World } from './world.ts'

export interface Person {
  id: string
  bearer: string
}

export interface Rights {
  permissions?: readonly string[]
  /** What each role holds, beside what every installation has. */
  roles?: Readonly<Record<string, readonly string[]>>
}

/** An access token is dead to a server: at once to the one that killed it, soon to every other. */
export async function isRefusedBy(call: Api, bearer: string): Promise<void> {
  await eventually(async () => expect(problemOf(await call('GET', '/me', { bearer }))).to.deep.equal(UNAUTHENTICATED))
}

export type PeopledWorld = Awaited<ReturnType<typeof startPeopledWorld>>

export async function startPeopledWorld({ permissions = [], roles = {} }: Rights = {}) {
  const world: World = await startWorld({ servers: 2 })
  const { access, accounts, clients } = world.core
  try {
    await access.initialize()
    for (const key of permissions) await access.ensurePermission({ key })
    for (const [key, held] of Object.entries(roles)) await access.ensureRole({ key, permissions: [...held] })
  } catch (error) {
    await world.stop() // nobody has got hold of it
    throw error
  }
  const api = createApi(world)
  let serial = 0

  const unique = (prefix: string): string => {
    serial += 1
    return `${prefix}-${serial}`
  }
  const newAccount = (more: object = {}) =>
    accounts.create({ email: `${unique('person')}@example.org`, password: PASSWORD, emailVerified: true, ...more })
  async function signIn(login: string, more: object = {}): Promise<TokenResponse> {
    const reply = await api('POST', '/session', { json: { login, password: PASSWORD, ...more } })
    expect(reply.status, reply.text).to.equal(200)
    return reply.json<TokenResponse>()
  }

  return {
    world,
    api,
    another: createApi(world, 1),
    unique,
    newAccount,
    signIn,

    /** Somebody new who has these roles and is signed in. */
    async somebody(...held: string[]) {
      const { id, email } = await newAccount()
      for (const role of held) await access.assignRole(id, role)
      const { access_token: bearer, refresh_token: refresh } = await signIn(email)
      return { id, email, bearer, refresh }
    },

    /** The access token of a new client by itself. */
    async machine(id: string, scopes: string[], scope = scopes.join(' ')): Promise<string> {
      const { secret = '' } = await clients.create({ id, type: 'machine', scopes })
      const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
        form: { grant_type: 'client_credentials', ...(scope ? { scope } : {}) },
        headers: { Authorization: basic(id, secret) },
      })
      expect(reply.status, reply.text).to.equal(200)
      return reply.json<TokenResponse>().access_token
    },

    calling:
      ({ bearer }: Person) =>
      (method: string, path: string, json?: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
        api(method, path, { bearer, json, headers }),

    /** What the audit log tells of somebody or something, oldest first. */
    eventsOf: (target: string) =>
      world.stores.database.db
        .selectFrom('audit_events')
        .selectAll()
        .where('target_id', '=', target)
        .orderBy('id')
        .execute(),
  }
}
