/** The package as services get it: packed, installed into an empty project, and run by an older Node. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { temporaryDirectory } from '../support/database.ts'
import { AUDIENCE, type FakeIssuer, startFakeIssuer, until } from './fake-issuer.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SERVICE = fileURLToPath(new URL('service', import.meta.url))
const run = promisify(execFile)

interface Hello {
  ports: Record<string, number>
  node: string
  TokenError: string
}

describe('the package @usher/verifier', function () {
  this.timeout(120_000)
  let project: string
  let installed: string
  let files: string[]

  before(async () => {
    const home = await temporaryDirectory('package')
    const packed = join(home, 'packed')
    const { stdout } = await run(process.execPath, [join(ROOT, 'bin/pack-verifier.js'), packed])
    const tarball = stdout.trim()
    files = (await run('tar', ['-tzf', tarball])).stdout.trim().split('\n')

    project = join(home, 'project')
    await mkdir(project)
    await writeFile(join(project, 'package.json'), '{"type":"module","private":true}')
    // The dependency comes from here, so that no registry is asked.
    const dependencies = [tarball, join(ROOT, 'node_modules/jose')]
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...dependencies], { cwd: project })
    installed = join(project, 'node_modules/@usher/verifier')
    for (const name of ['koa', 'express', 'fastify', '@types']) {
      await symlink(join(ROOT, 'node_modules', name), join(project, 'node_modules', name))
    }
    await cp(join(SERVICE, 'main.js'), join(project, 'main.js'))
    // Under this name it does not belong to our own project, which has no such package.
    await cp(join(SERVICE, 'types.ts.sample'), join(project, 'types.ts'))
  })

  it('has JavaScript with declarations, a licence, a README, and nothing else', async () => {
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
    const own = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    expect(manifest).to.include({ name: '@usher/verifier', version: own.version, type: 'module', license: 'MIT' })
    expect(manifest.engines).to.deep.equal({ node: '>=20' })
    expect(manifest.dependencies).to.deep.equal({ jose: `^${own.dependencies.jose}` })
    const others = files.filter((name) => !/^package\/lib\/(verifier|access)\/.*(?<!\.d)\.js$|\.d\.ts$/.test(name))
    expect(others.sort()).to.deep.equal(['package/LICENSE', 'package/README.md', 'package/package.json'])
    const scripts = files.filter((name) => name.endsWith('.js'))
    for (const name of scripts) {
      expect(files, name).to.include(name.replace(/\.js$/, '.d.ts'))
      for (const each of [name, name.replace(/\.js$/, '.d.ts')]) {
        const text = await readFile(join(installed, each.slice('package/'.length)), 'utf8')
        expect(text, each).not.to.match(/from '\.[^']*\.ts'/)
      }
    }
  })

  it('is understood by the compiler, with the types of every framework', async () => {
    const options = {
      ...{ strict: true, noEmit: true, exactOptionalPropertyTypes: true, skipLibCheck: true, target: 'es2022' },
      ...{ module: 'nodenext', moduleResolution: 'nodenext', types: ['node'], preserveSymlinks: true },
    }
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['types.ts'] }))
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const { stdout } = await run(process.execPath, [compiler, '-p', project]).catch((error) => error)
    expect(stdout).to.equal('')
  })

  describe('in a service', () => {
    let issuer: FakeIssuer
    let service: ChildProcess
    let hello: Hello
    let complaints = ''

    before(async () => {
      issuer = await startFakeIssuer()
      const node = await oldestNode()
      service = spawn(node, ['--unhandled-rejections=strict', 'main.js', issuer.issuer, AUDIENCE], { cwd: project })
      service.stderr?.on('data', (text) => {
        complaints += text
      })
      const ended = once(service, 'exit').then(() => Promise.reject(new Error(complaints)))
      ended.catch(() => {})
      const lines = createInterface({ input: service.stdout ?? process.stdin })
      const [line] = await Promise.race([once(lines, 'line'), ended])
      hello = JSON.parse(line)
    })
    after(async () => {
      service?.kill('SIGKILL')
      await issuer?.stop()
    })

    const call = async (port: number | undefined, token?: string) => {
      const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers })
      return { status: response.status, text: await response.text() }
    }
    const eachPort = () => Object.entries(hello.ports)

    it('runs on the oldest Node there is here', async () => {
      expect(Number(hello.node.split('.')[0])).to.be.at.least(20)
      expect(eachPort().map(([name]) => name)).to.have.members(['koa', 'express', 'fastify', 'http'])
    })

    it('lets in, refuses, asks and hears of revocation in every framework', async () => {
      issuer.state.holdings.set('account-1', { permissions: ['orders:edit'], roles: [] })
      const [token, narrow, poor] = await Promise.all([
        issuer.sign({ jti: 'mine' }),
        issuer.sign({ scope: 'openid' }),
        issuer.sign({ sub: 'account-2' }),
      ])
      for (const [name, port] of eachPort()) {
        expect(await call(port, token), name).to.deep.equal({ status: 200, text: 'account-1' })
        expect((await call(port)).status, name).to.equal(401)
        expect((await call(port, `${token.slice(0, -4)}AAAA`)).status, name).to.equal(401)
        expect((await call(port, narrow)).status, name).to.equal(403)
        expect((await call(port, poor)).status, name).to.equal(403)
      }
      issuer.tell('revoked', { kind: 'token', id: 'mine' })
      for (const [name, port] of eachPort()) {
        await until(async () => (await call(port, token)).status === 401)
        expect(JSON.parse((await call(port, token)).text).code, name).to.equal('invalid_token')
      }
    })

    it('leaves nothing behind that would keep the process alive', async () => {
      const exit = once(service, 'exit')
      service.stdin?.end()
      expect((await exit)[0], complaints).to.equal(0)
      expect(complaints).to.equal('')
    })
  })
})

/** Of those on the PATH and the one that runs the tests; 20 is the oldest that the package promises. */
async function oldestNode(): Promise<string> {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const candidates = [process.execPath, ...(process.env.PATH ?? '').split(delimiter).map((path) => join(path, name))]
  let [oldest, oldestMajor] = [process.execPath, Number(process.versions.node.split('.')[0])]
  for (const path of new Set(candidates.filter((file) => existsSync(file) && dirname(file) !== '.'))) {
    const { stdout } = await run(path, ['--version'])
    const major = Number(/^v(\d+)/.exec(stdout)?.[1])
    if (major >= 20 && major < oldestMajor) [oldest, oldestMajor] = [path, major]
  }
  return oldest
}
