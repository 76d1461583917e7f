import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { boundTo, ConfigError, type Environment, loadConfig, settings } from '../src/config.ts'

const STRONG = 'q7Rk2mVx9TzB4nLw8YcH3sJd6FgP1aKe5UiO0rXvNbM'
const PRODUCTION = {
  NODE_ENV: 'production',
  USHER_ISSUER: 'https://id.example.com',
  USHER_DATABASE_URL: 'postgres://usher@db/usher',
  USHER_REDIS_URL: 'redis://cache',
  USHER_SMTP_URL: 'smtps://mail',
}

function faultsOf(env: Environment, cwd?: string): readonly string[] {
  try {
    loadConfig(env, cwd)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

describe('settings', () => {
  let dir: string
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'usher-config-'))
  })
  after(() => rmSync(dir, { recursive: true }))

  it('need no value at all outside production', () => {
    expect(loadConfig({}, '/srv')).to.deep.include({
      host: '127.0.0.1',
      port: 3000,
      issuer: 'http://localhost:3000',
      dataDir: '/srv/data',
      keysDir: '/srv/keys',
      databaseUrl: undefined,
      accessTokenTtlSeconds: 300,
      refreshTokenTtlSeconds: 1209600,
      logLevel: 'info',
      warnings: [],
    })
  })

  it('are frozen', () => {
    expect(loadConfig({})).to.be.frozen
  })

  it('report every fault at once, by name, with the expected shape', () => {
    const faults = faultsOf({
      USHER_PORT: '70000',
      USHER_ACCESS_TOKEN_TTL: '5m',
      USHER_LOG_LEVEL: 'loud',
      USHER_ALLOW_EMBEDDED: 'maybe',
    })
    expect(faults).to.have.lengthOf(4)
    expect(faults).to.contain('USHER_PORT must be a port number from 0 to 65535, not "70000"')
    expect(faults.join()).to.contain('not "5m"').and.contain('not "loud"').and.contain('not "maybe"')
  })

  it('treat an empty variable as unset', () => {
    expect(loadConfig({ USHER_PORT: '', USHER_DATABASE_URL: '', USHER_PEPPER_FILE: '' })).to.deep.include({
      port: 3000,
      databaseUrl: undefined,
    })
  })

  it('name the likely variable behind an unknown one, without refusing it', () => {
    expect(loadConfig({ USHER_ISUER: 'x' }).warnings).to.deep.equal([
      'USHER_ISUER is no setting of this server; did you mean USHER_ISSUER?',
    ])
  })

  describe('issuer', () => {
    for (const [given, issuer] of [
      ['https://Id.Example.com/', 'https://id.example.com'],
      ['https://id.example.com:8443', 'https://id.example.com:8443'],
      ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
      ['http://[::1]:3000', 'http://[::1]:3000'],
      ['http://id.localhost', 'http://id.localhost'],
    ] as const) {
      it(`takes ${given} as ${issuer}`, () => {
        expect(loadConfig({ USHER_ISSUER: given }).issuer).to.equal(issuer)
      })
    }

    for (const given of [
      'id.example.com',
      'https://id.example.com/tenant',
      'https://id.example.com/?a=b',
      'https://id.example.com?',
      'https://id.example.com/#top',
      'https://user:pass@id.example.com',
      'http://id.example.com',
      'http://127.0.0.1.example.com',
      'ftp://localhost',
    ]) {
      it(`refuses ${given}`, () => {
        expect(faultsOf({ USHER_ISSUER: given })).to.have.lengthOf(1)
      })
    }

    it('follows the port that was taken only when it was not set', () => {
      expect(boundTo(loadConfig({ USHER_PORT: '0' }), 4711)).to.include({ port: 4711, issuer: 'http://localhost:4711' })
      const fixed = loadConfig({ USHER_PORT: '0', USHER_ISSUER: 'https://id.example.com' })
      expect(boundTo(fixed, 4711).issuer).to.equal('https://id.example.com')
    })
  })

  describe('secrets', () => {
    it('come from files, without the line end', () => {
      writeFileSync(join(dir, 'database'), 'postgres://usher:hush@db/usher\n')
      expect(loadConfig({ USHER_DATABASE_URL_FILE: 'database' }, dir).databaseUrl).to.equal(
        'postgres://usher:hush@db/usher',
      )
    })

    it('are refused when both forms are given, when the file is missing and when it is empty', () => {
      writeFileSync(join(dir, 'empty'), '\n')
      const faults = faultsOf(
        {
          USHER_PEPPER: STRONG,
          USHER_PEPPER_FILE: 'empty',
          USHER_COOKIE_SECRET_FILE: 'nowhere',
          USHER_SMTP_URL_FILE: 'empty',
        },
        dir,
      )
      expect(faults).to.deep.equal([
        'USHER_SMTP_URL_FILE names an empty file',
        'USHER_COOKIE_SECRET_FILE cannot be read (ENOENT): nowhere',
        'USHER_PEPPER and USHER_PEPPER_FILE are both set: keep one',
      ])
    })

    it('have the file form only where they are secret', () => {
      for (const [name, { secret }] of Object.entries(settings)) {
        const { warnings } = loadConfig({ [`${name}_FILE`]: '' })
        expect(warnings.length, name).to.equal(secret ? 0 : 1)
      }
    })

    it('never appear in a fault', () => {
      writeFileSync(join(dir, 'short'), 'hushhush')
      const faults = faultsOf(
        { USHER_DATABASE_URL: 'mysql://u:hushhush@db', USHER_COOKIE_SECRET: 'hushhush', USHER_PEPPER_FILE: 'short' },
        dir,
      )
      expect(faults).to.have.lengthOf(3)
      expect(faults.join()).to.not.contain('hushhush')
    })
  })

  describe('in production', () => {
    it('are enough with an issuer and the three services', () => {
      expect(faultsOf(PRODUCTION)).to.deep.equal([])
    })

    it('refuse every embedded default with one line each', () => {
      const faults = faultsOf({ NODE_ENV: 'production' })
      expect(faults.map((fault) => fault.split(' ')[0])).to.deep.equal([
        'USHER_ISSUER',
        'USHER_DATABASE_URL',
        'USHER_REDIS_URL',
        'USHER_SMTP_URL',
      ])
    })

    it('allow the embedded services on demand, but no plain http', () => {
      const env = { NODE_ENV: 'production', USHER_ALLOW_EMBEDDED: '1', USHER_ISSUER: 'http://localhost:3000' }
      expect(faultsOf(env)).to.deep.equal(['USHER_ISSUER must be an https:// address in production'])
    })

    it('refuse short, sample and monotonous secrets', () => {
      for (const secret of [
        'short',
        'change-me-change-me-change-me-change-me',
        'abababababababababababababababababab',
      ]) {
        expect(faultsOf({ ...PRODUCTION, USHER_COOKIE_SECRET: secret }), secret).to.have.lengthOf(1)
      }
      expect(faultsOf({ ...PRODUCTION, USHER_COOKIE_SECRET: STRONG })).to.deep.equal([])
    })

    it('say one thing about a faulty value', () => {
      expect(faultsOf({ ...PRODUCTION, USHER_ISSUER: 'id.example.com', USHER_REDIS_URL: 'cache' })).to.have.lengthOf(2)
    })
  })

  it('are all described, with a default or the consequence of having none', () => {
    for (const [name, setting] of Object.entries(settings)) {
      expect(name).to.match(/^USHER_[A-Z_]+$/)
      expect(setting.description, name).to.match(/\.$/)
      expect(setting.default ?? setting.unset, name).to.not.equal(undefined)
    }
  })

  it('are all used', () => {
    const source = readFileSync(new URL('../src/config.ts', import.meta.url), 'utf8')
    for (const name of Object.keys(settings)) expect(source).to.contain(`'${name}'`)
  })
})
