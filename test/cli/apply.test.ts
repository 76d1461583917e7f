import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Usher, usherOnServers } from './usher.ts'

const EXAMPLE = fileURLToPath(new URL('../../config/apply.example.yaml', import.meta.url))
const SECRET = 'q7Rk2mVx9TzB4nLw8YcH3sJd6FgP1aKe5UiO0rXvNbM'

const OF_EXAMPLE = [
  'resource reports',
  'permission reports:read',
  'permission reports:write',
  'role analyst',
  'role reader',
  'client reports-web',
  'client reports-worker',
  'account analyst@example.org',
  'team finance',
  'team controlling',
  'visibility group headquarters',
]
/** What is said of each thing, without the columns. */
const linesOf = (out: string): string[] =>
  out
    .split('\n')
    .filter((line) => /^(created|changed|unchanged) /.test(line))
    .map((line) => line.replaceAll(/ +/g, ' '))

describe('usher apply', function () {
  this.timeout(30_000)
  let usher: Usher
  const write = (name: string, content: unknown) =>
    writeFileSync(join(usher.dir, name), typeof content === 'string' ? content : JSON.stringify(content))
  const faultsOf = async (content: unknown): Promise<string[]> => {
    write('faulty.yaml', content)
    const { code, err } = await usher('apply', 'faulty.yaml')
    expect(code).to.equal(1)
    return err
      .trimEnd()
      .split('\n')
      .map((line) => line.replace('usher: ', ''))
  }

  before(async () => {
    usher = await usherOnServers()
    cpSync(EXAMPLE, join(usher.dir, 'example.yaml'))
  })
  after(() => usher.remove())

  it('plans without writing', async () => {
    for (const _ of [1, 2]) {
      const { code, out } = await usher('apply', 'example.yaml', '--dry-run')
      expect(code).to.equal(0)
      expect(linesOf(out)).to.deep.equal(OF_EXAMPLE.map((line) => `created ${line}`))
      expect(out).to.contain('11 created, 0 changed, 0 unchanged. Nothing was written.')
    }
    expect(JSON.parse((await usher('client', 'list', '--json')).out)).to.deep.equal([])
  })

  it('does what it planned, prints generated secrets once, and says unchanged when repeated', async () => {
    const first = await usher('apply', 'example.yaml')
    expect(first.err).to.equal('')
    expect(linesOf(first.out)).to.deep.equal(OF_EXAMPLE.map((line) => `created ${line}`))
    expect(first.out).to.contain('11 created, 0 changed, 0 unchanged.')
    expect(first.out.match(/client_secret of reports-\w+, shown this once: [\w-]{43}/g)).to.have.lengthOf(2)
    for (const more of [[], ['--dry-run']]) {
      const again = await usher('apply', 'example.yaml', ...more)
      expect(linesOf(again.out)).to.deep.equal(OF_EXAMPLE.map((line) => `unchanged ${line}`))
      expect(again.out).to.contain('0 created, 0 changed, 11 unchanged.')
      expect(again.out).to.not.contain('client_secret')
    }
  })

  it('takes JSON, and secrets from variables and files beside it', async () => {
    write('secret.txt', `${SECRET}\n`)
    const clients = [
      { id: 'one', type: 'machine', secret_env: 'ONE_SECRET' },
      { id: 'two', type: 'machine', secret_file: 'secret.txt' },
    ]
    const accounts = [{ email: 'ann@example.org', password_env: 'ANN_PASSWORD', roles: ['superuser'] }]
    write('secrets.json', { clients, accounts })
    const env = { ONE_SECRET: SECRET, ANN_PASSWORD: 'a quite long pass phrase' }
    const first = await usher.with({ env })('apply', 'secrets.json')
    expect(first.out).to.contain('3 created').and.not.contain(SECRET)
    expect((await usher.with({ env })('apply', 'secrets.json')).out).to.contain('3 unchanged')
    const others = { ONE_SECRET: SECRET.toLowerCase(), ANN_PASSWORD: 'another quite long one' }
    expect((await usher.with({ env: others })('apply', 'secrets.json', '--dry-run')).out).to.contain('2 changed')
    expect((await usher.with({ env: others })('apply', 'secrets.json')).out).to.contain('2 changed')
  })

  it('replaces the roles of an account and the permissions of a role', async () => {
    write(
      'roles.yaml',
      'roles: [{ key: analyst, permissions: ["reports:read"] }]\naccounts: [{ email: analyst@example.org, roles: [] }]',
    )
    expect((await usher('apply', 'roles.yaml', '--dry-run')).out).to.contain('2 changed')
    expect((await usher('apply', 'roles.yaml')).out).to.contain('2 changed')
    expect((await usher('apply', 'roles.yaml')).out).to.contain('2 unchanged')
  })

  it('refuses unknown keys, missing ones and wrong types with their paths, all at once', async () => {
    const faults = await faultsOf({
      clients: [{ id: 'a', type: 'web', redirect_urls: [] }, { id: 'b', type: 'toaster' }, { type: 'web' }],
      accounts: [{ email: 'a@example.org', password: 'hush' }],
      role: [],
    })
    expect(faults).to.have.members([
      'role: unknown key',
      'clients[0].redirect_urls: unknown key',
      'clients[1].type: must be one of web, spa, native, machine',
      'clients[2].id: is missing',
      'accounts[0].password: unknown key',
    ])
  })

  it('names the place of what a room refuses', async () => {
    expect(
      await faultsOf({ clients: [{ id: 'a', type: 'web', redirect_uris: ['https://a.example/', 'ftp://x'] }] }),
    ).to.satisfy(([fault]: string[]) => fault?.startsWith('clients[0].redirect_uris[1]: '))
    expect((await faultsOf({ roles: [{ key: 'r', permissions: ['nope'] }] }))[0]).to.match(
      /^roles\[0\]\.permissions: .*nope/,
    )
    expect((await faultsOf({ accounts: [{ email: 'a@example.org', roles: ['nope'] }] }))[0]).to.match(
      /^accounts\[0\]\.roles: .*nope/,
    )
    expect((await faultsOf({ accounts: [{ email: 'nobody' }] }))[0]).to.match(/^accounts\[0\]\.email: /)
  })

  it('writes nothing when anything is refused, and foresees it', async () => {
    const clients = [{ id: 'half-way', type: 'machine' }]
    write('half.json', { clients, accounts: [{ email: 'half@example.org', roles: ['nope'] }] })
    expect((await usher('apply', 'half.json', '--dry-run')).code).to.equal(1)
    expect((await usher('apply', 'half.json')).code).to.equal(1)
    expect((await usher('client', 'show', 'half-way')).code).to.equal(1)
  })

  it('foresees that the last superuser would go, and lets one go where the file makes another before', async () => {
    const clients = [{ id: 'before-the-last', type: 'machine' }]
    for (const described of [{ roles: [] }, { status: 'disabled' }]) {
      write('last.json', { clients, accounts: [{ email: 'ann@example.org', ...described }] })
      const { code, err } = await usher('apply', 'last.json')
      expect(code).to.equal(1)
      expect(err).to.contain('accounts[0]: This is the last superuser.')
    }
    expect((await usher('client', 'show', 'before-the-last')).code).to.equal(1)
    const bob = { email: 'bob@example.org', roles: ['superuser'] }
    write('next.json', { accounts: [bob, { email: 'ann@example.org', roles: [] }] })
    expect((await usher('apply', 'next.json')).out).to.contain('1 created, 1 changed')
  })

  it('refuses a secret twice, an unset variable, a missing file, a repeated object and broken YAML', async () => {
    const machine = { id: 'a', type: 'machine' }
    expect(await faultsOf({ clients: [{ ...machine, secret_env: 'A', secret_file: 'b' }] })).to.deep.equal([
      'clients[0]: holds two forms of the same secret',
    ])
    expect(
      await faultsOf({
        clients: [
          { ...machine, secret_env: 'NOT_SET' },
          { ...machine, secret_file: 'nowhere' },
        ],
      }),
    ).to.deep.equal([
      'clients[1]: a is described twice',
      'clients[0].secret_env: the environment variable NOT_SET is not set',
      'clients[1].secret_file: the file nowhere cannot be read',
    ])
    expect(await faultsOf('clients: [\n')).to.have.lengthOf(1)
    expect((await usher('apply', 'nowhere.yaml')).err).to.equal('usher: nowhere.yaml cannot be read\n')
  })

  describe('teams and visibility groups', () => {
    const tree = {
      accounts: [{ email: 'tess@example.org' }, { email: 'tom@example.org' }],
      roles: [
        { key: 'above', includes: ['below'] },
        { key: 'below', permissions: ['audit_read'] },
      ],
      teams: [
        { key: 'crew', parent: 'ship', members: ['tess@example.org'] },
        { key: 'ship', roles: ['above'] },
      ],
      visibility_groups: [
        { key: 'cabin', parent: 'deck', members: ['tess@example.org'] },
        { key: 'deck', members: ['tom@example.org'] },
      ],
    }
    const applied = async (content: object) => {
      write('tree.json', content)
      const planned = await usher('apply', 'tree.json', '--dry-run')
      const { code, out, err } = await usher('apply', 'tree.json')
      expect({ code, err }).to.deep.equal({ code: 0, err: '' })
      expect(linesOf(planned.out), 'as planned').to.deep.equal(linesOf(out))
      return linesOf(out).filter((line) => !line.startsWith('unchanged'))
    }

    it('stand in any order, and give what they say', async () => {
      expect(await applied(tree)).to.have.lengthOf(8)
      expect(await applied(tree)).to.deep.equal([])
      expect((await usher('can', 'tess@example.org', 'audit_read')).out).to.equal('yes\n')
      expect((await usher('can', 'tom@example.org', 'audit_read')).out).to.equal('no\n')
    })

    it('turn round in one file: roles that include, teams and groups that lie below', async () => {
      const turned = {
        roles: [
          { key: 'above', includes: [] },
          { key: 'below', includes: ['above'] },
        ],
        teams: [
          { key: 'crew', parent: null },
          { key: 'ship', parent: 'crew' },
        ],
        visibility_groups: [
          { key: 'cabin', parent: 'root' },
          { key: 'deck', parent: 'cabin' },
        ],
      }
      expect(await applied(turned)).to.have.members([
        ...['changed role above', 'changed role below', 'changed team crew', 'changed team ship'],
        ...['changed visibility group cabin', 'changed visibility group deck'],
      ])
      expect(await applied(turned)).to.deep.equal([])
    })

    it('have exactly the members and managers of the file', async () => {
      const members = [{ email: 'TOM@example.org', manager: true }]
      expect(await applied({ teams: [{ key: 'crew', members }] })).to.deep.equal(['changed team crew'])
      const { out } = await usher('team', 'show', 'crew')
      expect(out.match(/^member: .*/gm)).to.deep.equal(['member: tom@example.org (manager)'])
    })

    it('are refused with a cycle, a place that is not there, or somebody unknown, and nothing is written', async () => {
      for (const [content, fault] of [
        [
          {
            teams: [
              { key: 'x', parent: 'y' },
              { key: 'y', parent: 'x' },
            ],
          },
          /^teams\[\d\]\.parent: .*x lies below/,
        ],
        [{ roles: [{ key: 'x', includes: ['x'] }] }, /^roles\[0\]\.includes\[0\]: closes a cycle: x includes x/],
        [{ visibility_groups: [{ key: 'new' }, { key: 'x', parent: 'nowhere' }] }, /^visibility_groups\[1\]\.parent: /],
        [{ teams: [{ key: 'new', members: ['nobody@example.org'] }] }, /^teams\[0\]\.members\[0\]: .*nobody@/],
        [{ teams: [{ key: 'new' }, { key: 'x', roles: ['nope'] }] }, /^teams\[1\]\.roles: .*nope/],
        [{ accounts: [{ email: 'new@example.org', roles: ['non_registered'] }] }, /^accounts\[0\]\.roles: /],
      ] as const)
        expect((await faultsOf(content))[0]).to.match(fault)
      expect((await usher('team', 'show', 'new')).code).to.equal(1)
      expect((await usher('account', 'show', 'new@example.org')).code).to.equal(1)
    })
  })
})
