/** The package that services install: what is in it, that it compiles, and that it works in every framework. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { AUDIENCE, type FakeIssuer, startFakeIssuer, until } from './fake-issuer.ts'
import { installPackage, knock, ROOT, type ServiceProcess, startService } from './installed-package.ts'

const run = promisify(execFile)

describe('the package @usher/verifier', function () {
  this.timeout(120_000)
  let project: string
  let installed: string
  let files: string[]

  before(async () => {
    ;({ project, installed, files } = await installPackage())
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
    let service: ServiceProcess

    before(async () => {
      issuer = await startFakeIssuer()
      service = await startService(project, { issuer: issuer.issuer, audience: AUDIENCE })
    })
    after(async () => {
      service?.process.kill('SIGKILL')
      await issuer?.stop()
    })

    const eachPort = () => Object.entries(service.ports)

    it('runs on the oldest Node there is here', async () => {
      expect(Number(service.node.split('.')[0])).to.be.at.least(20)
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
        expect(await knock(port, token), name).to.deep.equal({ status: 200, text: 'account-1' })
        expect((await knock(port)).status, name).to.equal(401)
        expect((await knock(port, `${token.slice(0, -4)}AAAA`)).status, name).to.equal(401)
        expect((await knock(port, narrow)).status, name).to.equal(403)
        expect((await knock(port, poor)).status, name).to.equal(403)
      }
      issuer.tell('revoked', { kind: 'token', id: 'mine' })
      for (const [name, port] of eachPort()) {
        await until(async () => (await knock(port, token)).status === 401)
        expect(JSON.parse((await knock(port, token)).text).code, name).to.equal('invalid_token')
      }
    })

    it('leaves nothing behind that would keep the process alive', async () => {
      const exit = once(service.process, 'exit')
      service.process.stdin?.end()
      expect((await exit)[0], service.complaints()).to.equal(0)
      expect(service.complaints()).to.equal('')
    })
  })
})
