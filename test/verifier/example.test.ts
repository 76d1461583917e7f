/** examples/verify-locally as README.md starts it, against a real server. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { freePort, startWorld, type World } from '../support/world.ts'
import { startFakeIssuer, until } from './fake-issuer.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const AUDIENCE = 'https://orders.example.org'

describe('examples/verify-locally', function () {
  this.timeout(40_000)
  let world: World
  let service: ChildProcess
  let url: string

  before(async () => {
    world = await startWorld()
    const { secret } = await world.core.clients.create({
      ...{ id: 'orders', type: 'machine', scopes: ['events:read', 'access:read'] },
    })
    const port = await freePort()
    const entry = 'examples/verify-locally/service.js'
    service = spawn(process.execPath, ['bin/runtime.js', entry, world.issuer, String(port)], {
      cwd: ROOT,
      env: { PATH: process.env.PATH ?? '', CLIENT_SECRET: secret ?? '' },
    })
    const lines = createInterface({ input: service.stdout ?? process.stdin })
    const [line] = await once(lines, 'line')
    url = /http:\S+/.exec(line)?.[0] ?? line
    expect(url).to.equal(`http://localhost:${port}/orders`)
  })
  after(async () => {
    service?.kill('SIGKILL')
    await world?.stop()
  })

  it('lets a token in, and keeps it out within moments of its revocation', async () => {
    const worker = { id: 'worker', type: 'machine', audience: AUDIENCE, scopes: ['orders:read'] } as const
    const { secret } = await world.core.clients.create(worker)
    const flow = createCodeFlow(world, { id: 'worker', secret, redirectUri: '' })
    const form = { grant_type: 'client_credentials', scope: 'orders:read' }
    const { access_token: token } = tokensOf(await flow.post('/oauth2/token', form))
    const ask = (method = 'GET') => fetch(url, { method, headers: { Authorization: `Bearer ${token}` } })
    const answer = await ask()
    expect([answer.status, await answer.json()]).to.deep.equal([200, { orders: [], asked_by: 'worker' }])
    expect((await ask('PUT')).status).to.equal(403)
    expect((await fetch(url)).status).to.equal(401)
    await flow.revoke(token)
    await until(async () => (await ask()).status === 401)
  })

  it('ends when it is told to', async () => {
    const exit = once(service, 'exit')
    service.kill('SIGTERM')
    expect((await exit)[0]).to.equal(0)
  })
})

describe('a service that waits for its verifier', function () {
  this.timeout(20_000)

  it('lives on while the stream is refused, with nothing else open', async () => {
    const fake = await startFakeIssuer()
    let refusals = 0
    fake.state.intercept = (path, response) => {
      if (!path.startsWith('/api/v1/events') || refusals >= 3) return false
      refusals += 1
      response.writeHead(503, { Connection: 'close' }).end()
      return true
    }
    const entry = 'examples/verify-locally/service.js'
    const service = spawn(process.execPath, ['bin/runtime.js', entry, fake.issuer, '0'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH ?? '', CLIENT_SECRET: 'a secret' },
    })
    try {
      const lines = createInterface({ input: service.stdout })
      const [line] = await Promise.race([once(lines, 'line'), once(service, 'exit')])
      expect(line).to.match(/^The API answers at /)
      expect(refusals).to.equal(3)
    } finally {
      service.kill('SIGKILL')
      await fake.stop()
    }
  })
})
