/** What every route of the REST API costs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { PASSWORD } from '../support/code-flow.ts'
import { listenTo } from '../support/event-stream.ts'
import type { Asked, Cast, Collection, Person, Prepare, Rows } from './cast.ts'

type About = (cast: Cast) => Asked | Promise<Asked>

/** One request, as made up anew each time. */
const asking =
  (about: About): Prepare =>
  async (cast, call) => {
    const asked = await about(cast)
    return () => call(asked)
  }

const saying = (json: object): Prepare => asking(() => ({ json }))
const creating = (more: object = {}): Prepare => asking(({ unique }) => ({ json: { key: unique(), ...more } }))
/** About something new of a collection. */
const on = (collection: Collection, json?: object): Prepare =>
  asking(async ({ make }) => ({ at: [await make(collection)], json }))
const DESCRIBED = { description: 'Another one' }

type Link = [below: Collection, part: string, of: Collection, bodyOf: (id: string, key: string) => object]

const keyOf = async ({ ask }: Cast, collection: Collection, id: string): Promise<string> =>
  (await ask('GET', `/api/v1/${collection}/${id}`)).json<{ key?: string }>().key ?? ''

async function ends(cast: Cast, [below, part, of, bodyOf]: Link) {
  const [id, other] = [await cast.make(below), await cast.make(of)]
  const json = bodyOf(other, await keyOf(cast, of, other))
  return { id, other, json, link: () => cast.ask('POST', `/api/v1/${below}/${id}/${part}`, { json }) }
}

const linking = (link: Link): Prepare =>
  asking(async (cast) => {
    const { id, json } = await ends(cast, link)
    return { at: [id], json }
  })
const cutting = (link: Link): Prepare =>
  asking(async (cast) => {
    const { id, other, link: connect } = await ends(cast, link)
    await connect()
    return { at: [id, other] }
  })
const listing = (link: Link): Prepare =>
  asking(async (cast) => {
    const { id, link: connect } = await ends(cast, link)
    await connect()
    for (let count = 0; count < 2; count += 1) {
      const other = await cast.make(link[2])
      const json = link[3](other, await keyOf(cast, link[2], other))
      await cast.ask('POST', `/api/v1/${link[0]}/${id}/${link[1]}`, { json })
    }
    return { at: [id] }
  })

const ROLE_PERMISSIONS: Link = ['roles', 'permissions', 'permissions', (_, permission) => ({ permission })]
const ROLE_INCLUDES: Link = ['roles', 'includes', 'roles', (_, role) => ({ role })]
const ACCOUNT_ROLES: Link = ['accounts', 'roles', 'roles', (_, role) => ({ role })]
const ACCOUNT_PERMISSIONS: Link = ['accounts', 'permissions', 'permissions', (_, permission) => ({ permission })]
const TEAM_MEMBERS: Link = ['teams', 'members', 'accounts', (account_id) => ({ account_id })]
const TEAM_ROLES: Link = ['teams', 'roles', 'roles', (_, role) => ({ role })]
const GROUP_MEMBERS: Link = ['visibility_groups', 'members', 'accounts', (account_id) => ({ account_id })]

/** By the account itself, which is always the same. */
const bySelf = (more: Asked = {}): Prepare => asking(({ self }) => ({ ...more, bearer: self.bearer }))
/** By an account that was made for it, because it is not the same afterwards. */
const byOne = (about: (person: Person, cast: Cast) => Asked | Promise<Asked> = () => ({})): Prepare =>
  asking(async (cast) => {
    const person = await cast.person()
    return { bearer: person.bearer, ...(await about(person, cast)) }
  })
const onOne = (more: Asked = {}): Prepare => asking(async ({ person }) => ({ at: [(await person()).id], ...more }))

const sessionIdsOf = async ({ ask }: Cast, { bearer }: Person): Promise<string[]> =>
  (await ask('GET', '/api/v1/me/sessions', { bearer })).json<{ items: { id: string }[] }>().items.map(({ id }) => id)

