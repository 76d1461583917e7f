/** The container files are checked without Docker: by linters, by the Compose schema, and by running what they copy. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { DCLinter } from 'dclint'
import { validate } from 'dockerfile-utils'
import { settings } from '../src/config.ts'
import { temporaryDirectory } from './support/database.ts'
import { startServer } from './support/world.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFile(join(ROOT, path), 'utf8')

/** Orders of keys are taste; the file reads from the server to what it needs. */
const linter = new DCLinter({
  rules: {
    'service-keys-order': 0,
    'services-alphabetical-order': 0,
    'top-level-properties-order': 0,
    'require-quotes-in-ports': [2, { quoteType: 'double' }],
  },
  quiet: false,
  debug: false,
  exclude: [],
})

/** The linter's own type of its results cannot be found by TypeScript. */
interface LintResult {
  messages: { rule: string; message: string }[]
}

const composeFaults = (path: string): string[] => {
  const results: LintResult[] = linter.lintFiles([path], false)
  return results.flatMap(({ messages }) => messages.map(({ rule, message }) => `${rule}: ${message}`))
}

const copiedPaths = async () =>
  (await read('Dockerfile')).split('\n').flatMap((line) => {
    const [instruction, ...words] = line.split(/\s+/)
    return instruction === 'COPY' ? words.slice(0, -1) : []
  })

describe('Dockerfile', () => {
  it('has no fault that the linter finds, and the linter finds faults', async () => {
    const text = await read('Dockerfile')
    expect(validate(text)).to.deep.equal([])
    expect(validate(text.replace('WORKDIR', 'WORKDIRR'))).not.to.deep.equal([])
  })

  it('runs as a user without rights, with its command in exec form and a health check', async () => {
    const text = await read('Dockerfile')
    expect(text).to.match(/^USER 10001:10001$/m)
    const { scripts } = JSON.parse(await read('package.json'))
    const [, entrypoint = '', command = ''] = /^ENTRYPOINT (.*)\nCMD (.*)$/m.exec(text) ?? []
    expect([...JSON.parse(entrypoint), ...JSON.parse(command)].join(' ')).to.equal(scripts.start)
    expect(text).to.match(/^HEALTHCHECK /m)
    expect(text.indexOf('USER ')).to.be.lessThan(text.indexOf('ENTRYPOINT'))
  })

  it('copies nothing that the context leaves out', async () => {
    const allowed = (await read('.dockerignore'))
      .split('\n')
      .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []))
    expect(await copiedPaths()).to.have.members(allowed)
  })

  it('copies everything the server needs: it starts from these files alone, in production, and is healthy', async function () {
    this.timeout(30_000)
    const home = await temporaryDirectory('image')
    for (const path of await copiedPaths()) {
      await mkdir(dirname(join(home, path)), { recursive: true })
      await cp(join(ROOT, path), join(home, path), { recursive: true })
    }
    await symlink(join(ROOT, 'node_modules'), join(home, 'node_modules'))
    const env = {
      NODE_ENV: 'production',
      USHER_ISSUER: 'https://id.example.org',
      USHER_ALLOW_EMBEDDED: '1',
      USHER_PORT: '0',
      USHER_KEYS_DIR: join(home, 'keys'),
      USHER_DATA_DIR: join(home, 'data'),
    }
    const launcher = join(home, 'bin', 'usher.js')
    const keys = spawn(process.execPath, [launcher, 'keys', 'rotate'], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    })
    expect((await once(keys, 'exit'))[0]).to.equal(0)
    const server = await startServer(env, '127.0.0.1', launcher)
    try {
      const port = /listens\s+\S+:(\d+)/.exec(server.lines.join('\n'))?.[1] ?? ''
      expect(await healthCheck({ USHER_PORT: port })).to.equal(0)
    } finally {
      await server.stop()
    }
    expect(await healthCheck({ USHER_PORT: '1' })).to.equal(1)
  })

  it('installs all that src imports: no library of the sources is a development dependency', async () => {
    const { dependencies } = JSON.parse(await read('package.json'))
    const files = await Promise.all(
      ['src', 'migrations'].map((folder) => readdir(join(ROOT, folder), { recursive: true })),
    )
    const paths = [
      ...(files[0] ?? []).map((file) => `src/${file}`),
      ...(files[1] ?? []).map((file) => `migrations/${file}`),
    ]
    const sources = await Promise.all(paths.filter((path) => path.endsWith('.ts')).map(read))
    const imports = sources.flatMap((source) => [...source.matchAll(/(?:\bfrom |\bimport\()'([a-z@][^':]*)'/g)])
    const packages = new Set(imports.map(([, name = '']) => name.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? ''))
    expect([...packages]).to.include('jose')
    expect([...packages].filter((name) => !(name in dependencies))).to.deep.equal([])
  })

  /** Runs the command of HEALTHCHECK as Docker would; answers its exit code. */
  async function healthCheck(env: Record<string, string>): Promise<unknown> {
    const [program = '', ...args] = JSON.parse(
      /HEALTHCHECK[\s\S]*?CMD (\[.*\])$/m.exec(await read('Dockerfile'))?.[1] ?? '[]',
    )
    expect(program).to.equal('node')
    const [code] = await once(
      spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: 'ignore' }),
      'exit',
    )
    return code
  }
})

describe('docker-compose.yml', () => {
  it('obeys the Compose schema and the linter, and both find faults', async () => {
    expect(composeFaults(join(ROOT, 'docker-compose.yml'))).to.deep.equal([])
    const broken = join(await temporaryDirectory('compose'), 'docker-compose.yml')
    const text = await read('docker-compose.yml')
    await writeFile(broken, text.replace('healthcheck:', 'healthchek:'))
    expect(composeFaults(broken).join()).to.match(/schema/i)
    await writeFile(broken, text.replace('"127.0.0.1:3000:3000"', '"3000:3000"'))
    expect(composeFaults(broken).join()).to.match(/interface/)
  })

  it('gives the server only settings that exist, and every secret as a file', async () => {
    const text = await read('docker-compose.yml')
    const names = text.match(/USHER_[A-Z_]+(?=:)/g) ?? []
    expect(names).to.include('USHER_DATABASE_URL_FILE')
    for (const name of names) {
      const setting = settings[name.replace(/_FILE$/, '')]
      expect(setting, name).not.to.equal(undefined)
      expect(setting?.secret === true, name).to.equal(name.endsWith('_FILE'))
    }
  })

  it('runs Redis as production demands it: append-only and never evicting', async () => {
    expect(await read('config/redis.conf'))
      .to.match(/^appendonly yes$/m)
      .and.match(/^maxmemory-policy noeviction$/m)
  })
})
