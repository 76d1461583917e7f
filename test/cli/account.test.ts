import { expect } from 'chai'
import { send } from '../support/http.ts'
import { startWorld } from '../support/world.ts'
import { type Usher, usherIn, usherOnServers } from './usher.ts'

const PASSWORD = 'a quite long pass phrase'

describe('usher account', function () {
  this.timeout(60_000)
  let usher: Usher
  before(async () => {
    usher = await usherOnServers()
  })
  after(() => usher.remove())

  const shown = async (login: string) => JSON.parse((await usher('account', 'show', login, '--json')).out)

  it('creates an account that is found by address, username and id, without its hash', async () => {
    const created = await usher.with({ input: `${PASSWORD}\n` })(
      ...'account create --email ada@example.org --username ada --first-name Ada --last-name Lovelace'.split(' '),
      ...'--locale en --password-file - --json'.split(' '),
    )
    expect({ code: created.code, err: created.err }).to.deep.equal({ code: 0, err: '' })
    const account = JSON.parse(created.out)
    expect(account).to.include({
      email: 'ada@example.org',
      email_verified: true,
      username: 'ada',
      first_name: 'Ada',
      last_name: 'Lovelace',
      locale: 'en',
      status: 'active',
      has_password: true,
    })
    expect(created.out).to.not.contain('argon2').and.not.contain(PASSWORD)
    for (const login of ['ADA@example.org', 'ada', account.id]) {
      expect(await shown(login)).to.deep.equal({ ...account, roles: ['user'] })
    }
    expect((await usher('account', 'show', 'ada')).out)
      .to.contain('email: ada@example.org\n')
      .and.contain('roles: user')
  })

  it('takes a hash made elsewhere, or no password at all, and an address that is still to be proved', async () => {
    // Made by passlib 1.7.4, pbkdf2_sha256.
    const hash = '$pbkdf2-sha256$29000$b43RuhcipBQCwJhzzhkjxA$tPqGCPxPuFcMn3E.hYOphPNvUpKgN1b1YeTERIKmxuo'
    const create = ['account', 'create', '--email']
    expect((await usher(...create, 'bob@example.org', '--password-hash', hash, '--unverified')).code).to.equal(0)
    expect(await shown('bob@example.org')).to.include({ has_password: true, email_verified: false })
    expect((await usher(...create, 'eve@example.org', '--without-password')).code).to.equal(0)
    expect(await shown('eve@example.org')).to.include({ has_password: false, email_verified: true })
  })

  it('refuses a taken address, a weak password, a hash beyond bearing, two ways at once and none', async () => {
    const create = ['account', 'create', '--email']
    const REFUSED: [code: number, args: string[]][] = [
      [1, ['ADA@example.org', '--password', PASSWORD]],
      [1, ['new@example.org', '--password', 'short']],
      [1, ['new@example.org', '--password-hash', '$2b$31$qwDP5fRvWRO3ALJ1tx/X6.M4QsMiir2LjsTv5tIj.LO4HhC3zWeK2']],
      [2, ['new@example.org', '--password', PASSWORD, '--without-password']],
      [2, ['new@example.org']],
    ]
    for (const [code, args] of REFUSED) {
      const answer = await usher(...create, ...args)
      expect(answer.code, args.join(' ')).to.equal(code)
      expect(answer.err.trimEnd().split('\n')).to.have.lengthOf(1)
    }
    expect((await usher('account', 'show', 'new@example.org')).err).to.equal(
      'usher: There is no account new@example.org.\n',
    )
  })

  it('disables and enables', async () => {
    expect((await usher('account', 'disable', 'ada')).out).to.equal('Disabled the account ada@example.org.\n')
    expect(await shown('ada')).to.include({ status: 'disabled' })
    expect((await usher('account', 'enable', 'ada')).out).to.equal('Enabled the account ada@example.org.\n')
    expect(await shown('ada')).to.include({ status: 'active' })
  })

  it('does not disable the last superuser', async () => {
    await usher('superuser', 'create', '--email', 'root@example.org', '--password', PASSWORD)
    const { code, err } = await usher('account', 'disable', 'root@example.org')
    expect(code).to.equal(1)
    expect(err).to.contain('last superuser')
    expect(await shown('root@example.org')).to.include({ status: 'active' })
  })

  it('lists where an account is signed in, and ends it all', async () => {
    const world = await startWorld()
    try {
      const { id } = await world.core.accounts.create({ email: 'ida@example.org', password: PASSWORD })
      const client = { id: 'app', name: 'The app', type: 'spa', firstParty: true, scopes: ['openid'] } as const
      const grantTypes = ['password', 'refresh_token', 'authorization_code']
      await world.core.clients.create({ ...client, grantTypes, redirectUris: ['https://app.example/callback'] })
      const token = (form: Record<string, string>) =>
        send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', { form: { client_id: 'app', ...form } })
      const asked = { grant_type: 'password', username: 'ida@example.org', password: PASSWORD, scope: 'openid' }
      const { refresh_token = '' } = (await token(asked)).json<{ refresh_token?: string }>()

      const there = await usherIn(world.env)
      const listed = JSON.parse((await there('account', 'sessions', id, '--json')).out)
      expect(listed).to.have.lengthOf(1)
      expect(listed[0]).to.include({ client_id: 'app', client_name: 'The app', address: '127.0.0.1' })
      expect((await there('account', 'sessions', 'ida@example.org')).out).to.match(/^ID +CLIENT/)
      expect((await there('account', 'sign-out', id)).code).to.equal(0)
      expect((await token({ grant_type: 'refresh_token', refresh_token })).status).to.equal(400)
      expect((await there('account', 'sessions', id)).out).to.equal('It is signed in nowhere.\n')
    } finally {
      await world.stop()
    }
  })

  it('lists sessions and signs out, also where there is nothing to end', async () => {
    expect((await usher('account', 'sessions', 'ada')).out).to.equal('It is signed in nowhere.\n')
    expect(JSON.parse((await usher('account', 'sessions', 'ada', '--json')).out)).to.deep.equal([])
    expect((await usher('account', 'sign-out', 'ada')).out).to.equal('Signed ada@example.org out everywhere.\n')
    for (const verb of ['sessions', 'sign-out', 'disable', 'enable']) {
      expect((await usher('account', verb, 'nobody')).code).to.equal(1)
    }
  })
})
