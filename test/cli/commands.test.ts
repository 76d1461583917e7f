import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Usher, usherOnServers } from './usher.ts'

describe('commands over PostgreSQL and Redis', function () {
  this.timeout(30_000)
  let usher: Usher
  before(async () => {
    usher = await usherOnServers()
  })
  after(() => usher.remove())

  describe('usher init', () => {
    it('creates the base permissions and roles once', async () => {
      const first = await usher('init')
      expect(first.out).to.equal(
        'Created all_all, permissions_admin, accounts_admin, teams_admin, clients_admin, audit_read, superuser, user, non_registered.\n',
      )
      const second = await usher('init')
      expect(second).to.deep.equal({ code: 0, out: 'The base permissions and roles are there.\n', err: '' })
    })
  })

  describe('usher superuser', () => {
    it('creates one with a password from the standard input, and may be repeated', async () => {
      const create = [
        'superuser',
        'create',
        '--email',
        'ada@example.org',
        '--first-name',
        'Ada',
        '--password-file',
        '-',
      ]
      const first = await usher.with({ input: 'a quite long pass phrase\n' })(...create)
      expect(first).to.deep.equal({ code: 0, out: 'Created the superuser ada@example.org.\n', err: '' })
      expect((await usher('superuser', 'create', '--email', 'ADA@example.org')).code).to.equal(0)
    })

    it('says that an existing one has got another password', async () => {
      const again = ['superuser', 'create', '--email', 'ada@example.org', '--password', 'another quite long phrase']
      expect((await usher(...again)).out).to.equal('ada@example.org is a superuser; the password is replaced.\n')
    })

    it('refuses a weak password and a malformed address with one line each', async () => {
      for (const [email, password] of [
        ['bob@example.org', 'short'],
        ['bob', 'a quite long pass phrase'],
      ] as const) {
        const { code, err } = await usher('superuser', 'create', '--email', email, '--password', password)
        expect(code).to.equal(1)
        expect(err.trimEnd().split('\n')).to.have.lengthOf(1)
        expect(err).to.not.contain(password)
      }
    })

    it('keeps the last one', async () => {
      const { code, err } = await usher('superuser', 'delete', '--email', 'ada@example.org')
      expect(code).to.equal(1)
      expect(err).to.contain('last superuser')
    })

    it('deletes one of two, and nobody who is none', async () => {
      await usher('init', '--with-superuser', '--email', 'eve@example.org', '--password', 'a quite long pass phrase')
      expect((await usher('superuser', 'delete', '--email', 'eve@example.org')).code).to.equal(0)
      expect((await usher('superuser', 'delete', '--email', 'eve@example.org')).code).to.equal(1)
    })
  })

  describe('usher client', () => {
    it('registers with all that was asked for and prints a generated secret once', async () => {
      const created = await usher(
        ...'client create --id shop --name Shop --type web --first-party --json'.split(' '),
        ...'--redirect-uri https://shop.example/a --redirect-uri https://shop.example/b'.split(' '),
        ...'--post-logout-redirect-uri https://shop.example/ --grant authorization_code --grant password'.split(' '),
        ...['--scope', 'openid email', '--scope', 'orders:read', '--audience', 'https://orders.example'],
        ...'--no-pkce --auth-method client_secret_post --access-token-ttl 60 --refresh-token-ttl 600'.split(' '),
      )
      expect(created.err).to.equal('')
      const { client_secret: secret, ...client } = JSON.parse(created.out)
      expect(secret).to.match(/^[\w-]{43}$/)
      const shown = await usher('client', 'show', 'shop', '--json')
      expect(shown.out).to.not.contain(secret)
      expect(JSON.parse(shown.out))
        .to.deep.equal(client)
        .and.to.deep.include({
          client_id: 'shop',
          client_name: 'Shop',
          type: 'web',
          first_party: true,
          require_pkce: false,
          token_endpoint_auth_method: 'client_secret_post',
          grant_types: ['authorization_code', 'password'],
          redirect_uris: ['https://shop.example/a', 'https://shop.example/b'],
          post_logout_redirect_uris: ['https://shop.example/'],
          scopes: ['openid', 'email', 'orders:read'],
          audience: 'https://orders.example',
          access_token_ttl_seconds: 60,
          refresh_token_ttl_seconds: 600,
        })
    })

    it('takes a secret from a file and does not print it', async () => {
      const secret = 'q7Rk2mVx9TzB4nLw8YcH3sJd6FgP1aKe5UiO0rXvNbM'
      writeFileSync(join(usher.dir, 'secret'), `${secret}\n`)
      const { code, out } = await usher(...'client create --id worker --type machine --secret-file secret'.split(' '))
      expect(code).to.equal(0)
      expect(out).to.contain('worker').and.not.contain(secret)
    })

    it('reports every fault of a registration', async () => {
      const args = 'client create --id a:b --type web --redirect-uri ftp://x --redirect-uri https://a.example/#b'
      const { code, err } = await usher(...args.split(' '))
      expect(code).to.equal(1)
      expect(err.trimEnd().split('\n')).to.have.lengthOf(3)
    })

    it('refuses an id that is taken', async () => {
      const { code, err } = await usher(...'client create --id worker --type machine'.split(' '))
      expect({ code, err }).to.deep.equal({ code: 1, err: 'usher: A client with the id worker exists already.\n' })
    })

    it('lists all clients, over several pages', async () => {
      const ids = Array.from({ length: 130 }, (_, index) => `m${index}`)
      const clients = ids.map((id) => ({ id, type: 'machine' }))
      writeFileSync(join(usher.dir, 'many.json'), JSON.stringify({ clients }))
      expect((await usher('apply', 'many.json')).code).to.equal(0)
      const listed = JSON.parse((await usher('client', 'list', '--json')).out)
      expect(listed.map((client: { client_id: string }) => client.client_id)).to.have.members([
        ...ids,
        'shop',
        'worker',
      ])
      expect((await usher('client', 'list')).out).to.match(/^ID +NAME +TYPE/)
    })

    it('deletes, and says when there is nothing', async () => {
      expect((await usher('client', 'delete', 'worker')).code).to.equal(0)
      expect((await usher('client', 'delete', 'worker')).code).to.equal(1)
      expect((await usher('client', 'show', 'worker')).err).to.equal('usher: There is no client worker.\n')
    })
  })

  describe('usher migrate', () => {
    it('goes down and up again', async () => {
      const before = JSON.parse((await usher('migrate', 'status', '--json')).out)
      expect(before.pending).to.deep.equal([])
      const last = before.applied.at(-1)
      expect((await usher('migrate', 'down')).out).to.equal(`took back ${last}\n`)
      expect((await usher('migrate', 'status')).out).to.match(new RegExp(`${last} +pending`))
      expect((await usher('migrate', 'up')).out).to.equal(`applied ${last}\n`)
      expect((await usher('migrate', 'up')).out).to.equal('The schema is up to date.\n')
    })
  })

  describe('usher keys', () => {
    it('lists what the commands above have made, and rotates step by step', async () => {
      expect(JSON.parse((await usher('keys', 'list', '--json')).out)).to.have.lengthOf(4)
      expect((await usher('keys', 'rotate')).out).to.contain('Published the next keys')
      expect((await usher('keys', 'rotate')).out).to.contain('may not be known everywhere yet')
      expect((await usher('keys', 'rotate', '--force')).out).to.contain('sign from now on')
      expect((await usher('keys', 'list')).out.match(/retired/g)).to.have.lengthOf(4)
    })
  })

  describe('usher config', () => {
    it('prints every setting and its source, and no secret', async () => {
      const { code, out } = await usher.with({ env: { USHER_PORT: '4711' } })('config', 'print', '--json')
      expect(code).to.equal(0)
      expect(out).to.not.contain('postgres://')
      const lines: { setting: string; value: string; source: string }[] = JSON.parse(out)
      expect(lines).to.deep.include({ setting: 'USHER_DATABASE_URL', value: '(secret)', source: 'environment' })
      expect(lines).to.deep.include({ setting: 'USHER_PORT', value: '4711', source: 'environment' })
      expect(lines).to.deep.include({ setting: 'USHER_HOST', value: '127.0.0.1', source: 'default' })
    })

    it('checks, warns of unknown settings, and reads a file .env that the environment overrules', async () => {
      writeFileSync(join(usher.dir, '.env'), 'USHER_LOG_LEVEL=warn\nUSHER_PORT=1\nUSHER_ISUER=x\n')
      const { out } = await usher.with({ env: { USHER_PORT: '2' } })('config', 'print')
      expect(out)
        .to.match(/USHER_LOG_LEVEL +warn/)
        .and.match(/USHER_PORT +2/)
      const { code, err } = await usher('config', 'check')
      expect(code).to.equal(0)
      expect(err).to.contain('USHER_ISUER is no setting')
      writeFileSync(join(usher.dir, '.env'), '')
    })
  })
})
