import { expect } from 'chai'
import type { Access } from '../../src/access/access.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { type Accounts, createAccounts } from '../../src/accounts/accounts.ts'
import { createHashPool } from '../../src/accounts/hash-pool.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { inTransaction } from '../../src/storage/transaction.ts'
import { accessOn } from '../support/access.ts'
import { lostDatabase, type OpenStores, openStores } from '../support/open-stores.ts'
import { refusal } from '../support/refusal.ts'

const BASE_PERMISSIONS = [
  'accounts_admin',
  'all_all',
  'audit_read',
  'clients_admin',
  'permissions_admin',
  'teams_admin',
]
const NOBODY = '01a1fbc9-bba0-7cd7-b106-413d8ad57f49'
let unique = 0
const next = (): number => {
  unique += 1
  return unique
}

describe('access', () => {
  let stores: OpenStores
  let access: Access
  let accounts: Accounts
  beforeEach(async () => {
    stores = await openStores()
    access = accessOn(stores.db)
    accounts = createAccounts({
      db: stores.db,
      store: createAccountStore(),
      hashes: createHashPool({ workers: 1 }),
      policy: createPasswordPolicy(),
      revokeSubject: () => Promise.resolve(),
      guardRemoval: access.refuseLastSuperuser,
    })
    await access.initialize()
  })
  afterEach(() => stores.close())

  const somebody = async () => (await accounts.create({ email: `somebody-${next()}@example.org` })).id
  const superuser = async () => {
    const id = await somebody()
    await access.assignRole(id, 'superuser')
    return id
  }
  const permissionsOf = async (role: string) => {
    const rows = await stores.db
      .selectFrom('role_permissions')
      .innerJoin('roles', 'roles.id', 'role_id')
      .innerJoin('permissions', 'permissions.id', 'permission_id')
      .select('permissions.key')
      .where('roles.key', '=', role)
      .orderBy('permissions.key')
      .execute()
    return rows.map(({ key }) => key)
  }

  describe('begins', () => {
    it('with the base permissions and the system roles', async () => {
      const roles = await stores.db.selectFrom('roles').select(['key', 'is_system']).orderBy('key').execute()
      expect(roles.map(({ key }) => key)).to.deep.equal(['non_registered', 'superuser', 'user'])
      expect(roles.every((role) => role.is_system)).to.equal(true)
      const permissions = await stores.db.selectFrom('permissions').select('key').orderBy('key').execute()
      expect(permissions.map(({ key }) => key)).to.deep.equal(BASE_PERMISSIONS)
      expect(await permissionsOf('superuser')).to.deep.equal(['all_all'])
    })

    it('once, however often and by however many servers at once', async () => {
      const fresh = await openStores()
      const rivals = await Promise.all(Array.from({ length: 6 }, () => accessOn(fresh.db).initialize()))
      expect(rivals.flatMap(({ created }) => created).sort()).to.deep.equal([
        ...[...BASE_PERMISSIONS, 'non_registered', 'superuser', 'user'].sort(),
      ])
      expect(await accessOn(fresh.db).initialize()).to.deep.equal({ created: [] })
      await fresh.close()
    })

    it('again without undoing what an operator has changed', async () => {
      await access.ensureRole({ key: 'user', description: 'Members', permissions: ['permissions_admin'] })
      await access.initialize()
      expect(await permissionsOf('user')).to.deep.equal(['permissions_admin'])
      const role = await stores.db.selectFrom('roles').selectAll().where('key', '=', 'user').executeTakeFirstOrThrow()
      expect(role).to.include({ description: 'Members', is_system: true })
    })
  })

  describe('roles of an account', () => {
    it('always hold user, sorted, each once', async () => {
      const id = await somebody()
      expect(await access.rolesOf(id)).to.deep.equal(['user'])
      await access.ensureRole({ key: 'editor' })
      for (const role of ['superuser', 'editor', 'editor']) await access.assignRole(id, role)
      expect(await access.rolesOf(id)).to.deep.equal(['editor', 'superuser', 'user'])
      await access.removeRole(id, 'editor')
      await access.removeRole(id, 'editor')
      expect(await access.rolesOf(id)).to.deep.equal(['superuser', 'user'])
    })

    it('are those of nobody for the id of a client', async () => {
      expect(await access.rolesOf('my-client')).to.deep.equal(['user'])
    })

    it('can be neither unknown nor given to an unknown account', async () => {
      const id = await somebody()
      expect((await refusal(access.assignRole(id, 'king'))).status).to.equal(404)
      expect((await refusal(access.removeRole(id, 'king'))).status).to.equal(404)
      expect((await refusal(access.assignRole(NOBODY, 'superuser'))).status).to.equal(404)
      expect((await refusal(access.assignRole('my-client', 'superuser'))).status).to.equal(404)
      for (const role of ['user', 'non_registered'])
        expect((await refusal(access.assignRole(id, role))).status).to.equal(409)
    })

    it('are given in the transaction that creates the account, or there is no account', async () => {
      const email = 'root@example.org'
      const failing = accounts.create({ email }, (executor, { id }) => access.assignRole(id, 'king', executor))
      expect((await refusal(failing)).status).to.equal(404)
      expect(await accounts.findByLogin(email)).to.equal(undefined)
      const { id } = await accounts.create({ email }, (executor, account) =>
        access.assignRole(account.id, 'superuser', executor),
      )
      expect(await access.holdersOf('superuser')).to.deep.equal([id])
    })
  })

  describe('the last superuser', () => {
    it('cannot lose the role, be removed or be disabled', async () => {
      const id = await superuser()
      await somebody()
      const attempts = [access.removeRole(id, 'superuser'), accounts.remove(id), accounts.disable(id)]
      const refusals = await Promise.all(attempts.map(refusal))
      expect(refusals.map(({ status }) => status)).to.deep.equal([409, 409, 409])
      expect(await access.holdersOf('superuser')).to.deep.equal([id])
    })

    it('is the last one when the others are disabled', async () => {
      const [one, other] = [await superuser(), await superuser()]
      await accounts.disable(other)
      expect((await refusal(accounts.remove(one))).status).to.equal(409)
      await accounts.remove(other)
      expect(await access.holdersOf('superuser')).to.deep.equal([one])
    })

    it('stays when two superusers remove each other at once, twenty times', async () => {
      for (let round = 0; round < 20; round += 1) {
        for (let missing = 2 - (await access.holdersOf('superuser')).length; missing > 0; missing -= 1)
          await superuser()
        const holders = await access.holdersOf('superuser')
        const ways = [
          (id: string) => accounts.remove(id),
          (id: string) => access.removeRole(id, 'superuser'),
          (id: string) => accounts.disable(id),
        ]
        const outcomes = await Promise.allSettled(holders.map((id, place) => ways[(round + place) % 3]?.(id)))
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(1)
        expect(await access.holdersOf('superuser')).to.have.lengthOf(1)
      }
    })
  })

  describe('a declarative file', () => {
    it('creates, changes and leaves alone permissions', async () => {
      expect(await access.ensurePermission({ key: 'reports_read' })).to.equal('created')
      expect(await access.ensurePermission({ key: 'reports_read' })).to.equal('unchanged')
      expect(await access.ensurePermission({ key: 'reports_read', description: 'Read' })).to.equal('changed')
      expect(await access.ensurePermission({ key: 'reports_read', description: 'Read' })).to.equal('unchanged')
      expect(await access.ensurePermission({ key: 'reports_read' })).to.equal('unchanged')
    })

    it('creates, changes and leaves alone roles with their permissions', async () => {
      for (const key of ['reports_read', 'reports_write']) await access.ensurePermission({ key })
      const both = ['reports_write', 'reports_read', 'reports_read']
      expect(await access.ensureRole({ key: 'editor', permissions: both })).to.equal('created')
      expect(await access.ensureRole({ key: 'editor', permissions: both })).to.equal('unchanged')
      expect(await access.ensureRole({ key: 'editor' })).to.equal('unchanged')
      expect(await permissionsOf('editor')).to.deep.equal(['reports_read', 'reports_write'])
      expect(await access.ensureRole({ key: 'editor', permissions: ['reports_read'] })).to.equal('changed')
      expect(await permissionsOf('editor')).to.deep.equal(['reports_read'])
      expect(await access.ensureRole({ key: 'editor', description: 'Edits' })).to.equal('changed')
    })

    it('can be tried inside a transaction that is rolled back', async () => {
      const trial = inTransaction(stores.db, async (executor) => {
        await access.ensurePermission({ key: 'reports_read' }, executor)
        expect(await access.ensureRole({ key: 'editor', permissions: ['reports_read'] }, executor)).to.equal('created')
        throw new Error('only a trial')
      })
      expect(await trial.catch((error: Error) => error.message)).to.equal('only a trial')
      expect(await access.ensureRole({ key: 'editor' })).to.equal('created')
    })

    it('is refused for unknown permissions, malformed keys and a weak superuser, and changes nothing', async () => {
      const attempts = [
        access.ensureRole({ key: 'editor', permissions: ['reports_read'] }),
        access.ensureRole({ key: 'an editor' }),
        access.ensurePermission({ key: '' }),
        access.ensurePermission({ key: 'reports_read', description: 'two\nlines' }),
        access.ensureRole({ key: 'superuser', permissions: ['permissions_admin'] }),
      ]
      const refusals = await Promise.all(attempts.map(refusal))
      expect(refusals.map(({ status }) => status)).to.deep.equal([400, 400, 400, 400, 409])
      expect(await access.ensureRole({ key: 'editor' })).to.equal('created')
    })
  })

  it('answers 503, not "no role", when the database does not answer', async () => {
    const lost = await lostDatabase()
    const blind = accessOn(lost.db)
    const attempts = [
      blind.rolesOf(NOBODY),
      blind.assignRole(NOBODY, 'superuser'),
      blind.removeRole(NOBODY, 'superuser'),
    ]
    const more = [blind.holdersOf('superuser'), blind.initialize(), blind.ensureRole({ key: 'editor' })]
    const refusals = await Promise.all([...attempts, ...more].map(refusal))
    expect(refusals.map(({ status }) => status)).to.deep.equal([503, 503, 503, 503, 503, 503])
    await lost.close()
  })
})
