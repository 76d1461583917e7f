import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import fc from 'fast-check'
import { bring } from '../../src/cli/apply-steps.ts'
import { readManifest } from '../../src/cli/manifest.ts'
import { asYaml, describeEverything } from '../../src/cli/manifest-export.ts'
import { rehearse } from '../../src/cli/rehearsal.ts'
import { temporaryDirectory } from '../support/database.ts'
import { startWorld, type World } from '../support/world.ts'
import { type Usher, usherIn, usherOnServers } from './usher.ts'

const EXAMPLE = fileURLToPath(new URL('../../config/apply.example.yaml', import.meta.url))
const SECRET = 'q7Rk2mVx9TzB4nLw8YcH3sJd6FgP1aKe5UiO0rXvNbM'
const PASSWORD = 'a quite long pass phrase'

describe('usher export', function () {
  this.timeout(60_000)
  let usher: Usher
  let other: Usher
  before(async () => {
    ;[usher, other] = await Promise.all([usherOnServers(), usherOnServers()])
    expect((await usher('apply', EXAMPLE)).code).to.equal(0)
  })
  after(() => Promise.all([usher.remove(), other.remove()]))

  it('writes what apply finds unchanged', async () => {
    const { code, out, err } = await usher('export', '--out', 'usher.yaml')
    expect({ code, out, err }).to.deep.equal({ code: 0, out: '', err: '' })
    const { out: applied } = await usher('apply', 'usher.yaml')
    expect(applied).to.match(/\n0 created, 0 changed, \d+ unchanged\.\n$/)
    for (const line of ['role              analyst', 'team              controlling', 'client            reports-web'])
      expect(applied).to.contain(`unchanged  ${line}\n`)
  })

  it('brings an empty installation to the same, which exports the same, as YAML and as JSON', async () => {
    const yaml = (await usher('export')).out
    writeFileSync(join(other.dir, 'usher.yaml'), yaml)
    expect((await other('apply', 'usher.yaml')).err).to.equal('')
    expect((await other('export')).out).to.equal(yaml)
    const json = (await usher('export', '--json')).out
    expect(JSON.parse(json).teams[1]).to.deep.equal({
      key: 'controlling',
      description: '',
      parent: 'finance',
      roles: ['analyst'],
      members: [{ email: 'analyst@example.org', manager: true }],
    })
    writeFileSync(join(other.dir, 'usher.json'), json)
    expect((await other('apply', 'usher.json')).out).to.contain('0 created, 0 changed, ')
    expect((await other('export', '--json')).out).to.equal(json)
  })

  it('holds no secret, no password and no digest of either, and its file is for nobody else', async () => {
    const clients = [{ id: 'secretive', type: 'machine', secret_env: 'SECRET' }]
    const accounts = [{ email: 'ann@example.org', password_env: 'PASSWORD' }]
    writeFileSync(join(usher.dir, 'secrets.json'), JSON.stringify({ clients, accounts }))
    expect((await usher.with({ env: { SECRET, PASSWORD } })('apply', 'secrets.json')).code).to.equal(0)
    await usher('export', '--out', 'without.yaml')
    const text = readFileSync(join(usher.dir, 'without.yaml'), 'utf8')
    expect(text).to.contain('secretive').and.contain('ann@example.org')
    expect(text).to.not.contain(SECRET).and.not.contain(PASSWORD)
    expect(text.replace(/^#.*$/gm, '').match(/argon2|digest|hash|password(?!-reset)|\bsecret\b/g)).to.equal(null)
    expect(statSync(join(usher.dir, 'without.yaml')).mode & 0o077).to.equal(0)
    const { out } = await usher('apply', 'without.yaml')
    expect(out, 'the secret and the password stay').to.contain('0 created, 0 changed, ')
  })

  it('leaves out the people when asked, and applied then leaves them where they are', async () => {
    await usher('export', '--no-accounts', '--out', 'roles.yaml')
    expect(readFileSync(join(usher.dir, 'roles.yaml'), 'utf8')).to.not.contain('@example.org')
    expect((await usher('apply', 'roles.yaml')).out).to.contain('0 created, 0 changed, ')
    expect((await usher('team', 'show', 'controlling')).out).to.contain('member: analyst@example.org (manager)\n')
  })

  it('says in one line where it cannot write', async () => {
    const { code, err } = await usher('export', '--out', join('nowhere', 'usher.yaml'))
    expect(code).to.equal(1)
    expect(err.trimEnd().split('\n')).to.have.lengthOf(1)
  })

  it('works on the embedded database', async () => {
    const embedded = await usherIn()
    expect((await embedded('apply', EXAMPLE)).err).to.equal('')
    await embedded('export', '--out', 'usher.yaml')
    expect((await embedded('apply', 'usher.yaml')).out).to.contain('0 created, 0 changed, ')
    const onPostgresql = (await other('export')).out
    expect(readFileSync(join(embedded.dir, 'usher.yaml'), 'utf8')).to.equal(onPostgresql)
  })
})

describe('whatever a file describes', function () {
  this.timeout(240_000)

  it('is exported as a file that makes the same of an empty installation, and changes nothing of its own', async () => {
    const dir = await temporaryDirectory('export')
    await fc.assert(
      fc.asyncProperty(manifests(), async (content) => {
        const [one, other] = await Promise.all([startWorld({ servers: 0 }), startWorld({ servers: 0 })])
        try {
          await apply(one, JSON.stringify(content))
          const exported = await exportOf(one)
          expect(new Set(await apply(one, exported)), exported).to.deep.equal(new Set(['unchanged']))
          await apply(other, exported)
          expect(await exportOf(other)).to.equal(exported)
          expect(namesIn(exported)).to.include.members(namesIn(JSON.stringify(content)))
        } finally {
          await Promise.all([one.stop(), other.stop()])
        }
      }),
      { numRuns: 12, interruptAfterTimeLimit: 150_000 },
    )

    /** Foresees it, does it, and answers the outcomes, which must have been foreseen. */
    async function apply({ core, stores }: World, text: string): Promise<string[]> {
      const path = join(dir, 'manifest.yaml')
      writeFileSync(path, text)
      const manifest = readManifest(path, {})
      const [foreseen, done]: [string[], string[]] = [[], []]
      await rehearse(manifest, core, stores, (...line) => foreseen.push(line.join(' ')))
      const outcomes: string[] = []
      await bring(manifest, core, (...line) => {
        done.push(line.join(' '))
        outcomes.push(line[2])
      })
      expect(done).to.deep.equal(foreseen)
      return outcomes
    }
  })

  const exportOf = async ({ core }: World) => asYaml(await describeEverything(core, { withAccounts: true }))
  const namesIn = (text: string): string[] => text.match(/\b[rptgca]\d(?:@example\.org)?\b/g) ?? []
})

/** A whole file, its lists in no order, whose roles, teams and groups point to earlier ones only. */
function manifests(): fc.Arbitrary<object> {
  const many = { minLength: 0, maxLength: 5 }
  const text = fc.oneof(
    fc.constantFrom('', 'null', 'yes', '1e3', '- a', 'a: b', '#', "'", '"', ' padded ', '2026-01-01'),
    fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => value.replaceAll(/\p{Cc}/gu, '')),
  )
  const name = fc.option(
    text.filter((value) => value !== ''),
    { nil: null },
  )
  const keys = (letter: string) => fc.uniqueArray(fc.nat(5), many).map((list) => list.map((n) => `${letter}${n}`))
  const described = (letter: string) => keys(letter).chain((list) => fc.tuple(...list.map((key) => one(key))))
  const one = (key: string) => fc.record({ key: fc.constant(key), description: text }, { requiredKeys: ['key'] })
  const picks = <T>(from: readonly T[]) => fc.subarray([...from])

  return fc
    .record({
      resources: described('c'),
      permissions: described('p'),
      roles: described('r'),
      teams: described('t'),
      groups: described('g'),
      emails: fc.uniqueArray(fc.nat(5), many).map((list) => list.map((n) => `a${n}@example.org`)),
    })
    .chain(({ resources, permissions, roles, teams, groups, emails }) => {
      const keysOf = (list: readonly { key: string }[]) => list.map(({ key }) => key)
      const [resourceKeys, permissionKeys] = [keysOf(resources), ['audit_read', ...keysOf(permissions)]]
      const roleKeys = keysOf(roles)
      const above = (list: readonly { key: string }[], index: number, top: string | null) =>
        fc.constantFrom(top, ...keysOf(list).slice(0, index))
      const each = <T, R>(list: readonly T[], make: (item: T, index: number) => fc.Arbitrary<R>) =>
        fc.tuple(...list.map(make)).chain((made) => fc.shuffledSubarray(made, { minLength: made.length }))
      return fc.record({
        resources: each(resources, (resource) =>
          fc.record({
            ...constants(resource),
            audience: fc.constantFrom(null, `https://${resource.key}.example.org`),
            permissions_claim: fc.boolean(),
          }),
        ),
        permissions: each(permissions, (permission) =>
          fc.record({ ...constants(permission), resource: fc.constantFrom(null, ...resourceKeys) }),
        ),
        roles: each(roles, (role, index) =>
          fc.record({
            ...constants(role),
            permissions: picks(permissionKeys),
            includes: picks(['user', ...roleKeys.slice(0, index)]),
          }),
        ),
        teams: each(teams, (team, index) =>
          fc.record({
            ...constants(team),
            parent: above(teams, index, null),
            roles: picks(roleKeys),
            members: picks(emails).chain((list) =>
              fc.tuple(...list.map((email) => fc.record({ email: fc.constant(email), manager: fc.boolean() }))),
            ),
          }),
        ),
        visibility_groups: each(groups, (group, index) =>
          fc.record({
            ...constants(group),
            parent: above(groups, index, 'root'),
            // An account is in one group; each belongs to the group of its number, if that is there.
            members: fc.constant(emails.filter((email) => email[1] === group.key[1])),
          }),
        ),
        clients: fc.constantFrom(
          [],
          [
            {
              id: 'an-app',
              type: 'native',
              redirect_uris: ['http://127.0.0.1/callback'],
              scopes: ['openid', 'x:y'],
              audience: 'https://c1.example.org',
              access_token_ttl_seconds: 60,
              metadata: { client_uri: 'https://app.example.org/' },
            },
          ],
        ),
        accounts: each(emails, (email) =>
          fc.record({
            email: fc.constant(email),
            email_verified: fc.boolean(),
            first_name: name,
            last_name: name,
            locale: fc.constantFrom(null, 'en', 'ru'),
            status: fc.constantFrom('active', 'disabled'),
            profile: fc.constantFrom({}, { nickname: 'no', birthdate: '1815-12-10' }),
            attributes: fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.oneof(text, fc.integer(), fc.boolean())),
            roles: picks(roleKeys),
            permissions: picks(permissionKeys),
          }),
        ),
      })
    })
}

const constants = (item: object): Record<string, fc.Arbitrary<unknown>> =>
  Object.fromEntries(Object.entries(item).map(([name, value]) => [name, fc.constant(value)]))
