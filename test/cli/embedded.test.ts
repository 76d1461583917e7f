import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { LAUNCHER, type Usher, usherIn } from './usher.ts'

describe('commands over the embedded database', function () {
  this.timeout(60_000)
  let usher: Usher
  before(async () => {
    usher = await usherIn()
  })

  it('prepare it by themselves', async () => {
    expect((await usher('init')).out).to.contain('Created all_all')
    expect((await usher('client', 'create', '--id', 'worker', '--type', 'machine')).code).to.equal(0)
  })

  it('end with one line when Redis does not answer, and let go of the database', async () => {
    const { code, err } = await usher.with({ env: { USHER_REDIS_URL: 'redis://127.0.0.1:1' } })('client', 'list')
    expect(code).to.equal(1)
    expect(err.trimEnd().split('\n')).to.have.lengthOf(1)
    expect(existsSync(join(usher.dir, 'data/db.lock'))).to.equal(false)
  })

  describe('while a server holds it', () => {
    let server: ChildProcess
    let address = ''
    before(async () => {
      const env = { PATH: process.env.PATH, USHER_PORT: '0' }
      server = spawn(process.execPath, [LAUNCHER, 'serve'], {
        cwd: usher.dir,
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      for await (const line of createInterface({ input: server.stdout ?? process.stdin }))
        if (line.includes('is ready')) {
          address = /http:\S+/.exec(line)?.[0] ?? ''
          break
        }
    })
    after(async () => {
      server.kill('SIGTERM')
      if (server.exitCode === null) await once(server, 'exit')
    })

    for (const args of [['client', 'list'], ['migrate', 'up'], ['init']]) {
      it(`"usher ${args.join(' ')}" names the process instead of damaging it`, async () => {
        const { code, err } = await usher(...args)
        expect(code).to.equal(1)
        expect(err.trimEnd().split('\n')).to.have.lengthOf(1)
        expect(err).to.contain(`in use by process ${server.pid}`)
      })
    }

    it('"usher keys" needs no database, and the server publishes the next keys by itself', async () => {
      expect((await usher('keys', 'list')).code).to.equal(0)
      const published = async (): Promise<string[]> => {
        const { keys } = JSON.parse(await (await fetch(`${address}/.well-known/jwks.json`)).text())
        return keys.map(({ kid }: { kid: string }) => kid)
      }
      const before = await published()
      expect((await usher('keys', 'rotate')).code).to.equal(0)
      let after = before
      while (after.length === before.length) {
        await delay(200)
        after = await published()
      }
      expect(after).to.have.lengthOf(4).and.to.include.members(before)
    })
  })

  describe('after the server has stopped', () => {
    it('find everything in place', async () => {
      const listed = JSON.parse((await usher('client', 'list', '--json')).out)
      expect(listed.map((client: { client_id: string }) => client.client_id)).to.include('worker')
    })
  })
})

describe('the first start', function () {
  this.timeout(60_000)

  it('leaves a superuser alone that was made before it, and makes the demonstration client all the same', async () => {
    const usher = await usherIn()
    const password = 'a quite long pass phrase'
    await usher('superuser', 'create', '--email', 'admin@example.org', '--password', password)
    const env = { PATH: process.env.PATH, USHER_PORT: '0' }
    const server = spawn(process.execPath, [LAUNCHER, 'serve'], {
      cwd: usher.dir,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const said: string[] = []
    for await (const line of createInterface({ input: server.stdout })) {
      said.push(line)
      if (line.includes('keys  ')) break
    }
    server.kill('SIGTERM')
    if (server.exitCode === null) await once(server, 'exit')
    expect(said.join('\n')).to.contain('is ready').and.not.contain('password')
    expect((await usher('client', 'show', 'demo')).code).to.equal(0)
  })
})
