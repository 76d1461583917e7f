/**
 * Detours to more rights: each is refused and leaves the database as it was, and beside it a twin as near to it as can be
 * is legitimate and succeeds. Who may call what at all is in matrix.test.ts, hostile bodies and queries in
 * hostile-input.test.ts.
 */
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  type Administration,
  BAD_REQUEST,
  FORBIDDEN,
  type Keyed,
  NOBODY,
  NOT_FOUND,
  startAdministration,
} from '../support/administration.ts'
import { type Api, createApi, type Problem, problemOf } from '../support/api.ts'
import { PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { basic, type Reply, send } from '../support/http.ts'
import type { Person } from '../support/people.ts'
import { startWorld, type World } from '../support/world.ts'

type Call = readonly [method: string, path: string, json?: unknown]

/** What one attack is made upon, and its twin. */
interface Scene {
  /** What the attacker does not hold is in `strong`; he has `own`; somebody else has `common`. */
  roles: Record<'own' | 'common' | 'strong', Keyed>
  /** The deputy is in `own`, which lies below `above`; who is in `strong` holds what the deputy does not. */
  teams: Record<'above' | 'own' | 'strong' | 'spare', Keyed>
  permissions: Record<'strong' | 'weak', Keyed>
  weak: Person
  strong: Person
  sleeping: Person
  newcomer: Person
  clients: Record<'house' | 'reader' | 'plain' | 'machine', string>
}

interface Detour {
  name: string
  by: keyof Attackers
  attack: (scene: Scene) => Call
  twin: (scene: Scene) => Call
  /** What the attacker is told that he lacks; left out where he may not call at all. */
  lacks?: string
  refusal?: readonly unknown[]
}

/** `deputy` administers everything and holds movies:edit, but not movies:delete; `manager` manages the team `own`. */
interface Attackers {
  deputy: Person
  ops: Person
  manager: Person
  member: Person
  root: Person
}

const BEYOND = 'movies:delete'
const CONFLICT = [409, 'conflict']
const WEB = { type: 'web', redirect_uris: ['https://app.example/cb'] }
const EVIL = ['https://evil.example/cb']

const deputy = (name: string, lacks: string, attack: Detour['attack'], twin: Detour['twin']): Detour => ({
  name,
  by: 'deputy',
  lacks,
  attack,
  twin,
})
const ops = (name: string, lacks: string, attack: Detour['attack'], twin: Detour['twin']): Detour => ({
  ...deputy(name, lacks, attack, twin),
  by: 'ops',
})
const client = (members: object): Call => ['POST', '/clients', { ...WEB, ...members }]

let self: Attackers

const DETOURS: readonly Detour[] = [
  deputy(
    'the role superuser for oneself',
    'all_all',
    () => ['POST', `/accounts/${self.deputy.id}/roles`, { role: 'superuser' }],
    ({ roles }) => ['POST', `/accounts/${self.deputy.id}/roles`, { role: roles.common.key }],
  ),
  deputy(
    'the role superuser for somebody else',
    'all_all',
    ({ weak }) => ['POST', `/accounts/${weak.id}/roles`, { role: 'superuser' }],
    ({ weak, roles }) => ['POST', `/accounts/${weak.id}/roles`, { role: roles.own.key }],
  ),
  deputy(
    'all_all without a role for oneself',
    'all_all',
    () => ['POST', `/accounts/${self.deputy.id}/permissions`, { permission: 'all_all' }],
    ({ permissions }) => ['POST', `/accounts/${self.deputy.id}/permissions`, { permission: permissions.weak.key }],
  ),
  deputy(
    'a permission one lacks for somebody else',
    BEYOND,
    ({ newcomer }) => ['POST', `/accounts/${newcomer.id}/permissions`, { permission: BEYOND }],
    ({ newcomer }) => ['POST', `/accounts/${newcomer.id}/permissions`, { permission: 'movies:edit' }],
  ),
  deputy(
    'a permission one lacks in a role one has',
    BEYOND,
    ({ roles }) => ['POST', `/roles/${roles.own.id}/permissions`, { permission: BEYOND }],
    ({ roles }) => ['POST', `/roles/${roles.own.id}/permissions`, { permission: 'audit_read' }],
  ),
  deputy(
    'a permission one lacks in a role that others have',
    BEYOND,
    ({ roles }) => ['POST', `/roles/${roles.common.id}/permissions`, { permission: BEYOND }],
    ({ roles }) => ['POST', `/roles/${roles.common.id}/permissions`, { permission: 'audit_read' }],
  ),
  deputy(
    'a permission just created and therefore held by nobody',
    'fresh:',
    ({ roles, permissions }) => ['POST', `/roles/${roles.own.id}/permissions`, { permission: permissions.strong.key }],
    ({ roles, permissions }) => ['POST', `/roles/${roles.own.id}/permissions`, { permission: permissions.weak.key }],
  ),
  deputy(
    'a stronger role within a role one has',
    BEYOND,
    ({ roles }) => ['POST', `/roles/${roles.own.id}/includes`, { role: roles.strong.key }],
    ({ roles }) => ['POST', `/roles/${roles.own.id}/includes`, { role: roles.common.key }],
  ),
  deputy(
    'the role superuser within a role that others have',
    'all_all',
    ({ roles }) => ['POST', `/roles/${roles.common.id}/includes`, { role: 'superuser' }],
    ({ roles }) => ['POST', `/roles/${roles.common.id}/includes`, { role: 'editor' }],
  ),
  deputy(
    'a role of one’s own within a stronger one, to edit it afterwards',
    BEYOND,
    ({ roles }) => ['POST', `/roles/${roles.strong.id}/includes`, { role: roles.own.key }],
    ({ roles }) => ['POST', `/roles/${roles.common.id}/includes`, { role: roles.own.key }],
  ),
  deputy(
    'another description of a stronger role',
    BEYOND,
    ({ roles }) => ['PATCH', `/roles/${roles.strong.id}`, { description: 'Harmless' }],
    ({ roles }) => ['PATCH', `/roles/${roles.common.id}`, { description: 'Harmless' }],
  ),
  deputy(
    'an end of a stronger role, by force',
    BEYOND,
    ({ roles }) => ['DELETE', `/roles/${roles.strong.id}?force=true`],
    ({ roles }) => ['DELETE', `/roles/${roles.common.id}?force=true`],
  ),
  deputy(
    'a permission taken from a stronger account',
    BEYOND,
    ({ strong, permissions }) => ['DELETE', `/accounts/${strong.id}/permissions/${permissions.weak.id}`],
    ({ weak, permissions }) => ['DELETE', `/accounts/${weak.id}/permissions/${permissions.weak.id}`],
  ),
  deputy(
    'a role taken from a stronger account',
    BEYOND,
    ({ strong, roles }) => ['DELETE', `/accounts/${strong.id}/roles/${roles.strong.id}`],
    ({ weak, roles }) => ['DELETE', `/accounts/${weak.id}/roles/${roles.common.id}`],
  ),
  deputy(
    'an end of a permission that others hold, by force',
    'held:',
    ({ permissions }) => ['DELETE', `/permissions/${permissions.strong.id}?force=true`],
    ({ permissions }) => ['DELETE', `/permissions/${permissions.weak.id}?force=true`],
  ),
  deputy(
    'another meaning of a permission that others hold',
    'held:',
    ({ permissions }) => ['PATCH', `/permissions/${permissions.strong.id}`, { description: 'Harmless' }],
    ({ permissions }) => ['PATCH', `/permissions/${permissions.weak.id}`, { description: 'Harmless' }],
  ),

  deputy(
    'a strong role for a team one is in',
    BEYOND,
    ({ teams, roles }) => ['POST', `/teams/${teams.own.id}/roles`, { role: roles.strong.key }],
    ({ teams, roles }) => ['POST', `/teams/${teams.own.id}/roles`, { role: roles.common.key }],
  ),
  deputy(
    'a strong role for the team above the one one is in',
    BEYOND,
    ({ teams, roles }) => ['POST', `/teams/${teams.above.id}/roles`, { role: roles.strong.key }],
    ({ teams, roles }) => ['POST', `/teams/${teams.above.id}/roles`, { role: roles.common.key }],
  ),
  deputy(
    'one’s team moved below a stronger one',
    BEYOND,
    ({ teams }) => ['PATCH', `/teams/${teams.own.id}`, { parent: teams.strong.key }],
    ({ teams }) => ['PATCH', `/teams/${teams.own.id}`, { parent: teams.spare.key }],
  ),
  deputy(
    'the team above one’s own moved below a stronger one',
    BEYOND,
    ({ teams }) => ['PATCH', `/teams/${teams.above.id}`, { parent: teams.strong.key }],
    ({ teams }) => ['PATCH', `/teams/${teams.above.id}`, { parent: teams.spare.key }],
  ),
  deputy(
    'oneself in a stronger team',
    BEYOND,
    ({ teams }) => ['POST', `/teams/${teams.strong.id}/members`, { account_id: self.deputy.id }],
    ({ teams }) => ['POST', `/teams/${teams.spare.id}/members`, { account_id: self.deputy.id }],
  ),
  deputy(
    'oneself as the manager of a stronger team',
    BEYOND,
    ({ teams }) => ['POST', `/teams/${teams.strong.id}/members`, { account_id: self.deputy.id, manager: true }],
    ({ teams }) => ['POST', `/teams/${teams.spare.id}/members`, { account_id: self.deputy.id, manager: true }],
  ),
  deputy(
    'a member taken from a stronger team',
    BEYOND,
    ({ teams, strong }) => ['DELETE', `/teams/${teams.strong.id}/members/${strong.id}`],
    ({ teams, weak }) => ['DELETE', `/teams/${teams.spare.id}/members/${weak.id}`],
  ),
  deputy(
    'a role taken from a stronger team',
    BEYOND,
    ({ teams, roles }) => ['DELETE', `/teams/${teams.strong.id}/roles/${roles.strong.id}`],
    ({ teams, roles }) => ['DELETE', `/teams/${teams.spare.id}/roles/${roles.common.id}`],
  ),
  deputy(
    'an end of a stronger team, by force',
    BEYOND,
    ({ teams }) => ['DELETE', `/teams/${teams.strong.id}?force=true`],
    ({ teams }) => ['DELETE', `/teams/${teams.spare.id}?force=true`],
  ),
  {
    name: 'a role for the team one manages, without being an administrator of teams',
    by: 'manager',
    attack: ({ teams, roles }) => ['POST', `/teams/${teams.own.id}/roles`, { role: roles.common.key }],
    twin: ({ teams, newcomer }) => ['POST', `/teams/${teams.own.id}/members`, { account_id: newcomer.id }],
  },
  {
    name: 'the team one manages moved, without being an administrator of teams',
    by: 'manager',
    attack: ({ teams }) => ['PATCH', `/teams/${teams.own.id}`, { parent: null }],
    twin: ({ teams }) => ['DELETE', `/teams/${teams.own.id}/members/${self.member.id}`],
  },
  {
    name: 'oneself in a team that one does not manage',
    by: 'manager',
    attack: ({ teams }) => ['POST', `/teams/${teams.spare.id}/members`, { account_id: self.manager.id }],
    twin: ({ teams, weak }) => ['POST', `/teams/${teams.own.id}/members`, { account_id: weak.id, manager: true }],
  },
  {
    name: 'management of a team that one is only in',
    by: 'member',
    attack: ({ teams }) => ['POST', `/teams/${teams.own.id}/members`, { account_id: self.member.id, manager: true }],
    twin: () => ['PATCH', '/me', { attributes: { manager: `${Math.random()}` } }],
  },

  deputy(
    'the name of a stronger account',
    BEYOND,
    ({ strong }) => ['PATCH', `/accounts/${strong.id}`, { first_name: 'x' }],
    ({ weak }) => ['PATCH', `/accounts/${weak.id}`, { first_name: 'x' }],
  ),
  deputy(
    'the password of a stronger account',
    BEYOND,
    ({ strong }) => ['PATCH', `/accounts/${strong.id}`, { password: 'another horse battery' }],
    ({ weak }) => ['PATCH', `/accounts/${weak.id}`, { password: 'another horse battery' }],
  ),
  deputy(
    'the address of a stronger account, where a reset code would go',
    BEYOND,
    ({ strong }) => ['PATCH', `/accounts/${strong.id}`, { email: `mine-${strong.id}@evil.example` }],
    ({ weak }) => ['PATCH', `/accounts/${weak.id}`, { email: `other-${weak.id}@example.org` }],
  ),
  deputy(
    'a stronger account disabled',
    BEYOND,
    ({ strong }) => ['PATCH', `/accounts/${strong.id}`, { status: 'disabled' }],
    ({ weak }) => ['PATCH', `/accounts/${weak.id}`, { status: 'disabled' }],
  ),
  deputy(
    'a stronger account that is disabled, enabled again',
    'all_all',
    ({ sleeping }) => ['PATCH', `/accounts/${sleeping.id}`, { status: 'active' }],
    ({ weak }) => ['PATCH', `/accounts/${weak.id}`, { status: 'disabled' }],
  ),
  deputy(
    'a stronger account deleted',
    BEYOND,
    ({ strong }) => ['DELETE', `/accounts/${strong.id}`],
    ({ weak }) => ['DELETE', `/accounts/${weak.id}`],
  ),
  deputy(
    'a reset of the password of a stronger account',
    BEYOND,
    ({ strong }) => ['POST', `/accounts/${strong.id}/password-reset`],
    ({ weak }) => ['POST', `/accounts/${weak.id}/password-reset`],
  ),
  deputy(
    'a stronger account signed out',
    BEYOND,
    ({ strong }) => ['DELETE', `/accounts/${strong.id}/sessions`],
    ({ weak }) => ['DELETE', `/accounts/${weak.id}/sessions`],
  ),
  ...[{ roles: ['superuser'] }, { permissions: ['all_all'] }, { teams: ['x'] }, { is_superuser: true }].map(
    (members): Detour => ({
      name: `an account created with ${JSON.stringify(members)}`,
      by: 'deputy',
      refusal: BAD_REQUEST,
      attack: ({ weak }) => ['POST', '/accounts', { email: `new-${weak.id}@example.org`, ...members }],
      twin: ({ weak }) => ['POST', '/accounts', { email: `new-${weak.id}@example.org`, attributes: members }],
    }),
  ),

  ...(['access:read', 'events:read'] as const).flatMap((scope): Detour[] => [
    ops(
      `a client with the scope ${scope}`,
      'permissions_admin',
      () => client({ type: 'machine', redirect_uris: [], scopes: ['orders:read', scope] }),
      () => client({ type: 'machine', redirect_uris: [], scopes: ['orders:read'] }),
    ),
    ops(
      `the scope ${scope} for a client that is there`,
      'permissions_admin',
      ({ clients }) => ['PATCH', `/clients/${clients.machine}`, { scopes: [scope] }],
      ({ clients }) => ['PATCH', `/clients/${clients.machine}`, { scopes: ['orders:write'] }],
    ),
  ]),
  deputy(
    'a client of the house',
    'all_all',
    () => client({ first_party: true }),
    () => client({ first_party: false }),
  ),
  deputy(
    'a client that is made one of the house',
    'all_all',
    ({ clients }) => ['PATCH', `/clients/${clients.plain}`, { first_party: true }],
    ({ clients }) => ['PATCH', `/clients/${clients.plain}`, { require_pkce: true, name: 'Other' }],
  ),
  deputy(
    'a client with the grant password',
    'all_all',
    () => client({ first_party: true, grant_types: ['password'], redirect_uris: [] }),
    () => client({ grant_types: ['authorization_code', 'refresh_token'] }),
  ),
  deputy(
    'a new secret of a stronger client',
    'all_all',
    ({ clients }) => ['POST', `/clients/${clients.house}/secret`],
    ({ clients }) => ['POST', `/clients/${clients.plain}/secret`],
  ),
  deputy(
    'another redirect URI of a stronger client',
    'all_all',
    ({ clients }) => ['PATCH', `/clients/${clients.house}`, { redirect_uris: EVIL }],
    ({ clients }) => ['PATCH', `/clients/${clients.plain}`, { redirect_uris: EVIL }],
  ),
  deputy(
    'a key of one’s own for a stronger client',
    'all_all',
    ({ clients }) => ['PATCH', `/clients/${clients.house}`, { metadata: { client_uri: 'https://evil.example' } }],
    ({ clients }) => ['PATCH', `/clients/${clients.plain}`, { metadata: { client_uri: 'https://app.example' } }],
  ),
  deputy(
    'a stronger client made harmless',
    'all_all',
    ({ clients }) => ['PATCH', `/clients/${clients.house}`, { first_party: false }],
    ({ clients }) => ['PATCH', `/clients/${clients.plain}`, { name: 'Other' }],
  ),
  deputy(
    'an end of a stronger client',
    'all_all',
    ({ clients }) => ['DELETE', `/clients/${clients.house}`],
    ({ clients }) => ['DELETE', `/clients/${clients.plain}`],
  ),
  ops(
    'a new secret of a client that reads what accounts hold',
    'permissions_admin',
    ({ clients }) => ['POST', `/clients/${clients.reader}/secret`],
    ({ clients }) => ['POST', `/clients/${clients.machine}/secret`],
  ),
  ...Object.entries({
    scope: 'openid access:read',
    grant_types: ['authorization_code', 'password'],
    redirect_uris: EVIL,
    client_secret: 'x'.repeat(40),
    token_endpoint_auth_method: 'none',
    'usher:first_party': true,
    'usher:api_scopes': ['access:read'],
  }).map(
    ([member, value]): Detour => ({
      name: `"${member}" by the metadata of a client`,
      by: 'ops',
      refusal: BAD_REQUEST,
      attack: ({ clients }) => ['PATCH', `/clients/${clients.plain}`, { metadata: { [member]: value } }],
      twin: ({ clients }) => ['PATCH', `/clients/${clients.plain}`, { metadata: { client_uri: 'https://a.example' } }],
    }),
  ),

  ...(['superuser', 'user', 'non_registered'] as const).map(
    (key): Detour => ({
      name: `an end of the role ${key}, also for a superuser`,
      by: 'root',
      refusal: CONFLICT,
      attack: () => ['DELETE', `/roles/${system.get(key)}?force=true`],
      twin: ({ roles }) => ['DELETE', `/roles/${roles.strong.id}?force=true`],
    }),
  ),
  ...(['superuser', 'user'] as const).map(
    (key): Detour => ({
      name: `another key of the role ${key}, also for a superuser`,
      by: 'root',
      refusal: BAD_REQUEST,
      attack: () => ['PATCH', `/roles/${system.get(key)}`, { key: 'other' }],
      twin: () => ['PATCH', `/roles/${system.get(key)}`, { description: `${Math.random()}` }],
    }),
  ),
  {
    name: 'a superuser without all_all, also for a superuser',
    by: 'root',
    refusal: CONFLICT,
    attack: () => ['DELETE', `/roles/${system.get('superuser')}/permissions/${system.get('all_all')}`],
    twin: ({ roles, permissions }) => ['DELETE', `/roles/${roles.common.id}/permissions/${permissions.weak.id}`],
  },
]

const system = new Map<string, string>()

describe('a detour to more rights', function () {
  this.timeout(30_000)
  let at: Administration
  let asRoot: (...call: Call) => Promise<Reply>
  let serial = 0

  before(async function () {
    this.timeout(60_000)
    at = await startAdministration()
    asRoot = at.calling(at.root)
    await at.world.core.access.ensureRole({
      key: 'deputy',
      permissions: [
        ...['permissions_admin', 'accounts_admin', 'teams_admin', 'clients_admin', 'audit_read', 'movies:edit'],
      ],
    })
    await at.world.core.access.ensureRole({ key: 'ops', permissions: ['clients_admin'] })
    self = {
      deputy: await at.somebody('deputy'),
      ops: await at.somebody('ops'),
      manager: await at.somebody(),
      member: await at.somebody(),
      root: at.root,
    }
    for (const key of ['superuser', 'user', 'non_registered']) {
      system.set(key, (await at.world.core.access.roles.findByKey(key))?.id ?? '')
    }
    system.set('all_all', (await at.world.core.access.permissions.findByKey('all_all'))?.id ?? '')
  })
  after(() => at?.world.stop())

  async function done<T = Keyed>(...call: Call): Promise<T> {
    const reply = await asRoot(...call)
    expect(reply.status, `${call[0]} ${call[1]}: ${reply.text}`).to.be.within(200, 204)
    return reply.text === '' ? (undefined as T) : reply.json<T>()
  }

  async function account(): Promise<Person> {
    serial += 1
    const { id } = await at.world.core.accounts.create({ email: `victim-${serial}@example.org`, emailVerified: true })
    return { id, bearer: '' }
  }

  async function roleWith(...permissions: string[]): Promise<Keyed> {
    const role = await done('POST', '/roles', { key: at.unique('role') })
    for (const permission of permissions) await done('POST', `/roles/${role.id}/permissions`, { permission })
    return role
  }

  async function teamWith(parent: Keyed | undefined, members: readonly Person[], role?: Keyed): Promise<Keyed> {
    const team = await done('POST', '/teams', { key: at.unique('team'), parent: parent?.key ?? null })
    for (const { id } of members) {
      await done('POST', `/teams/${team.id}/members`, { account_id: id, manager: id === self.manager.id })
    }
    if (role) await done('POST', `/teams/${team.id}/roles`, { role: role.key })
    return team
  }

  async function clientOf(json: object): Promise<string> {
    return (await done('POST', '/clients', json)).id
  }

  async function newScene(prefix: string): Promise<Scene> {
    const [weak, strong, sleeping, newcomer] = [await account(), await account(), await account(), await account()]
    const permissions = {
      strong: await done('POST', '/permissions', { key: at.unique(prefix) }),
      weak: await done('POST', '/permissions', { key: at.unique('weak:') }),
    }
    const roles = {
      own: await roleWith('movies:edit'),
      common: await roleWith('movies:edit', permissions.weak.key),
      strong: await roleWith(BEYOND),
    }
    for (const { id } of [weak, strong, self.deputy]) {
      await done('POST', `/accounts/${id}/permissions`, { permission: permissions.weak.key })
    }
    if (prefix === 'held:') {
      await done('POST', `/accounts/${strong.id}/permissions`, { permission: permissions.strong.key })
    }
    for (const [person, role] of [
      [self.deputy, roles.own.key],
      [weak, roles.common.key],
      [strong, roles.strong.key],
      [sleeping, 'superuser'],
    ] as const) {
      await done('POST', `/accounts/${person.id}/roles`, { role })
    }
    await at.world.core.accounts.disable(sleeping.id)
    const above = await teamWith(undefined, [])
    const teams = {
      above,
      own: await teamWith(above, [self.deputy, self.manager, self.member]),
      strong: await teamWith(undefined, [strong], roles.strong),
      spare: await teamWith(undefined, [weak], roles.common),
    }
    const clients = {
      house: await clientOf({ ...WEB, first_party: true }),
      reader: await clientOf({ type: 'machine', scopes: ['access:read'] }),
      plain: await clientOf(WEB),
      machine: await clientOf({ type: 'machine', scopes: ['orders:read'] }),
    }
    return { roles, teams, permissions, weak, strong, sleeping, newcomer, clients }
  }

  for (const { name, by, lacks, attack, twin, refusal = FORBIDDEN } of DETOURS) {
    it(`is not ${name}`, async () => {
      const scene = await newScene(lacks?.endsWith(':') ? lacks : 'fresh:')
      const missing = lacks?.endsWith(':') ? scene.permissions.strong.key : lacks
      const { bearer } = self[by]
      const before = await pictureOf(at.world)
      for (const call of [at.api, at.another]) {
        const [method, path, json] = attack(scene)
        const reply = await call(method, path, { bearer, json })
        expect(problemOf(reply), reply.text).to.deep.equal(refusal)
        if (missing !== undefined) expect(messagesOf(reply)).to.include(`you do not hold ${missing}`)
      }
      expect(await pictureOf(at.world)).to.deep.equal(before)

      const [method, path, json] = twin(scene)
      const reply = await at.api(method, path, { bearer, json })
      expect(reply.status, `${method} ${path}: ${reply.text}`).to.be.within(200, 204)
      expect(await pictureOf(at.world)).not.to.deep.equal(before)
    })
  }

  it('is not one’s own credentials by an id that is written otherwise (A098)', async () => {
    const self = await at.somebody('hr')
    const before = await pictureOf(at.world)
    for (const id of [self.id, self.id.toUpperCase(), `%${self.id.charCodeAt(0).toString(16)}${self.id.slice(1)}`]) {
      for (const json of [{ password: 'another horse battery' }, { email: 'mine@evil.example' }]) {
        const reply = await at.calling(self)('PATCH', `/accounts/${id}`, json)
        expect([NOT_FOUND, CONFLICT], id).to.deep.include(problemOf(reply))
      }
    }
    expect(await pictureOf(at.world)).to.deep.equal(before)
    expect((await at.calling(self)('PATCH', `/accounts/${self.id}`, { first_name: 'x' })).status).to.equal(200)
  })

  it('is not the id of somebody else, of whom nothing is told, not even that there is one (A094, A098)', async () => {
    const [own, other] = [await at.somebody(), await at.somebody()]
    const others = await at.calling(other)('GET', '/me/sessions')
    const [session] = others.json<{ items: { id: string }[] }>().items
    const before = await pictureOf(at.world)
    const calls = (id: string): Call[] => [
      ['GET', `/accounts/${id}`],
      ['PATCH', `/accounts/${id}`, { first_name: 'x' }],
      ['DELETE', `/accounts/${id}`],
      ['GET', `/accounts/${id}/roles`],
      ['GET', `/accounts/${id}/permissions`],
      ['GET', `/accounts/${id}/sessions`],
      ['DELETE', `/accounts/${id}/sessions`],
      ['POST', `/accounts/${id}/password-reset`],
      ['GET', `/accounts/${id}/combined_permissions`],
      ['GET', `/users/${id}/combined_permissions`],
      ['GET', `/users/${id}/combined_permissions/validation?permissions=movies:edit`],
      ['DELETE', `/me/sessions/${id === other.id ? session?.id : 'g.abcdefghij'}`],
    ]
    for (const [place, [method, path, json]] of calls(other.id).entries()) {
      const told = await at.calling(own)(method, path, json)
      const [, nobodys = '', same] = calls(NOBODY)[place] ?? []
      const untold = await at.calling(own)(method, nobodys, same)
      expect([FORBIDDEN, NOT_FOUND], path).to.deep.include(problemOf(told))
      const { request_id: _, ...problem } = told.json<Problem>()
      expect(untold.json(), path).to.deep.include(problem)
    }
    expect(await pictureOf(at.world)).to.deep.equal(before)
    for (const path of ['/me', `/accounts/${own.id}/roles`, `/users/${own.id}/combined_permissions`]) {
      expect((await at.calling(own)('GET', path)).status, path).to.equal(200)
    }
  })

  it('is not a client that may only read', async () => {
    const { client_secret: secret = '', id } = await done<{ id: string; client_secret?: string }>('POST', '/clients', {
      type: 'machine',
      scopes: ['access:read'],
    })
    const { world } = at
    const granted = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
      form: { grant_type: 'client_credentials', scope: 'access:read' },
      headers: { Authorization: basic(id, secret) },
    })
    const bearer = tokensOf(granted).access_token
    const { id: victim } = await account()
    const before = await pictureOf(world)
    const calls: Call[] = [
      ['POST', `/accounts/${victim}/roles`, { role: 'editor' }],
      ['POST', '/roles', { key: 'mine' }],
      ['GET', `/accounts/${victim}`],
      ['GET', '/clients'],
      ['GET', '/me'],
    ]
    for (const [method, path, json] of calls) {
      expect(problemOf(await at.api(method, path, { bearer, json })), path).to.deep.equal(FORBIDDEN)
    }
    expect(await pictureOf(world)).to.deep.equal(before)
    expect((await at.api('GET', `/users/${victim}/combined_permissions`, { bearer })).status).to.equal(200)
  })

  it('is not a right that was taken away while the request was under way', async () => {
    for (let round = 0; round < 5; round += 1) {
      const rival = await at.somebody('rights')
      const { id: victim } = await account()
      const rights = await at.world.core.access.roles.findByKey('rights')
      const [cut, used] = await Promise.all([
        asRoot('DELETE', `/accounts/${rival.id}/roles/${rights?.id}`),
        at.another('POST', `/accounts/${victim}/roles`, { bearer: rival.bearer, json: { role: 'editor' } }),
      ])
      expect(cut.status).to.equal(204)
      const roles = await at.world.core.access.rolesOf(victim)
      if (used.status === 201) expect(roles).to.include('editor')
      else expect([problemOf(used), roles]).to.deep.equal([FORBIDDEN, ['user']])
      const late = await at.api('POST', `/accounts/${victim}/roles`, {
        bearer: rival.bearer,
        json: { role: 'editor' },
      })
      expect(problemOf(late)).to.deep.equal(FORBIDDEN)
    }
  })
})

