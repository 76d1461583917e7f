import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Usher, usherIn } from '../cli/usher.ts'
import { startWorld, type World } from '../support/world.ts'

const PASSWORD = 'a quite long pass phrase'

describe('what the operator does by the command line', function () {
  this.timeout(90_000)
  let world: World
  let usher: Usher

  before(async () => {
    world = await startWorld({ servers: 0 })
    usher = await usherIn(world.env)
  })
  after(() => world?.stop())

  const run = async (...args: string[]) => {
    const { code, err } = await usher(...args)
    expect(code, err).to.equal(0)
  }
  const eventsOn = async (email: string) => {
    const { id = '' } = (await world.core.accounts.findByLogin(email)) ?? {}
    const entries = await world.core.audit.list({ filter: { target: { kind: 'account', id } }, limit: 50 })
    expect(entries.every(({ actor }) => actor.kind === 'operator')).to.equal(true)
    expect(JSON.stringify(entries)).to.not.contain(PASSWORD).and.not.contain('argon2')
    return entries.reverse().map(({ action }) => action)
  }

  it('to accounts is recorded', async () => {
    await run('account', 'create', '--email', 'ada@example.org', '--password', PASSWORD)
    await run('account', 'disable', 'ada@example.org', '--yes')
    await run('account', 'enable', 'ada@example.org')
    await run('account', 'sign-out', 'ada@example.org')
    expect(await eventsOn('ada@example.org')).to.deep.equal([
      'account.created',
      'account.disabled',
      'account.enabled',
      'account.signed_out',
    ])
  })

  it('to superusers is recorded', async () => {
    await run('superuser', 'create', '--email', 'root@example.org', '--password', PASSWORD)
    await run('superuser', 'create', '--email', 'root@example.org', '--first-name', 'Root')
    expect(await eventsOn('root@example.org')).to.deep.equal([
      'account.created',
      'account.role_assigned',
      'account.changed',
    ])
  })

  it('with a file is recorded where the file changes something, and only there', async () => {
    const describe = async (locale: string) => {
      const file = join(usher.dir, 'apply.json')
      const accounts = [{ email: 'eve@example.org', locale, roles: ['superuser'] }]
      await writeFile(file, JSON.stringify({ accounts }))
      await run('apply', file)
    }
    await describe('en')
    await describe('en')
    await describe('ru')
    const actions = await eventsOn('eve@example.org')
    expect(actions).to.deep.equal(['account.created', 'account.role_assigned', 'account.changed'])
  })
})
