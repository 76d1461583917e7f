import { expect } from 'chai'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/program.ts'
import { type Usher, usherIn } from './usher.ts'

function leaves(command: Command, path: string[] = []): { path: string[]; command: Command }[] {
  const below = command.commands.flatMap((child) => leaves(child, [...path, child.name()]))
  return [{ path, command }, ...below]
}

describe('usher --help', () => {
  let usher: Usher
  before(async () => {
    usher = await usherIn()
  })

  for (const { path, command } of leaves(createProgram())) {
    it(`explains "usher ${path.join(' ')}" with every option and an example`, () => {
      const written: string[] = []
      command.configureOutput({ writeOut: (part) => written.push(part), getOutHelpWidth: () => 200 })
      command.outputHelp()
      const help = written.join('')
      expect(command.description()).to.not.equal('')
      expect(help).to.match(/\nExamples?:\n {2}\$ (.* )?usher /)
      for (const { long, description } of command.options) {
        expect(help).to.contain(long)
        expect(description, `${long}`).to.not.equal('')
      }
    })
  }

  it('has every option that is promised for a client', () => {
    const create = leaves(createProgram()).find(({ path }) => path.join(' ') === 'client create')?.command
    expect(create?.options.map(({ long }) => long)).to.include.members(
      '--id --name --type --secret --redirect-uri --post-logout-redirect-uri --grant --scope --first-party --no-pkce'.split(
        ' ',
      ),
    )
  })

  it('goes to the standard output and ends well', async () => {
    const { code, out, err } = await usher('client', 'create', '--help')
    expect({ code, err }).to.deep.equal({ code: 0, err: '' })
    expect(out).to.contain('--redirect-uri')
  })

  it('prints the version of the package', async () => {
    expect((await usher('--version')).out).to.match(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('usher, used wrongly,', function () {
  this.timeout(30_000)
  let usher: Usher
  before(async () => {
    usher = await usherIn()
  })

  for (const args of [
    ['client', 'crate'],
    ['bogus'],
    ['client', 'create', '--type', 'toaster'],
    ['client', 'create', '--type', 'web', '--grant', 'implicit'],
    ['client', 'create', '--type', 'web', '--access-token-ttl', '5m'],
    ['client', 'create'],
    ['superuser', 'create'],
    ['init', '--email', 'ada@example.org'],
    ['migrate', 'down', '--steps', '-1'],
    ['docs'],
    ['keys', 'list', '--loud'],
  ]) {
    it(`answers "usher ${args.join(' ')}" with one line and exit code 2`, async () => {
      const { code, out, err } = await usher(...args)
      expect(code).to.equal(2)
      expect(out).to.equal('')
      expect(err.trimEnd()).to.match(/^usher: .+/)
      expect(err).to.not.contain('    at ')
    })
  }

  it('answers wrong settings with one line each and exit code 78', async () => {
    const { code, err } = await usher.with({ env: { USHER_PORT: 'x', USHER_LOG_LEVEL: 'loud' } })('client', 'list')
    expect(code).to.equal(78)
    expect(err.trimEnd().split('\n')).to.have.lengthOf(2)
    expect(err).to.match(/^usher: USHER_PORT .+\nusher: USHER_LOG_LEVEL /)
  })

  it('refuses production without services, keys or https before it touches anything', async () => {
    const { code, err } = await usher.with({ env: { NODE_ENV: 'production' } })('serve')
    expect(code).to.equal(78)
    expect(
      err
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[1]),
    ).to.deep.equal(['USHER_ISSUER', 'USHER_DATABASE_URL', 'USHER_REDIS_URL', 'USHER_SMTP_URL'])
    const env = { NODE_ENV: 'production', USHER_ALLOW_EMBEDDED: '1', USHER_ISSUER: 'https://id.example.com' }
    const withoutKeys = await usher.with({ env })('serve')
    expect(withoutKeys.code).to.equal(78)
    expect(withoutKeys.err).to.match(/^usher: .*signing-keys\.json is missing: run "usher keys rotate".*\n$/)
  })

  it('answers an unreachable database with one line and exit code 1', async () => {
    const env = { USHER_DATABASE_URL: 'postgres://nobody:hushhush@127.0.0.1:1/none' }
    const { code, err } = await usher.with({ env })('migrate', 'status')
    expect(code).to.equal(1)
    expect(err.trimEnd().split('\n')).to.have.lengthOf(1)
    expect(err).to.not.contain('hushhush')
  })
})
