/**
 * F11: a process dies between taking a refresh token and answering. The client does not know what happened and asks
 * again; it must end up with one successor, and must not be signed out.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { ROTATE, ROTATE_BEGIN, ROTATE_COMMIT } from '../../src/storage/ephemeral-scripts.ts'
import { type CodeFlow, createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { redisUrl } from '../support/database.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import type { Reply } from '../support/http.ts'
import { startServer, startWorld, type World } from '../support/world.ts'

/** The engine itself answers at this spelling of the address, and rotates in two steps. */
const ENGINE = '/oauth2/TOKEN'
const SHORT_WAY = '/oauth2/token'

/** Longer than a lease and a retry, shorter than the grace. */
const PATIENCE_MS = 8_000

describe('F11: a process dies in the middle of a rotation', function () {
  this.timeout(40_000)
  let world: World
  let flow: CodeFlow
  let proxy: FaultProxy

  before(async () => {
    // Behind the proxy is one server, whatever the others of this run keep their things on.
    world = await startWorld({ redisUrl: redisUrl() })
    await createAnna(world)
    await world.core.clients.create({
      id: 'app',
      type: 'spa',
      firstParty: true,
      redirectUris: ['https://app.example/cb'],
    })
    flow = createCodeFlow(world, { id: 'app', redirectUri: 'https://app.example/cb' })
    proxy = await createFaultProxy(redisUrl())
  })
  after(async () => {
    await world?.stop()
    await proxy?.close()
  })

  /** Has a process carry out a script for a refresh and kills it before it hears the outcome. */
  async function dieAfter(script: string, token: string, path: string): Promise<void> {
    const refresh = (refresh_token: string) =>
      flow.post(path, { grant_type: 'refresh_token', refresh_token, client_id: 'app' }, 1)
    const doomed = await startServer({ ...world.env, USHER_REDIS_URL: proxy.url }, '127.0.0.2')
    world.servers[1] = doomed
    // Scripts travel as text once per connection, as their digest from then on.
    tokensOf(await refresh((await flow.tokens()).refresh_token))
    const carriedOut = proxy.withholdReplyTo(createHash('sha1').update(script).digest('hex'))
    const cut = refresh(token).then(
      () => 'answered',
      () => 'cut',
    )
    await carriedOut
    doomed.process.kill('SIGKILL')
    await once(doomed.process, 'exit')
    expect(await cut).to.equal('cut')
  }

  /** Asks again until the answer is a definite one. */
  async function retried(token: string): Promise<{ reply: Reply; before: number[] }> {
    const before: number[] = []
    for (const end = performance.now() + PATIENCE_MS; ; await sleep(100)) {
      const reply = await flow.refresh(token)
      if (reply.status !== 503 || performance.now() > end) return { reply, before }
      expect(Number(reply.headers['retry-after'])).to.be.at.least(1)
      before.push(reply.status)
    }
  }

  it('after the token was taken: a retry waits for the lease and takes it over', async () => {
    const { refresh_token: token } = await flow.tokens()
    await dieAfter(ROTATE_BEGIN, token, ENGINE)
    const { reply, before } = await retried(token)
    expect(before, 'refusals while the dead process held the lease').not.to.be.empty
    const successor = tokensOf(reply)
    expect((await flow.refresh(token)).text).to.equal(reply.text)
    tokensOf(await flow.refresh(successor.refresh_token))
  })

  for (const [way, script, path] of [
    ['the engine', ROTATE_COMMIT, ENGINE],
    ['the short way', ROTATE, SHORT_WAY],
  ] as const) {
    it(`after ${way} has recorded the successor: a retry gets that successor`, async () => {
      const { refresh_token: token } = await flow.tokens()
      await dieAfter(script, token, path)
      const { reply, before } = await retried(token)
      expect(before).to.deep.equal([])
      const successor = tokensOf(reply)
      expect((await flow.userinfo(successor.access_token)).status).to.equal(200)
      tokensOf(await flow.refresh(successor.refresh_token))
      expect((await flow.refresh(token)).json().error, 'of the old one afterwards').to.equal('invalid_grant')
    })
  }
})
