/** What may be written of permissions, roles, resources and their assignment, by whom, and what it leaves behind. */
import { expect } from 'chai'
import { sql } from 'kysely'
import type { Access } from '../../src/access/access.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { createAccounts } from '../../src/accounts/accounts.ts'
import { createHashPool } from '../../src/accounts/hash-pool.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { type Actor, OPERATOR } from '../../src/audit-event.ts'
import type { AppError } from '../../src/errors.ts'
import { uuidv7 } from '../../src/ids.ts'
import { accessOn } from '../support/access.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const NOBODY = '01a1fbc9-bba0-7cd7-b106-413d8ad57f49'

describe('writes of access', function () {
  this.timeout(20_000)
  let stores: OpenStores
  let access: Access
  let serial = 0
  /** The ids of roles and permissions by key. */
  let role: Record<string, string>
  let permission: Record<string, string>
  /** Holds permissions_admin and movies:edit. */
  let admin: Actor

  beforeEach(async () => {
    stores = await openStores()
    access = accessOn(stores.db)
    await access.initialize()
    for (const key of ['movies:edit', 'movies:delete']) await access.ensurePermission({ key })
    await access.ensureRole({ key: 'editor', permissions: ['movies:edit'] })
    await access.ensureRole({ key: 'chief', permissions: ['movies:delete'], includes: ['editor'] })
    await access.ensureRole({ key: 'empty' })
    await access.ensureRole({ key: 'admin', permissions: ['permissions_admin'], includes: ['editor'] })
    const rows = async (table: 'roles' | 'permissions') => {
      const found = await stores.db.selectFrom(table).select(['id', 'key']).execute()
      return Object.fromEntries(found.map(({ id, key }) => [key, id]))
    }
    role = await rows('roles')
    permission = await rows('permissions')
    admin = { kind: 'account', id: await somebody('admin'), requestId: 'request-1' }
  })
  afterEach(() => stores.close())

  async function somebody(...roles: string[]): Promise<string> {
    serial += 1
    const accounts = createAccounts({
      db: stores.db,
      store: createAccountStore(),
      hashes: createHashPool({ workers: 1 }),
      policy: createPasswordPolicy(),
      revokeSubject: () => Promise.resolve(),
    })
    const { id } = await accounts.create({ email: `somebody-${serial}@example.org` })
    for (const key of roles) await access.assignRole(id, key)
    return id
  }

  const idOf = (from: Record<string, string>, key: string): string => {
    const id = from[key]
    if (id === undefined) throw new Error(`there is no ${key}`)
    return id
  }
  const version = async () =>
    Number((await stores.db.selectFrom('access_version').select('version').executeTakeFirstOrThrow()).version)
  /** What a write touches, as `kind subject`, with roles by key. */
  const touchedBy = async (work: () => Promise<unknown>) => {
    const before = await version()
    await work()
    const rows = await stores.db
      .selectFrom('access_changes')
      .selectAll()
      .where('version', '>', String(before))
      .execute()
    const keyOf = (id: string) => Object.keys(role).find((key) => role[key] === id) ?? id
    return rows.map(({ kind, subject }) => `${kind} ${keyOf(subject)}`).sort()
  }
  const eventsOf = async (id: string) => {
    const rows = await stores.db.selectFrom('audit_events').selectAll().where('target_id', '=', id).execute()
    return rows.map(({ action, before, after, actor_id, request_id }) => ({
      ...{ action, before, after, actor: actor_id, request: request_id },
    }))
  }
  const fails = async (code: AppError['code'], attempts: Record<string, () => Promise<unknown>>) => {
    for (const [name, attempt] of Object.entries(attempts)) {
      const before = await stores.db.selectFrom('audit_events').select('id').execute()
      const error = await refusal(attempt())
      expect(error.code, name).to.equal(code)
      if (code === 'forbidden') expect(error.faults, name).to.not.be.empty
      const after = await stores.db.selectFrom('audit_events').select('id').execute()
      expect(after, `${name} leaves no event`).to.have.lengthOf(before.length)
    }
  }

  describe('the ceiling', () => {
    it('keeps an administrator from giving what he does not hold, by any way', async () => {
      const other = await somebody()
      const own = admin.id ?? ''
      await fails('forbidden', {
        'the role superuser to himself': () => access.assignments.assign(admin, own, 'superuser'),
        'the role superuser to another': () => access.assignments.assign(admin, other, 'superuser'),
        'a role that includes more': () => access.assignments.assign(admin, other, 'chief'),
        'a permission to himself': () => access.assignments.give(admin, own, 'movies:delete'),
        'all_all to another': () => access.assignments.give(admin, other, 'all_all'),
        'a permission by his own role': () => access.roles.addPermission(admin, idOf(role, 'admin'), 'movies:delete'),
        'a permission by the role of everybody': () => access.roles.addPermission(admin, idOf(role, 'user'), 'all_all'),
        'a role in his own': () => access.roles.include(admin, idOf(role, 'admin'), 'chief'),
        'superuser in an empty role': () => access.roles.include(admin, idOf(role, 'empty'), 'superuser'),
      })
      await access.assignments.assign(admin, other, 'editor')
      await access.assignments.give(admin, other, 'permissions_admin')
      expect(await access.rolesOf(other)).to.deep.equal(['editor', 'user'])
    })

    it('keeps him from editing a role, a permission or an account that is beyond him', async () => {
      const superuser = await somebody('superuser', 'editor')
      const chief = await somebody('chief')
      await access.assignments.give(OPERATOR, superuser, 'movies:edit')
      await fails('forbidden', {
        'describing a role': () => access.roles.change(admin, idOf(role, 'chief'), { description: 'x' }),
        'deleting a role': () => access.roles.remove(admin, idOf(role, 'chief'), { force: true }),
        'adding to a role what he holds': () => access.roles.addPermission(admin, idOf(role, 'chief'), 'movies:edit'),
        'removing from a role': () =>
          access.roles.removePermission(admin, idOf(role, 'chief'), idOf(permission, 'movies:delete')),
        'including in a role': () => access.roles.include(admin, idOf(role, 'chief'), 'empty'),
        'excluding from a role': () => access.roles.exclude(admin, idOf(role, 'chief'), idOf(role, 'editor')),
        'describing a permission that is held': () =>
          access.permissions.change(admin, idOf(permission, 'movies:delete'), { description: 'x' }),
        'deleting a permission that is held': () =>
          access.permissions.remove(admin, idOf(permission, 'movies:delete'), { force: true }),
        'giving a superuser a role': () => access.assignments.assign(admin, superuser, 'empty'),
        'taking a role from a superuser': () => access.assignments.unassign(admin, superuser, idOf(role, 'editor')),
        'giving a chief a permission': () => access.assignments.give(admin, chief, 'movies:edit'),
        'taking a permission from a superuser': () =>
          access.assignments.take(admin, superuser, idOf(permission, 'movies:edit')),
      })
    })

    it('lets him write what he holds, and whoever holds all_all write everything', async () => {
      const root: Actor = { kind: 'account', id: await somebody('superuser') }
      const { id } = await access.roles.create(admin, { key: 'writer' })
      await access.roles.addPermission(admin, id, 'movies:edit')
      await access.roles.include(admin, id, 'editor')
      await access.roles.exclude(admin, id, idOf(role, 'editor'))
      await access.roles.removePermission(admin, id, idOf(permission, 'movies:edit'))
      await access.roles.remove(admin, id)
      const fresh = await access.permissions.create(admin, { key: 'movies:rate' })
      await fails('forbidden', {
        'giving a new permission': () => access.assignments.give(admin, admin.id ?? '', fresh.key),
      })
      await access.permissions.change(admin, fresh.id, { description: 'Rate' })
      await access.assignments.give(root, admin.id ?? '', fresh.key)
      await access.assignments.assign(root, admin.id ?? '', 'chief')
      await access.roles.addPermission(root, idOf(role, 'chief'), 'audit_read')
    })

    it('counts what reaches an account by its teams', async () => {
      const other = await somebody()
      const team = uuidv7()
      await stores.db.insertInto('teams').values({ id: team, key: 'staff' }).execute()
      await stores.db.insertInto('team_closure').values({ team_id: team, ancestor_id: team }).execute()
      await stores.db.insertInto('team_members').values({ team_id: team, account_id: other }).execute()
      await stores.db
        .insertInto('team_roles')
        .values({ team_id: team, role_id: idOf(role, 'chief') })
        .execute()
      await fails('forbidden', { 'an account of a team': () => access.assignments.assign(admin, other, 'editor') })
    })
  })

  describe('what belongs to every installation', () => {
    it('is neither deleted nor made weaker', async () => {
      await fails('conflict', {
        superuser: () => access.roles.remove(OPERATOR, idOf(role, 'superuser'), { force: true }),
        user: () => access.roles.remove(OPERATOR, idOf(role, 'user'), { force: true }),
        'all_all of superuser': () =>
          access.roles.removePermission(OPERATOR, idOf(role, 'superuser'), idOf(permission, 'all_all')),
        all_all: () => access.permissions.remove(OPERATOR, idOf(permission, 'all_all'), { force: true }),
        audit_read: () => access.permissions.remove(OPERATOR, idOf(permission, 'audit_read')),
        'the role of everybody': () => access.assignments.assign(OPERATOR, admin.id ?? '', 'user'),
        'the role of nobody': () => access.assignments.assign(OPERATOR, admin.id ?? '', 'non_registered'),
      })
    })

    it('keeps its last superuser', async () => {
      const root = await somebody('superuser')
      const actor: Actor = { kind: 'account', id: root }
      await fails('conflict', {
        himself: () => access.assignments.unassign(actor, root, idOf(role, 'superuser')),
      })
      const second = await somebody('superuser')
      await access.assignments.unassign(actor, second, idOf(role, 'superuser'))
      expect(await access.holdersOf('superuser')).to.deep.equal([root])
    })
  })

  describe('deletion', () => {
    it('of what is in use says who has it, and needs to be forced', async () => {
      const holder = await somebody('editor')
      await access.assignments.give(OPERATOR, holder, 'movies:edit')
      const ofRole = await refusal(access.roles.remove(OPERATOR, idOf(role, 'editor')))
      expect(ofRole).to.include({ code: 'in_use', status: 409 })
      expect(ofRole.faults.map(({ message }) => message)).to.deep.equal([
        'is held by the role admin',
        'is held by the role chief',
        `is held by 1 account: ${holder}`,
      ])
      const ofPermission = await refusal(access.permissions.remove(OPERATOR, idOf(permission, 'movies:edit')))
      expect(ofPermission).to.include({ code: 'in_use', status: 409 })
      expect(ofPermission.faults.map(({ message }) => message)).to.deep.equal([
        'is held by the role editor',
        `is held by 1 account: ${holder}`,
      ])
    })

    it('by force takes it from everybody, and touches them all', async () => {
      const holder = await somebody('editor')
      await access.assignments.give(OPERATOR, holder, 'movies:edit')
      const byPermission = () => access.permissions.remove(OPERATOR, idOf(permission, 'movies:edit'), { force: true })
      expect(await touchedBy(byPermission)).to.deep.equal(
        [`account ${holder}`, 'role admin', 'role chief', 'role editor'].sort(),
      )
      expect(await access.permissionKeysOfRole(stores.db, idOf(role, 'chief'))).to.deep.equal(['movies:delete'])
      const team = uuidv7()
      await stores.db.insertInto('teams').values({ id: team, key: 'staff' }).execute()
      await stores.db
        .insertInto('team_roles')
        .values({ team_id: team, role_id: idOf(role, 'editor') })
        .execute()
      const byRole = () => access.roles.remove(OPERATOR, idOf(role, 'editor'), { force: true })
      expect(await touchedBy(byRole)).to.deep.equal(
        [`account ${holder}`, 'role admin', 'role chief', 'role editor', `team ${team}`].sort(),
      )
      expect(await access.rolesOf(holder)).to.deep.equal(['user'])
    })

    it('of a permission that twenty thousand accounts hold is one write', async () => {
      await sql`insert into accounts (id, email)
        select gen_random_uuid(), n || '@many.example' from generate_series(1, 20001) as n`.execute(stores.db)
      await sql`insert into account_permissions (account_id, permission_id)
        select id, ${idOf(permission, 'movies:delete')} from accounts where email like '%@many.example'`.execute(
        stores.db,
      )
      const removal = () => access.permissions.remove(OPERATOR, idOf(permission, 'movies:delete'), { force: true })
      expect(await touchedBy(removal)).to.have.lengthOf(20_002)
    })

    it('of a resource waits for its permissions to go', async () => {
      const { id } = await access.resources.create(admin, { key: 'movies' })
      const { id: fresh } = await access.permissions.create(admin, { key: 'movies:rate', resource: 'movies' })
      const refused = await refusal(access.resources.remove(admin, id))
      expect(refused).to.include({ code: 'in_use', status: 409 })
      expect(refused.faults.map(({ message }) => message)).to.deep.equal(['has the permission movies:rate'])
      await access.permissions.change(admin, fresh, { resource: null })
      expect(await touchedBy(() => access.resources.remove(admin, id))).to.deep.equal([`resource ${id}`])
    })

    it('of a role and its assignment at the same moment leave one or the other', async () => {
      for (let round = 0; round < 10; round += 1) {
        const holder = await somebody()
        const { id, key } = await access.roles.create(OPERATOR, { key: `role-${round}` })
        const [assigned, removed] = await Promise.allSettled([
          access.assignments.assign(OPERATOR, holder, key),
          access.roles.remove(OPERATOR, id),
        ])
        const held = (await access.rolesOf(holder)).includes(key)
        expect([assigned.status, removed.status, held]).to.deep.equal(
          held ? ['fulfilled', 'rejected', true] : ['rejected', 'fulfilled', false],
        )
      }
    })
  })

  describe('a write', () => {
    it('touches every role that reaches what was changed', async () => {
      const editor = idOf(role, 'editor')
      const all = ['role admin', 'role chief', 'role editor']
      const { id } = await access.permissions.create(OPERATOR, { key: 'movies:rate' })
      expect(await touchedBy(() => access.roles.addPermission(OPERATOR, editor, 'movies:rate'))).to.deep.equal(all)
      expect(await touchedBy(() => access.roles.removePermission(OPERATOR, editor, id))).to.deep.equal(all)
      expect(await touchedBy(() => access.roles.include(OPERATOR, editor, 'empty'))).to.deep.equal(all)
      expect(await touchedBy(() => access.roles.exclude(OPERATOR, editor, idOf(role, 'empty')))).to.deep.equal(all)
      expect(await touchedBy(() => access.roles.change(OPERATOR, editor, { description: 'Edits' }))).to.deep.equal([])
    })

    it('touches the account that is given something, and both resources of a permission that moves', async () => {
      const holder = await somebody()
      const own = [`account ${holder}`]
      const edit = idOf(permission, 'movies:edit')
      expect(await touchedBy(() => access.assignments.assign(OPERATOR, holder, 'editor'))).to.deep.equal(own)
      expect(await touchedBy(() => access.assignments.unassign(OPERATOR, holder, idOf(role, 'editor')))).to.deep.equal(
        own,
      )
      expect(await touchedBy(() => access.assignments.give(OPERATOR, holder, 'movies:edit'))).to.deep.equal(own)
      expect(await touchedBy(() => access.assignments.take(OPERATOR, holder, edit))).to.deep.equal(own)
      const one = await access.resources.create(OPERATOR, { key: 'one' })
      const two = await access.resources.create(OPERATOR, { key: 'two' })
      const move = (resource: string) => access.permissions.change(OPERATOR, edit, { resource })
      expect(await touchedBy(() => move('one'))).to.deep.equal([`resource ${one.id}`])
      expect(await touchedBy(() => move('two'))).to.deep.equal([`resource ${one.id}`, `resource ${two.id}`].sort())
      const claim = () => access.resources.change(OPERATOR, two.id, { permissionsClaim: true })
      expect(await touchedBy(claim)).to.deep.equal([`resource ${two.id}`])
    })

    it('that changes nothing touches nothing and is not recorded', async () => {
      const holder = await somebody('editor')
      await access.assignments.give(OPERATOR, holder, 'movies:edit')
      const { id } = await access.resources.create(OPERATOR, { key: 'one', audience: 'https://one.example' })
      const count = async () => (await stores.db.selectFrom('audit_events').select('id').execute()).length
      const before = await count()
      const touched = await touchedBy(async () => {
        expect((await access.assignments.assign(OPERATOR, holder, 'editor')).isNew).to.equal(false)
        expect((await access.assignments.give(OPERATOR, holder, 'movies:edit')).isNew).to.equal(false)
        expect((await access.roles.include(OPERATOR, idOf(role, 'chief'), 'editor')).isNew).to.equal(false)
        const again = await access.roles.addPermission(OPERATOR, idOf(role, 'editor'), 'movies:edit')
        expect(again.isNew).to.equal(false)
        await access.roles.change(OPERATOR, idOf(role, 'editor'), { description: '' })
        await access.resources.change(OPERATOR, id, { audience: 'https://one.example' })
        await access.permissions.change(OPERATOR, idOf(permission, 'movies:edit'), { resource: null })
        await access.ensureResource({ key: 'one' })
        await access.ensureRole({ key: 'chief', permissions: ['movies:delete'], includes: ['editor'] })
      })
      expect(touched).to.deep.equal([])
      expect(await count()).to.equal(before)
    })

    it('is recorded with who made it, what was and what is', async () => {
      const { id } = await access.roles.create(admin, { key: 'writer', description: 'Writes' })
      await access.roles.addPermission(admin, id, 'movies:edit')
      await access.roles.include(admin, id, 'empty')
      await access.roles.change(admin, id, { description: 'Writes much' })
      await access.roles.remove(admin, id)
      const events = await eventsOf(id)
      expect(events.map(({ action }) => action)).to.deep.equal([
        'role.created',
        'role.permission_added',
        'role.included',
        'role.changed',
        'role.deleted',
      ])
      expect(events.every(({ actor, request }) => actor === admin.id && request === 'request-1')).to.equal(true)
      expect(events[1]?.after).to.deep.equal({ permission: 'movies:edit' })
      expect(events[3]?.before).to.include({ key: 'writer', description: 'Writes' })
      expect(events[3]?.after).to.include({ key: 'writer', description: 'Writes much' })
      const holder = await somebody()
      await access.assignments.assign(admin, holder, 'editor')
      await access.assignments.unassign(admin, holder, idOf(role, 'editor'))
      expect((await eventsOf(holder)).map(({ action, before, after }) => [action, before ?? after])).to.deep.equal([
        ['account.role_assigned', { role: 'editor' }],
        ['account.role_removed', { role: 'editor' }],
      ])
    })

    it('of what is not there is refused by name', async () => {
      await fails('not_found', {
        role: () => access.roles.change(OPERATOR, NOBODY, {}),
        'a role by its key': () => access.roles.remove(OPERATOR, 'editor'),
        permission: () => access.permissions.remove(OPERATOR, NOBODY),
        resource: () => access.resources.remove(OPERATOR, NOBODY),
        account: () => access.assignments.assign(OPERATOR, NOBODY, 'editor'),
        'an account that is no account': () => access.assignments.give(OPERATOR, 'x', 'movies:edit'),
        'what the role does not hold': () =>
          access.roles.removePermission(OPERATOR, idOf(role, 'chief'), idOf(permission, 'movies:edit')),
        'what it does not include': () => access.roles.exclude(OPERATOR, idOf(role, 'chief'), idOf(role, 'empty')),
        'what the account does not have': () =>
          access.assignments.unassign(OPERATOR, admin.id ?? '', idOf(role, 'chief')),
      })
      await fails('bad_request', {
        permission: () => access.roles.addPermission(OPERATOR, idOf(role, 'empty'), 'none'),
        role: () => access.roles.include(OPERATOR, idOf(role, 'empty'), 'none'),
        resource: () => access.permissions.create(OPERATOR, { key: 'x', resource: 'none' }),
        audience: () => access.resources.create(OPERATOR, { key: 'x', audience: 'none' }),
      })
    })
  })

  describe('whoever was let in', () => {
    const describing = (by: Actor, description: string) => access.roles.change(by, idOf(role, 'empty'), { description })

    it('by a permission is refused when it was taken before the write', async () => {
      const by = { ...admin, admittedBy: { permissions: ['permissions_admin', 'teams_admin'] } }
      await describing(by, 'before')
      await access.assignments.unassign(OPERATOR, admin.id ?? '', idOf(role, 'admin'))
      expect(await refusal(describing(by, 'after'))).to.include({ code: 'forbidden', status: 403 })
      expect((await access.roles.find(idOf(role, 'empty'))).description).to.equal('before')
    })

    it('by a permission is refused when the account was disabled before the write', async () => {
      const by = { ...admin, admittedBy: { permissions: ['permissions_admin'] } }
      await stores.db
        .updateTable('accounts')
        .set({ status: 'disabled' })
        .where('id', '=', admin.id ?? '')
        .execute()
      expect(await refusal(describing(by, 'after'))).to.include({ code: 'forbidden', status: 403 })
    })

    it('as the manager of a team is refused when it manages another one, or this one no more', async () => {
      const [mine, other] = [uuidv7(), uuidv7()]
      await stores.db
        .insertInto('teams')
        .values([mine, other].map((id) => ({ id, key: id, description: '', parent_id: null })))
        .execute()
      const seat = { team_id: mine, account_id: admin.id ?? '', is_manager: true }
      await stores.db.insertInto('team_members').values(seat).execute()
      await describing({ ...admin, admittedBy: { teamId: mine } }, 'before')
      expect((await refusal(describing({ ...admin, admittedBy: { teamId: other } }, 'x'))).code).to.equal('forbidden')
      await stores.db.updateTable('team_members').set({ is_manager: false }).execute()
      expect((await refusal(describing({ ...admin, admittedBy: { teamId: mine } }, 'x'))).code).to.equal('forbidden')
    })
  })

  describe('a declarative file', () => {
    it('makes resources, and roles that include others', async () => {
      expect(await access.ensureResource({ key: 'movies', audience: 'https://movies.example' })).to.equal('created')
      expect(await access.ensureResource({ key: 'movies' })).to.equal('unchanged')
      expect(await access.ensureResource({ key: 'movies', permissionsClaim: true })).to.equal('changed')
      expect(await access.ensurePermission({ key: 'movies:edit', resource: 'movies' })).to.equal('changed')
      expect(await access.ensurePermission({ key: 'movies:edit' })).to.equal('unchanged')
      expect(await access.ensureRole({ key: 'chief', includes: ['empty'] })).to.equal('changed')
      expect(await access.permissionKeysOfRole(stores.db, idOf(role, 'chief'))).to.deep.equal(['movies:delete'])
      const turned = await refusal(access.ensureRole({ key: 'empty', includes: ['chief'] }))
      expect(turned).to.include({ code: 'cycle', status: 409 })
      expect((await refusal(access.ensureRole({ key: 'empty', includes: ['none'] }))).faults[0]?.pointer).to.equal(
        '/includes',
      )
    })
  })
})
