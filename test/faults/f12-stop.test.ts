/** F12: SIGTERM while requests are under way. Whatever was accepted is answered, and the process ends with 0. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect } from 'chai'
import { type CodeFlow, PASSWORD } from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'
import { createProbedClient } from './probes.ts'

describe('F12: a server is told to stop', function () {
  this.timeout(40_000)
  let world: World
  let flow: CodeFlow

  beforeEach(async () => {
    world = await startWorld()
    flow = await createProbedClient(world)
  })
  afterEach(() => world?.stop())

  const told = async (signal: NodeJS.Signals): Promise<number | null> => {
    const child = world.servers[0]?.process
    if (!child) throw new Error('there is a server')
    child.kill(signal)
    if (child.exitCode === null) await once(child, 'exit')
    return child.exitCode
  }
  /** Slow enough to be under way: a password is hashed. */
  const signIn = () =>
    flow.post('/oauth2/token', { grant_type: 'password', username: 'anna', password: PASSWORD, scope: 'openid' })

  it('answers everything it has accepted and ends with 0', async () => {
    const { refresh_token } = await flow.tokens()
    const underWay = [...Array.from({ length: 8 }, signIn), flow.refresh(refresh_token)]
    // They have been accepted when a later one on another connection is answered.
    await flow.get('/healthz')
    const [code, ...replies] = await Promise.all([told('SIGTERM'), ...underWay])
    expect(replies.map(({ status }) => status)).to.deep.equal(underWay.map(() => 200))
    expect(code).to.equal(0)
    expect(world.servers[0]?.lines.filter((line) => /"level":"(error|fatal)"/.test(line))).to.deep.equal([])
  })

  it('tells balancers first, and asks clients to leave', async () => {
    const underWay = Array.from({ length: 8 }, signIn)
    await flow.get('/healthz')
    const stopped = told('SIGTERM')
    let ready = await flow.get('/readyz')
    for (let tries = 0; tries < 40 && ready.status === 200; tries++) ready = await flow.get('/readyz')
    expect([ready.status, ready.headers.connection]).to.deep.equal([503, 'close'])
    await Promise.all(underWay)
    expect(await stopped).to.equal(0)
  })

  it('does not wait for connections on which nobody asks anything', async function () {
    this.timeout(5_000) // half of what a request under way would get
    const port = Number(new URL(world.servers[0]?.address ?? '').port)
    const idle: Socket = connect(port, '127.0.0.1')
    await once(idle, 'connect')
    idle.on('error', () => {})
    expect(await told('SIGINT')).to.equal(0)
    idle.destroy()
  })
})