describe('the last superuser', function () {
  this.timeout(30_000)
  let world: World
  let apis: [Api, Api]
  let superuser: string
  let serial = 0

  before(async function () {
    this.timeout(60_000)
    world = await startWorld({ servers: 2 })
    apis = [createApi(world, 0), createApi(world, 1)]
    await world.core.access.initialize()
    superuser = (await world.core.access.roles.findByKey('superuser'))?.id ?? ''
  })
  after(() => world?.stop())

  async function somebody(role?: string): Promise<Person & { email: string }> {
    serial += 1
    const email = `super-${serial}@example.org`
    const { id } = await world.core.accounts.create({ email, password: PASSWORD, emailVerified: true })
    if (role !== undefined) await world.core.access.assignRole(id, role)
    const reply = await apis[0]('POST', '/session', { json: { login: email, password: PASSWORD } })
    expect(reply.status, reply.text).to.equal(200)
    return { id, email, bearer: reply.json<TokenResponse>().access_token }
  }

  /** These superusers and no others, behind the back of the server. */
  async function only<People extends Person[]>(...people: People): Promise<People> {
    const ids = people.map(({ id }) => id)
    const held = world.stores.database.db.deleteFrom('account_roles').where('role_id', '=', superuser)
    await held.where('account_id', 'not in', ids).execute()
    return people
  }
  const one = async () => only(await somebody('superuser'))
  const two = async () => only(await somebody('superuser'), await somebody('superuser'))

  /** Those who can act as superusers now: neither disabled nor on the way out. */
  async function living(): Promise<string[]> {
    const rows = await world.stores.database.db
      .selectFrom('account_roles')
      .innerJoin('accounts', 'accounts.id', 'account_roles.account_id')
      .select('accounts.id')
      .where('role_id', '=', superuser)
      .where('status', '=', 'active')
      .where('deletion_due_at', 'is', null)
      .execute()
    return rows.map(({ id }) => id)
  }

  const cut = ({ id }: Person): Call => ['DELETE', `/accounts/${id}/roles/${superuser}`]
  const disable = ({ id }: Person): Call => ['PATCH', `/accounts/${id}`, { status: 'disabled' }]
  const remove = ({ id }: Person): Call => ['DELETE', `/accounts/${id}`]
  const leave = (_: Person): Call => ['DELETE', '/me']
  const call = (server: 0 | 1, { bearer }: Person, [method, path, json]: Call) =>
    apis[server](method, path, { bearer, json })

  const PATHS: readonly (readonly [string, by: 'himself' | 'another', (last: Person) => Call])[] = [
    ['keeps the role', 'himself', cut],
    ['stays enabled', 'himself', disable],
    ['stays', 'himself', leave],
    ['keeps the role', 'another', cut],
    ['stays enabled', 'another', disable],
    ['stays', 'another', remove],
  ]
  for (const [name, by, path] of PATHS) {
    it(`${name}, whatever ${by} with all_all does, unless there is a second one`, async () => {
      const [last] = await one()
      const other = by === 'himself' ? last : await somebody()
      if (other !== last) {
        const given = await call(0, last, ['POST', `/accounts/${other.id}/permissions`, { permission: 'all_all' }])
        expect(given.status, given.text).to.equal(201)
      }
      const before = await pictureOf(world)
      for (const server of [0, 1] as const) {
        const reply = await call(server, other, path(last))
        expect(problemOf(reply), reply.text).to.deep.equal(CONFLICT)
      }
      expect(await pictureOf(world)).to.deep.equal(before)
      const second = await somebody('superuser')
      const reply = await call(0, other, path(last))
      expect(reply.status, reply.text).to.be.within(200, 204)
      expect(await living()).to.deep.equal([second.id])
    })
  }

  it('is not one who holds as much by a team, who may be sent away', async () => {
    const [last] = await one()
    const member = await somebody()
    const team = (await call(0, last, ['POST', '/teams', { key: 'all-powerful' }])).json<{ id: string }>()
    for (const done of [
      ['POST', `/teams/${team.id}/members`, { account_id: member.id }],
      ['POST', `/teams/${team.id}/roles`, { role: 'superuser' }],
    ] as const) {
      expect((await call(0, last, done)).status).to.equal(201)
    }
    for (const path of [cut, disable, remove]) {
      expect(problemOf(await call(1, member, path(last)))).to.deep.equal(CONFLICT)
    }
    expect(problemOf(await call(1, last, leave(last)))).to.deep.equal(CONFLICT)
    expect(await living()).to.deep.equal([last.id])
    expect((await call(0, last, ['DELETE', `/teams/${team.id}/roles/${superuser}`])).status).to.equal(204)
    expect(problemOf(await call(1, member, ['POST', '/roles', { key: 'late' }]))).to.deep.equal(FORBIDDEN)
  })

  it('is whoever stays when the other one has asked to be deleted', async () => {
    const [first, second] = await two()
    expect((await call(0, first, leave(first))).status).to.equal(202)
    for (const path of [cut, disable, leave]) {
      expect(problemOf(await call(1, second, path(second)))).to.deep.equal(CONFLICT)
    }
    expect(await living()).to.deep.equal([second.id])
    await somebody('superuser')
    expect((await call(1, second, cut(second))).status).to.equal(204)
  })

  const RACES: readonly (readonly [string, (one: Person, two: Person) => [Call, Call]])[] = [
    ['take the role from each other', (one, two) => [cut(two), cut(one)]],
    ['give the role up', (one, two) => [cut(one), cut(two)]],
    ['delete each other', (one, two) => [remove(two), remove(one)]],
    ['leave', (one, two) => [leave(one), leave(two)]],
    ['disable and delete each other', (one, two) => [disable(two), remove(one)]],
    ['leave and give the role up', (one, two) => [leave(one), cut(two)]],
  ]
  for (const [name, race] of RACES) {
    it(`is one of two who ${name} at the same moment`, async () => {
      for (let round = 0; round < 3; round += 1) {
        const [first, second] = await two()
        const [attempt, rival] = race(first, second)
        const replies = await Promise.all([call(0, first, attempt), call(1, second, rival)])
        const lost = replies.filter(({ status }) => status >= 300)
        expect(lost, replies.map(({ text }) => text).join('\n')).to.have.lengthOf(1)
        expect([401, 403, 409]).to.include(lost[0]?.status)
        expect(await living()).to.have.lengthOf(1)
      }
    })
  }
})

const messagesOf = (reply: Reply): string[] => (reply.json<Problem>().errors ?? []).map(({ message }) => message)

/** What changes by itself: mail under way, sign-ins, what dies of age. */
const RESTLESS = /^(outbox|ephemeral|sign_ins|revocation|kysely)/

/** A digest of every other table, by name. */
async function pictureOf({ stores }: World): Promise<Record<string, string>> {
  const { db } = stores.database
  const tables = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`.execute(db)
  const names = tables.rows.map(({ name }) => name).filter((name) => !RESTLESS.test(name))
  const digests = names.map(
    (name) => sql`
      select ${sql.lit(name)}::text as name, md5(coalesce(string_agg(t::text, '|' order by t::text), '')) as digest
      from ${sql.table(name)} t`,
  )
  const { rows } = await sql<{ name: string; digest: string }>`${sql.join(digests, sql` union all `)}`.execute(db)
  return Object.fromEntries(rows.map(({ name, digest }) => [name, digest]))
}
