import { expect } from 'chai'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { createAccounts } from '../../src/accounts/accounts.ts'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { createPasswordPolicy } from '../../src/accounts/password-policy.ts'
import { createClientStore } from '../../src/clients/client-store.ts'
import { createClients } from '../../src/clients/clients.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { accessOn } from '../support/access.ts'
import { freshPglite } from '../support/database.ts'
import { refusal } from '../support/refusal.ts'

describe('accounts, access and clients on the embedded database', function () {
  this.timeout(30_000)
  let database: OpenDatabase
  let hashes: HashPool
  before(async () => {
    database = await freshPglite()
    hashes = createHashPool({ workers: 1 })
  })
  after(async () => {
    await hashes.close()
    await database.close()
  })

  it('do what they do on PostgreSQL', async () => {
    const { db } = database
    const access = accessOn(db)
    const accounts = createAccounts({
      db,
      store: createAccountStore(),
      hashes,
      policy: createPasswordPolicy(),
      revokeSubject: () => Promise.resolve(),
      guardRemoval: access.refuseLastSuperuser,
    })
    expect((await access.initialize()).created).to.have.lengthOf(9)
    expect((await access.initialize()).created).to.deep.equal([])

    const described = { email: 'Anna@example.org', password: 'correct horse battery', profile: { nickname: 'An' } }
    const anna = await accounts.create(described, (executor, { id }) => access.assignRole(id, 'superuser', executor))
    expect(await accounts.findByLogin('ANNA@example.org')).to.deep.equal(anna)
    expect((await accounts.ensure(described)).outcome).to.equal('unchanged')
    expect(await access.rolesOf(anna.id)).to.deep.equal(['superuser', 'user'])

    const attempts = [
      accounts.create({ email: 'anna@EXAMPLE.org' }),
      accounts.remove(anna.id),
      accounts.disable(anna.id),
    ]
    const refusals = await Promise.all(attempts.map(refusal))
    expect(refusals.map(({ status }) => status)).to.deep.equal([409, 409, 409])
    expect((await refusal(access.assignRole('01a1fbc9-bba0-7cd7-b106-413d8ad57f49', 'superuser'))).status).to.equal(404)

    const clients = createClients({
      db,
      store: createClientStore(),
      pepper: 'a pepper for tests',
      production: false,
      checkClientMetadata: () => {},
      revokeClient: () => Promise.resolve(),
    })
    const demo = {
      id: 'demo',
      type: 'spa',
      redirectUris: ['http://localhost:4000/cb'],
      metadata: { b: 1, a: 2 },
    } as const
    expect((await clients.ensure(demo)).outcome).to.equal('created')
    expect((await clients.ensure(demo)).outcome).to.equal('unchanged')
    expect((await clients.find('demo'))?.redirectUris).to.deep.equal(demo.redirectUris)
    expect((await refusal(clients.create(demo))).status).to.equal(409)
    await clients.remove('demo')
    expect(await clients.list()).to.deep.equal([])
  })
})
