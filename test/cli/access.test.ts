import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Usher, usherOnServers } from './usher.ts'

const ADA = 'ada@example.org'

describe('roles, permissions and teams from the command line', function () {
  this.timeout(60_000)
  let usher: Usher
  /** Words as a shell would split them. */
  const run = (line: string) => usher(...line.split(' '))
  const done = async (line: string): Promise<string> => {
    const { code, out, err } = await run(line)
    expect({ code, err }, line).to.deep.equal({ code: 0, err: '' })
    return out
  }
  const json = async (line: string) => JSON.parse(await done(`${line} --json`))
  const refused = async (line: string): Promise<string> => {
    const { code, out, err } = await run(line)
    expect({ code, out }, line).to.deep.equal({ code: 1, out: '' })
    return err
  }

  before(async () => {
    usher = await usherOnServers()
    const accounts = [{ email: ADA }, { email: 'bob@example.org' }]
    const permissions = ['movies:view', 'movies:edit', 'movies:cut'].map((key) => ({ key }))
    writeFileSync(join(usher.dir, 'given.json'), JSON.stringify({ accounts, permissions }))
    await done('apply given.json')
  })
  after(() => usher.remove())

  describe('usher permission', () => {
    it('creates, shows, lists by the beginning of the key, and deletes', async () => {
      expect(await done('permission create films:rate --description Rate')).to.equal(
        'Created the permission films:rate.\n',
      )
      expect(await json('permission show films:rate')).to.include({ description: 'Rate', resource: null })
      const listed: { key: string }[] = await json('permission list --search films:')
      expect(listed.map(({ key }) => key)).to.deep.equal(['films:rate'])
      expect(await done('permission delete films:rate --yes')).to.equal('Deleted the permission films:rate.\n')
      expect(await refused('permission show films:rate')).to.equal('usher: There is no permission films:rate.\n')
    })

    it('refuses a key that is taken or malformed, and to delete what every installation has', async () => {
      expect(await refused('permission create movies:view')).to.equal(
        'usher: There is a permission with the key movies:view already.\n',
      )
      expect(await refused('permission create movies/view')).to.match(/^usher: \/key: must be /)
      expect(await refused('permission delete all_all --yes --force')).to.match(/^usher: .*all_all/)
    })

    it('is given to an account and taken from it, each twice without harm or with a word', async () => {
      expect(await done(`permission grant ${ADA} movies:cut`)).to.equal(`${ADA} holds movies:cut.\n`)
      expect(await done(`permission grant ${ADA} movies:cut`)).to.equal(`${ADA} held movies:cut already.\n`)
      expect(await refused('permission delete movies:cut --yes')).to.contain('--force')
      await done(`permission revoke ${ADA} movies:cut`)
      expect(await refused(`permission revoke ${ADA} movies:cut`)).to.match(/^usher: .+\n$/)
      expect((await run(`can ${ADA} movies:cut`)).out).to.equal('no\n')
    })
  })

  describe('usher role', () => {
    it('creates with permissions and included roles, all of it or nothing', async () => {
      await done('role create viewer --permission movies:view')
      await done('role create editor --include viewer --permission movies:edit')
      expect(await json('role show editor')).to.deep.include({
        key: 'editor',
        is_system: false,
        permissions: ['movies:edit'],
        includes: ['viewer'],
        combined_permissions: ['movies:edit', 'movies:view'],
      })
      expect(await refused('role create half --permission movies:view --include nobody')).to.equal(
        'usher: There is no role nobody.\n',
      )
      expect(await refused('role show half')).to.equal('usher: There is no role half.\n')
    })

    it('lists all, or those whose key begins with a text', async () => {
      const keysOf = async (line: string) => (await json(line)).map(({ key }: { key: string }) => key)
      expect(await keysOf('role list')).to.deep.equal(['editor', 'non_registered', 'superuser', 'user', 'viewer'])
      expect(await keysOf('role list --search ed')).to.deep.equal(['editor'])
      expect(await done('role list')).to.match(/^KEY +SYSTEM +DESCRIPTION\n/)
    })

    it('is granted and revoked, and says so when nothing was to do', async () => {
      expect(await done(`role grant ${ADA} editor`)).to.equal(`${ADA} has the role editor.\n`)
      expect(await done(`role grant ${ADA} editor`)).to.equal(`${ADA} had the role editor already.\n`)
      expect(await done(`role revoke ${ADA} editor`)).to.equal(`${ADA} no longer has the role editor.\n`)
      expect(await refused(`role revoke ${ADA} editor`)).to.equal(`usher: ${ADA} does not have the role editor.\n`)
      expect(await refused(`role grant ${ADA} user`)).to.match(/^usher: /)
      expect(await refused('role grant nobody@example.org editor')).to.equal(
        'usher: There is no account nobody@example.org.\n',
      )
    })

    it('that somebody needs is deleted with --force only, which says who', async () => {
      await done(`role grant ${ADA} viewer`)
      const said = await refused('role delete viewer --yes')
      expect(said).to.contain('--force').and.contain('editor')
      await done('role delete viewer --yes --force')
      expect((await json('role show editor')).includes).to.deep.equal([])
      expect(await refused('role delete superuser --yes --force')).to.match(/superuser/)
      await done('role delete editor --yes')
    })
  })

  describe('usher team', () => {
    it('has a place, members, managers and roles', async () => {
      await done('role create cutter --permission movies:cut')
      await done('team create studio --description Studio')
      await done('team create cutters --parent studio')
      await done('team grant studio cutter')
      expect(await done(`team add cutters ${ADA} --manager`)).to.equal(`Added ${ADA} to cutters as a manager.\n`)
      await done('team add cutters bob@example.org')
      const { members, ...team } = await json('team show cutters')
      expect(team).to.deep.include({ key: 'cutters', parent: 'studio', roles: [] })
      expect(
        members.map(({ email, manager }: { email: string; manager: boolean }) => [email, manager]),
      ).to.have.deep.members([
        [ADA, true],
        ['bob@example.org', false],
      ])
      expect((await run(`can ${ADA} movies:cut`)).out).to.equal('yes\n')
      expect(await done('team list')).to.match(/cutters +studio/)
    })

    it('refuses what is not there, and to delete what is in use', async () => {
      expect(await refused('team create more --parent nowhere')).to.equal('usher: There is no team nowhere.\n')
      expect(await refused('team delete studio --yes')).to.match(/below/)
      expect(await refused('team delete cutters --yes')).to.contain('--force')
    })

    it('loses members and roles, and what they gave with them', async () => {
      await done('team remove cutters bob@example.org')
      expect((await run('can bob@example.org movies:cut')).out).to.equal('no\n')
      await done('team revoke studio cutter')
      expect((await run(`can ${ADA} movies:cut`)).out).to.equal('no\n')
      await done('team delete cutters --yes --force')
      await done('team delete studio --yes')
      expect(await done('team list')).to.equal('There are no teams yet.\n')
    })
  })

  describe('usher can', () => {
    before(async () => {
      await done('role create critic --permission movies:view')
      await done('team create press')
      await done('team grant press critic')
      await done(`team add press ${ADA}`)
    })

    it('answers yes and no, also by its exit code, and takes JSON expressions', async () => {
      const asked = async (query: string) => {
        const { code, out } = await usher('can', ADA, query)
        return [code, out]
      }
      expect(await asked('movies:view')).to.deep.equal([0, 'yes\n'])
      expect(await asked('movies:edit')).to.deep.equal([1, 'no\n'])
      expect(await asked('{"any": ["movies:edit", "movies:view"]}')).to.deep.equal([0, 'yes\n'])
      expect(await asked('{"all": ["movies:edit", {"any": ["movies:view"]}]}')).to.deep.equal([1, 'no\n'])
    })

    it('explains by which team and role, what is missing, and which permission there is not', async () => {
      const query = '{"all": ["movies:view", {"any": ["movies:edit", "movies:eidt"]}]}'
      const { code, out } = await usher('can', ADA, query, '--explain')
      expect(code).to.equal(1)
      expect(out.split('\n')).to.deep.equal([
        'no',
        'all of: no',
        '├─ movies:view: yes, by the team press with the role critic',
        '└─ any of: no',
        '   ├─ movies:edit: no, nothing gives it',
        '   └─ movies:eidt: no, nothing gives it',
        'Missing: movies:edit, movies:eidt',
        'There is no permission movies:eidt.',
        'Roles of the account, with those they include: critic, user',
        '',
      ])
      const { out: asJson } = await usher('can', ADA, query, '--explain', '--json')
      expect(JSON.parse(asJson)).to.deep.include({ valid: false, missing: ['movies:edit', 'movies:eidt'] })
    })

    it('knows whoever has not signed in', async () => {
      expect((await run('can non_registered movies:view')).out).to.equal('no\n')
    })

    it('tells a question that cannot be asked from a no', async () => {
      for (const [login, query] of [
        ['nobody@example.org', 'movies:view'],
        [ADA, '{"any": "movies:view"}'],
        [ADA, '{"some": []}'],
        [ADA, 'movies/view'],
      ] as const) {
        const { code, out, err } = await usher('can', login, query)
        expect({ code, out }, query).to.deep.equal({ code: 2, out: '' })
        expect(err, query).to.match(/^usher: /)
      }
    })
  })
})