const ofSelf = (more: Asked = {}): Prepare => asking(({ self, reader }) => ({ at: [self.id], bearer: reader, ...more }))
const QUESTION = { permissions: 'movies:edit' }
const COMBINED = ofSelf()
const BY_QUERY = ofSelf({ query: QUESTION })
const BY_BODY = ofSelf({ json: QUESTION })
const EXPLAINED = ofSelf({ query: { ...QUESTION, explain: 'true' } })
const evaluating = (many: boolean): Prepare =>
  asking(({ self, reader }) => {
    const subject = { type: 'user', id: self.id }
    const rest = { action: { name: 'edit' }, resource: { type: 'movies', id: '1' } }
    return { bearer: reader, json: many ? { ...rest, evaluations: [{ subject }, { subject }] } : { subject, ...rest } }
  })

const NEW_PASSWORD = 'a wholly different pass phrase'
const byNobody = (about: (cast: Cast) => object | Promise<object>): Prepare =>
  asking(async (cast) => ({ bearer: '', json: await about(cast) }))
const newcomer = ({ unique }: Cast) => ({ email: `${unique()}@example.org`, password: PASSWORD })

export const REST_ROWS: Rows = {
  'POST /api/v1/session': [5, 2, byNobody(({ self }) => ({ login: self.email, password: PASSWORD })), [1, 2]],
  'POST /api/v1/session/refresh': [
    4,
    1,
    byNobody(async ({ person }) => ({ refresh_token: (await person()).refreshToken })),
    [1, 0],
  ],
  'DELETE /api/v1/session': [4, 1, byOne()],
  'POST /api/v1/registration': [4, 1, byNobody(newcomer)],
  'POST /api/v1/registration/verify': [
    4,
    6,
    byNobody(async (cast) => {
      const json = newcomer(cast)
      await cast.ask('POST', '/api/v1/registration', { json, bearer: '' })
      return { email: json.email, code: await cast.codeFor(json.email) }
    }),
  ],
  'POST /api/v1/password-reset': [1, 1, byNobody(async ({ person }) => ({ email: (await person()).email }))],
  'POST /api/v1/password-reset, of nobody': [1, 1, byNobody(({ unique }) => ({ email: `${unique()}@example.org` }))],
  'POST /api/v1/password-reset/confirm': [
    5,
    13,
    byNobody(async ({ person, ask, codeFor }) => {
      const { email } = await person()
      await ask('POST', '/api/v1/password-reset', { json: { email }, bearer: '' })
      return { email, code: await codeFor(email), new_password: NEW_PASSWORD }
    }),
    [1, 4],
  ],

  'GET /api/v1/auth_token/validation': [0, 0, bySelf()],
  'GET /.well-known/authzen-configuration': [0, 0, asking(() => ({ bearer: '' }))],
  'POST /access/v1/evaluation': [0, 0, evaluating(false)],
  'POST /access/v1/evaluations': [0, 0, evaluating(true)],
  'GET /api/v1/accounts/{id}/combined_permissions': [0, 0, COMBINED],
  'GET /api/v1/accounts/{id}/combined_permissions/validation': [0, 0, BY_QUERY],
  'GET /api/v1/accounts/{id}/combined_permissions/validation, and why': [0, 5, EXPLAINED],
  'POST /api/v1/accounts/{id}/combined_permissions/validation': [0, 0, BY_BODY],
  'GET /api/v1/users/{id}/combined_permissions': [0, 0, COMBINED],
  'GET /api/v1/users/{id}/combined_permissions/validation': [0, 0, BY_QUERY],
  'POST /api/v1/users/{id}/combined_permissions/validation': [0, 0, BY_BODY],
  'GET /api/v1/visibility/decision': [
    0,
    0,
    asking(({ self, root, reader }) => ({
      bearer: reader,
      query: { viewer: self.id, owner: root.id, level: 'group' },
    })),
  ],

  'GET /api/v1/me': [0, 1, bySelf()],
  'PATCH /api/v1/me': [0, 5, byOne(() => ({ json: { first_name: 'Other' } }))],
  'PUT /api/v1/me/password': [
    5,
    8,
    byOne(() => ({ json: { current_password: PASSWORD, new_password: NEW_PASSWORD } })),
  ],
  'PUT /api/v1/me/email': [
    4,
    5,
    byOne((_, { unique }) => ({ json: { password: PASSWORD, new_email: `${unique()}@example.org` } })),
  ],
  'POST /api/v1/me/email/confirm': [
    4,
    8,
    byOne(async ({ bearer }, { unique, ask, codeFor }) => {
      const email = `${unique()}@example.org`
      await ask('PUT', '/api/v1/me/email', { json: { password: PASSWORD, new_email: email }, bearer })
      return { json: { code: await codeFor(email) } }
    }),
  ],
  'GET /api/v1/me/sign-ins': [0, 1, bySelf()],
  'GET /api/v1/me/export': [2, 3, bySelf()],
  'DELETE /api/v1/me': [1, 8, byOne(() => ({ json: { password: PASSWORD } }))],
  'GET /api/v1/me/sessions': [
    2,
    0,
    byOne(async ({ email }, { signIn }) => {
      await signIn(email)
      await signIn(email)
      return {}
    }),
    [1, 0],
  ],
  'DELETE /api/v1/me/sessions/{id}': [
    4,
    2,
    byOne(async (person, cast) => ({ at: [(await sessionIdsOf(cast, person))[0] ?? ''] })),
  ],
  'DELETE /api/v1/me/sessions': [1, 2, byOne()],

  'GET /api/v1/accounts': [0, 1],
  'POST /api/v1/accounts': [0, 6, asking(({ unique }) => ({ json: { email: `${unique()}@example.org` } }))],
  'GET /api/v1/accounts/{id}': [0, 1, on('accounts')],
  'PATCH /api/v1/accounts/{id}': [0, 8, on('accounts', { first_name: 'Other' })],
  'DELETE /api/v1/accounts/{id}': [1, 10, on('accounts')],
  'POST /api/v1/accounts/{id}/password-reset': [0, 7, onOne()],
  'GET /api/v1/accounts/{id}/sessions': [2, 1, onOne()],
  'DELETE /api/v1/accounts/{id}/sessions': [1, 7, onOne()],
  'DELETE /api/v1/accounts/{id}/sessions/{session_id}': [
    6,
    6,
    asking(async (cast) => {
      const person = await cast.person()
      return { at: [person.id, ...(await sessionIdsOf(cast, person))] }
    }),
  ],
  'GET /api/v1/accounts/{id}/roles': [0, 2, listing(ACCOUNT_ROLES)],
  'POST /api/v1/accounts/{id}/roles': [0, 10, linking(ACCOUNT_ROLES)],
  'DELETE /api/v1/accounts/{id}/roles/{role_id}': [0, 10, cutting(ACCOUNT_ROLES)],
  'GET /api/v1/accounts/{id}/permissions': [0, 2, listing(ACCOUNT_PERMISSIONS)],
  'POST /api/v1/accounts/{id}/permissions': [0, 9, linking(ACCOUNT_PERMISSIONS)],
  'DELETE /api/v1/accounts/{id}/permissions/{permission_id}': [0, 9, cutting(ACCOUNT_PERMISSIONS)],

  'GET /api/v1/clients': [0, 1],
  'POST /api/v1/clients': [0, 6, saying({ type: 'machine' })],
  'GET /api/v1/clients/{id}': [0, 1, on('clients')],
  'PATCH /api/v1/clients/{id}': [0, 8, on('clients', { name: 'Other' })],
  'DELETE /api/v1/clients/{id}': [1, 10, on('clients')],
  'POST /api/v1/clients/{id}/secret': [0, 8, on('clients')],

  'GET /api/v1/audit_events': [0, 1],
  'GET /api/v1/audit_events/{id}': [
    0,
    1,
    asking(async ({ ask }) => {
      const { items } = (await ask('GET', '/api/v1/audit_events')).json<{ items: { id: string }[] }>()
      return { at: items.slice(0, 1).map(({ id }) => id) }
    }),
  ],

  'GET /api/v1/permissions': [0, 1],
  'POST /api/v1/permissions': [0, 7, creating()],
  'GET /api/v1/permissions/{id}': [0, 1, on('permissions')],
  'PATCH /api/v1/permissions/{id}': [0, 11, on('permissions', DESCRIBED)],
  'DELETE /api/v1/permissions/{id}': [0, 12, on('permissions')],
  'GET /api/v1/roles': [0, 1],
  'POST /api/v1/roles': [0, 8, creating()],
  'GET /api/v1/roles/{id}': [0, 1, on('roles')],
  'PATCH /api/v1/roles/{id}': [0, 9, on('roles', DESCRIBED)],
  'DELETE /api/v1/roles/{id}': [0, 15, on('roles')],
  'GET /api/v1/roles/{id}/permissions': [0, 2, listing(ROLE_PERMISSIONS)],
  'POST /api/v1/roles/{id}/permissions': [0, 11, linking(ROLE_PERMISSIONS)],
  'DELETE /api/v1/roles/{id}/permissions/{permission_id}': [0, 11, cutting(ROLE_PERMISSIONS)],
  'GET /api/v1/roles/{id}/includes': [0, 2, listing(ROLE_INCLUDES)],
  'POST /api/v1/roles/{id}/includes': [0, 14, linking(ROLE_INCLUDES)],
  'DELETE /api/v1/roles/{id}/includes/{role_id}': [0, 14, cutting(ROLE_INCLUDES)],
  'GET /api/v1/resources': [0, 1],
  'POST /api/v1/resources': [0, 8, creating()],
  'GET /api/v1/resources/{id}': [0, 1, on('resources')],
  'PATCH /api/v1/resources/{id}': [0, 9, on('resources', DESCRIBED)],
  'DELETE /api/v1/resources/{id}': [0, 9, on('resources')],

  'GET /api/v1/teams': [0, 1],
  'POST /api/v1/teams': [0, 8, creating()],
  'GET /api/v1/teams/{id}': [0, 1, on('teams')],
  'PATCH /api/v1/teams/{id}': [0, 8, on('teams', DESCRIBED)],
  'DELETE /api/v1/teams/{id}': [0, 10, on('teams')],
  'GET /api/v1/teams/{id}/members': [0, 2, listing(TEAM_MEMBERS)],
  'POST /api/v1/teams/{id}/members': [0, 11, linking(TEAM_MEMBERS)],
  'DELETE /api/v1/teams/{id}/members/{account_id}': [0, 10, cutting(TEAM_MEMBERS)],
  'GET /api/v1/teams/{id}/roles': [0, 2, listing(TEAM_ROLES)],
  'POST /api/v1/teams/{id}/roles': [0, 11, linking(TEAM_ROLES)],
  'DELETE /api/v1/teams/{id}/roles/{role_id}': [0, 11, cutting(TEAM_ROLES)],
  'GET /api/v1/visibility_groups': [0, 1],
  'POST /api/v1/visibility_groups': [0, 11, creating()],
  'GET /api/v1/visibility_groups/{id}': [0, 1, on('visibility_groups')],
  'PATCH /api/v1/visibility_groups/{id}': [0, 9, on('visibility_groups', DESCRIBED)],
  'DELETE /api/v1/visibility_groups/{id}': [0, 12, on('visibility_groups')],
  'GET /api/v1/visibility_groups/{id}/members': [0, 2, listing(GROUP_MEMBERS)],
  'POST /api/v1/visibility_groups/{id}/members': [0, 11, linking(GROUP_MEMBERS)],
  'DELETE /api/v1/visibility_groups/{id}/members/{account_id}': [0, 11, cutting(GROUP_MEMBERS)],

  // The last one, because what listens asks once more after its listener has gone.
  'GET /api/v1/events/revocations': [
    0,
    2,
    async ({ address, world, listener: bearer }) => {
      await sleep(1_200)
      return async () => (await listenTo({ address, issuer: world.issuer, bearer })).close()
    },
  ],
}
