import { expect } from 'chai'
import { createVerifier, type Verifier, type VerifierEvent, type VerifierOptions } from '../../src/verifier/verifier.ts'
import { AUDIENCE, codeOf, type FakeIssuer, greet, inSeconds, startFakeIssuer, until } from './fake-issuer.ts'

const STREAM = '/api/v1/events/revocations'

describe('the revocation stream of a verifier', function () {
  this.timeout(15_000)
  let server: FakeIssuer
  let verifiers: Verifier[]
  let events: VerifierEvent[]

  beforeEach(async () => {
    server = await startFakeIssuer()
    verifiers = []
    events = []
  })
  afterEach(async () => {
    for (const verifier of verifiers) verifier.close()
    await server.stop()
  })

  const make = (options: Partial<VerifierOptions> = {}): Verifier => {
    const verifier = createVerifier({
      issuer: server.issuer,
      audience: AUDIENCE,
      stream: true,
      credentials: { clientId: 'orders service', clientSecret: 's/e c+r%t' },
      streamDownSeconds: 0.4,
      onEvent: (event) => events.push(event),
      ...options,
    })
    verifiers.push(verifier)
    return verifier
  }
  const happened = (kind: VerifierEvent['kind']) => events.filter((event) => event.kind === kind).length
  const judge = async (verifier: Verifier, claims: Record<string, unknown> = {}) =>
    codeOf(verifier.verify(await server.sign(claims)))

  it('is asked for with a token of the service, and tells what was revoked before', async () => {
    server.state.onLine = (line) => greet(line, { kind: 'token', id: 'dead', expires_at: inSeconds(300) })
    const verifier = make()
    await verifier.ready()
    expect(await judge(verifier)).to.equal('accepted')
    expect(await judge(verifier, { jti: 'dead' })).to.equal('revoked')
    const [token] = server.visitsTo('/token')
    const secret = Buffer.from('orders%20service:s%2Fe%20c%2Br%25t').toString('base64')
    expect(token?.headers.authorization).to.equal(`Basic ${secret}`)
    expect(server.visitsTo(STREAM)[0]?.headers).to.include({ accept: 'text/event-stream' })
    expect(server.visitsTo(STREAM)[0]?.headers.authorization).to.match(/^Bearer service-/)
  })

  it('is waited for by the first requests', async () => {
    server.state.onLine = (line) => void setTimeout(() => greet(line, { kind: 'token', id: 'dead' }), 300)
    const verifier = make()
    expect(await Promise.all([judge(verifier), judge(verifier, { jti: 'dead' })])).to.deep.equal([
      'accepted',
      'revoked',
    ])
  })

  it('is not waited for for ever, and nobody is let in meanwhile', async () => {
    server.state.onLine = () => {}
    server.state.heartbeatMs = 0
    const verifier = make({ stream: { startSeconds: 0.2 } })
    expect(await judge(verifier)).to.equal('stream_down')
    expect(await judge(make({ stream: { startSeconds: 0.2 }, whenStreamIsDown: 'expiry_only' }))).to.equal('accepted')
  })

  it('is no picture while it is only half of one', async () => {
    server.state.onLine = (line) => line.send('snapshot_begin', { heartbeat_seconds: 0.05 })
    const verifier = make({ stream: { startSeconds: 0.3 } })
    await until(() => server.lines.size > 0)
    expect(await judge(verifier)).to.equal('stream_down')
  })

  it('kills a token that has just been believed', async () => {
    const verifier = make()
    for (const revocation of [
      { kind: 'token', id: 'j' },
      { kind: 'grant', id: 'g' },
      { kind: 'session', id: 's' },
      { kind: 'account', id: 'a', not_before_ms: Date.now() },
      { kind: 'client', id: 'c', not_before_ms: Date.now() },
    ]) {
      const { kind, id } = revocation
      const claim = { token: 'jti', grant: 'gid', session: 'suid', account: 'sub', client: 'client_id' }[kind] ?? ''
      const token = await server.sign({ [claim]: id })
      expect(await codeOf(verifier.verify(token)), kind).to.equal('accepted')
      server.tell('revoked', revocation)
      await until(async () => (await codeOf(verifier.verify(token))) === 'revoked')
      expect(await judge(verifier), `others than the ${kind}`).to.equal('accepted')
    }
  })

  it('is down after silence, and back after one sign of life', async () => {
    const verifier = make()
    await verifier.ready()
    server.state.heartbeatMs = 0
    await until(async () => (await judge(verifier)) === 'stream_down')
    expect(happened('stream_down')).to.equal(1)
    server.state.heartbeatMs = 50
    await verifier.ready()
    expect(await judge(verifier)).to.equal('accepted')
  })

  it('that is down goes on by expiry where the service wants it so, and what is known stays dead', async () => {
    const verifier = make({ whenStreamIsDown: 'expiry_only' })
    server.state.onLine = (line) => greet(line, { kind: 'token', id: 'dead' })
    await verifier.ready()
    await server.stop()
    await until(() => happened('stream_down') > 0)
    expect(await judge(verifier)).to.equal('accepted')
    expect(await judge(verifier, { jti: 'dead' })).to.equal('revoked')
    expect(await judge(verifier, { exp: inSeconds(-60) })).to.equal('expired')
  })

  it('that was cut goes on where it ended, without refusing anybody', async () => {
    const verifier = make({ streamDownSeconds: 5 })
    await verifier.ready()
    server.tell('revoked', { kind: 'token', id: 'before' }, 'place-7')
    server.state.heartbeatMs = 0
    await until(async () => (await judge(verifier, { jti: 'before' })) === 'revoked')
    let resumedAt: string | undefined
    server.state.onLine = (line) => {
      resumedAt = line.lastEventId
      line.send('revoked', { kind: 'token', id: 'meanwhile' })
      line.send('heartbeat', { at_ms: Date.now() })
    }
    server.cut()
    expect(await judge(verifier)).to.equal('accepted')
    await until(async () => (await judge(verifier, { jti: 'meanwhile' })) === 'revoked')
    expect(resumedAt).to.match(/^place-7$|^c\d+$/)
    expect(await judge(verifier, { jti: 'before' })).to.equal('revoked')
  })

  it('that was cut in the middle of a picture asks for all of it again', async () => {
    const ids: (string | undefined)[] = []
    server.state.onLine = (line) => {
      ids.push(line.lastEventId)
      if (ids.length > 1) return greet(line, { kind: 'token', id: 'dead' })
      line.send('snapshot_begin', {})
      line.send('revoked', { kind: 'grant', id: 'g' })
      line.end()
    }
    const verifier = make()
    await verifier.ready()
    expect(ids).to.deep.equal([undefined, undefined])
    expect(await judge(verifier, { jti: 'dead' })).to.equal('revoked')
  })

  it('after a reset holds everybody up until the new picture is whole, and then forgets the old one', async () => {
    server.state.onLine = (line) => greet(line, { kind: 'token', id: 'old' })
    const verifier = make()
    await verifier.ready()
    server.tell('reset')
    server.tell('snapshot_begin', {})
    server.tell('revoked', { kind: 'token', id: 'new' })
    await until(async () => (await judge(verifier, { jti: 'new' })) === 'revoked')
    const waiting = judge(verifier)
    const isDone = await Promise.race([waiting.then(() => true), new Promise((resolve) => setTimeout(resolve, 150))])
    expect(isDone).to.equal(undefined)
    server.tell('snapshot_end')
    expect(await waiting).to.equal('accepted')
    expect(await judge(verifier, { jti: 'old' })).to.equal('accepted')
    expect(await judge(verifier, { jti: 'new' })).to.equal('revoked')
  })

  it('is not believed to be current before the first heartbeat after a cut', async () => {
    const verifier = make()
    await verifier.ready()
    server.state.heartbeatMs = 0
    server.state.onLine = (line) => line.send('revoked', { kind: 'token', id: 'older' })
    server.cut()
    await until(() => happened('stream_down') > 0)
    await until(() => server.lines.size > 0)
    server.tell('revoked', { kind: 'token', id: 'older-still' })
    expect(await judge(verifier)).to.equal('stream_down')
    server.tell('heartbeat')
    await until(async () => (await judge(verifier)) === 'accepted')
    expect(await judge(verifier, { jti: 'older-still' })).to.equal('revoked')
  })

  it('that sends what cannot be right is begun anew', async () => {
    const verifier = make()
    await verifier.ready()
    for (const nonsense of [
      'event: revoked\ndata: {\n\n',
      'event: revoked\ndata: []\n\n',
      'event: snapshot_end\ndata: {}\n\n',
      `data: ${'x'.repeat(100_000)}`,
    ]) {
      const before = server.visitsTo(STREAM).length
      for (const line of server.lines) line.raw(nonsense)
      await until(() => server.visitsTo(STREAM).length > before)
      expect(server.visitsTo(STREAM).at(-1)?.headers['last-event-id'], nonsense.slice(0, 30)).to.equal(undefined)
      await verifier.ready()
    }
    expect(await judge(verifier)).to.equal('accepted')
  })

  it('says so when it is told what it does not understand', async () => {
    const verifier = make()
    await verifier.ready()
    server.tell('confetti', { a: 1 })
    server.tell('toString', { a: 1 })
    server.tell('revoked', { kind: 'planet', id: 'a' })
    await until(() => happened('event_not_understood') === 3)
    expect(await judge(verifier)).to.equal('accepted')
  })

  it('with more than there is room for is as good as none', async () => {
    const verifier = make({ stream: { maxEntries: 2, startSeconds: 0.2 } })
    await verifier.ready()
    for (const id of ['a', 'b', 'c']) server.tell('revoked', { kind: 'token', id, expires_at: inSeconds(300) })
    server.state.onLine = () => {}
    await until(() => happened('deny_set_full') > 0)
    expect(await judge(verifier)).to.equal('stream_down')
    server.state.onLine = (line) => greet(line)
    server.cut()
    await verifier.ready()
    expect(await judge(verifier)).to.equal('accepted')
  })

  it('is tried again, with another token where the old one is not taken, and less and less often', async () => {
    let refusals = 0
    server.state.intercept = (path, response) => {
      if (path !== STREAM || refusals === 3) return false
      refusals += 1
      response.writeHead(401).end()
      return true
    }
    const verifier = make()
    await verifier.ready()
    const used = server.visitsTo(STREAM).map(({ headers }) => headers.authorization)
    expect(new Set(used).size).to.equal(4)

    await server.stop()
    const before = happened('stream_disconnected')
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(happened('stream_disconnected') - before).to.be.lessThan(10)
  })

  it('keeps its token for as long as it is good', async () => {
    const verifier = make()
    await verifier.ready()
    for (const round of [1, 2, 3]) {
      server.cut()
      await until(() => server.visitsTo(STREAM).length > round)
      await verifier.ready()
    }
    expect(server.visitsTo('/token').length).to.equal(1)
    server.state.tokenSeconds = 0
    const another = make()
    await another.ready()
    server.cut()
    await until(() => server.visitsTo('/token').length >= 3)
  })

  it('is not a page that happens to be there, nor followed to another address', async () => {
    for (const [status, headers] of [
      [200, { 'Content-Type': 'text/html' }],
      [302, { Location: '/elsewhere' }],
      [204, { 'Content-Type': 'text/event-stream' }],
    ] as const) {
      server.state.intercept = (path, response) => {
        if (path !== STREAM) return false
        response.writeHead(status, headers).end()
        return true
      }
      expect(await judge(make({ stream: { startSeconds: 0.3 } })), `${status}`).to.equal('stream_down')
    }
    expect(server.visitsTo('/elsewhere')).to.deep.equal([])
  })

  it('works by its own sense of time, however wrong the clock is', async () => {
    for (const offset of [-30_000, 30_000]) {
      const verifier = make({ now: () => Date.now() + offset })
      await verifier.ready()
      const token = await server.sign({ gid: `grant${offset}` })
      expect(await codeOf(verifier.verify(token)), `${offset}`).to.equal('accepted')
      server.tell('revoked', { kind: 'grant', id: `grant${offset}`, expires_at: inSeconds(360) })
      await until(async () => (await codeOf(verifier.verify(token))) === 'revoked')
    }
  })

  it('forgets nothing because somebody sets the clock ahead and back again', async () => {
    let offsetMs = 0
    const verifier = make({ stream: { maxEntries: 1 }, now: () => Date.now() + offsetMs })
    await verifier.ready()
    const token = await server.sign({ jti: 'dead' })
    server.tell('revoked', { kind: 'token', id: 'dead', expires_at: inSeconds(360) })
    await until(async () => (await codeOf(verifier.verify(token))) === 'revoked')
    offsetMs = 7_200_000
    server.state.onLine = () => {} // no new picture
    // It has to make room for this one, and may not do so by what its own clock says.
    server.tell('revoked', { kind: 'token', id: 'another', expires_at: inSeconds(360) })
    await until(() => server.visitsTo(STREAM).length > 1)
    offsetMs = 0
    expect(await codeOf(verifier.verify(token))).not.to.equal('accepted')
  })

  it('warns of heartbeats that are too far apart', async () => {
    server.state.onLine = (line) => {
      line.send('snapshot_begin', { heartbeat_seconds: 5 })
      line.send('snapshot_end')
    }
    await make().ready()
    expect(happened('heartbeat_too_slow')).to.equal(1)
  })

  it('ends when it is closed, and so does waiting for it', async () => {
    server.state.onLine = () => {}
    const verifier = make()
    const waiting = verifier.ready().then(
      () => 'ready',
      (error: Error) => error.message,
    )
    await until(() => server.lines.size === 1)
    verifier.close()
    verifier.close()
    expect(await waiting).to.match(/closed/)
    await until(() => server.lines.size === 0)
    expect(await codeOf(verifier.ready())).to.match(/closed/)
    expect(await judge(verifier)).to.equal('stream_down')
  })
})
