import { expect } from 'chai'
import { createVerifier, type VerifierEvent, type VerifierOptions } from '../../src/verifier/verifier.ts'
import { AUDIENCE, codeOf, type FakeIssuer, makeKey, startFakeIssuer } from './fake-issuer.ts'

describe('the keys of a verifier', () => {
  let server: FakeIssuer
  beforeEach(async () => {
    server = await startFakeIssuer()
  })
  afterEach(() => server.stop())

  const make = (options: Partial<VerifierOptions> = {}) =>
    createVerifier({ issuer: server.issuer, audience: AUDIENCE, stream: false, ...options })
  const asked = () => server.visitsTo('/jwks').length

  it('are fetched once for all who wait for them', async () => {
    const verifier = make()
    const tokens = await Promise.all(Array.from({ length: 20 }, () => server.sign()))
    await Promise.all(tokens.map((token) => verifier.verify(token)))
    expect(asked()).to.equal(1)
    expect(server.visitsTo('/.well-known').length).to.equal(1)
  })

  it('are found without discovery', async () => {
    server.state.discovery = null
    expect(await codeOf(make().verify(await server.sign()))).to.equal('accepted')
    expect(server.visitsTo('/.well-known/jwks.json').length).to.equal(1)
  })

  it('are not taken from the document of another issuer, nor from another origin', async () => {
    const { issuer } = server
    const endpoints = { jwks_uri: `${issuer}/jwks`, token_endpoint: `${issuer}/token` }
    for (const document of [
      { ...endpoints, issuer: `${issuer}/` },
      { ...endpoints, issuer: undefined },
      { ...endpoints, issuer, jwks_uri: 'http://127.0.0.1:1/jwks' },
      { ...endpoints, issuer, token_endpoint: 'https://evil.example/token' },
      { issuer },
    ]) {
      server.state.discovery = document
      expect(await codeOf(make().verify(await server.sign())), JSON.stringify(document)).to.equal('keys_unavailable')
    }
    expect(asked()).to.equal(0)
  })

  it('are fetched again for an unknown one, but not for every stranger', async () => {
    const verifier = make()
    await verifier.verify(await server.sign())
    const next = await makeKey('key-2')
    server.state.keys = [server.key.jwk, next.jwk]
    expect(await codeOf(verifier.verify(await server.sign({}, {}, next)))).to.equal('accepted')
    expect(asked()).to.equal(2)

    const strangers = Array.from({ length: 20 }, (_, index) => server.sign({}, { kid: `stranger-${index}` }))
    const verdicts = await Promise.all((await Promise.all(strangers)).map((token) => codeOf(verifier.verify(token))))
    expect(new Set(verdicts)).to.deep.equal(new Set(['unknown_key']))
    expect(asked()).to.equal(2)
  })

  it('are kept while the server is away', async () => {
    const events: VerifierEvent[] = []
    const verifier = make({ onEvent: (event) => events.push(event) })
    await verifier.verify(await server.sign())
    await server.stop()
    expect(await codeOf(verifier.verify(await server.sign()))).to.equal('accepted')
    expect(await codeOf(verifier.verify(await server.sign({}, { kid: 'key-2' })))).to.equal('keys_unavailable')
    expect(events.map(({ kind }) => kind)).to.deep.equal(['keys_fetched', 'keys_unavailable'])
  })

  it('that cannot be had are no fault of the token, and it works once the server is back', async () => {
    await server.stop()
    const verifier = make()
    const token = await server.sign()
    expect(await codeOf(verifier.verify(token))).to.equal('keys_unavailable')
    await server.restart()
    expect(await codeOf(verifier.verify(token)), 'a moment later').to.equal('keys_unavailable')
    await verifier.ready()
    expect(await codeOf(verifier.verify(token))).to.equal('accepted')
  })

  it('are not waited for longer than three seconds', async function () {
    this.timeout(10_000)
    server.state.intercept = (path) => path === '/jwks'
    expect(await codeOf(make().verify(await server.sign()))).to.equal('keys_unavailable')
  })

  it('are not taken from an answer that is none', async () => {
    const answers: [status: number, body: string, headers?: Record<string, string>][] = [
      [200, '{'],
      [200, '[]'],
      [200, '{"keys":{}}'],
      [200, '{"keys":[]}'],
      [200, '{"keys":[{"kty":"oct","k":"AAAA","kid":"key-1"}]}'],
      [500, '{}'],
      [302, '', { Location: `${server.issuer}/elsewhere` }],
      [200, `{"keys":[],"more":"${'x'.repeat(2_000_000)}"}`],
    ]
    for (const [status, body, headers] of answers) {
      server.state.intercept = (path, response) => {
        if (path !== '/jwks') return false
        response.writeHead(status, headers).end(body)
        return true
      }
      const verdict = await codeOf(make().verify(await server.sign()))
      expect(verdict, `${status} ${body.slice(0, 40)}`).to.equal('keys_unavailable')
    }
    expect(server.visitsTo('/elsewhere')).to.deep.equal([])
  })

  it('are believed for what they are said to be for, and never when they are secret', async () => {
    for (const [member, value] of [
      ['use', 'enc'],
      ['use', 'SIG'],
      ['key_ops', ['sign']],
      ['key_ops', 'verify'],
      ['key_ops', []],
      ['d', 'AAAA'],
      ['alg', 'ES384'],
    ] as const) {
      const key = await makeKey('odd')
      server.state.keys = [server.key.jwk, { ...key.jwk, [member]: value }]
      const verdict = await codeOf(make().verify(await server.sign({}, {}, key)))
      expect(verdict, `${member} ${value}`).to.equal('unknown_key')
    }
    const fitting = await makeKey('fitting')
    server.state.keys = [{ ...fitting.jwk, use: undefined, alg: undefined, key_ops: ['verify'] }]
    expect(await codeOf(make().verify(await server.sign({}, {}, fitting)))).to.equal('accepted')
  })

  it('that are withdrawn take the tokens they have signed with them', async () => {
    const verifier = make()
    const token = await server.sign()
    await verifier.verify(token)
    const next = await makeKey('key-2')
    server.state.keys = [next.jwk]
    await verifier.verify(await server.sign({}, {}, next))
    expect(await codeOf(verifier.verify(token))).to.equal('unknown_key')
  })

  it('of one name but another content are another key', async () => {
    const verifier = make()
    const token = await server.sign()
    await verifier.verify(token)
    const [again, next] = [await makeKey('key-1'), await makeKey('key-2')]
    server.state.keys = [again.jwk, next.jwk]
    await verifier.verify(await server.sign({}, {}, next))
    expect(await codeOf(verifier.verify(token))).to.equal('bad_signature')
    expect(await codeOf(verifier.verify(await server.sign({}, {}, again)))).to.equal('accepted')
  })

  it('are not disturbed by a listener that throws', async () => {
    const verifier = make({
      onEvent() {
        throw new Error('a fault of the listener')
      },
    })
    expect(await codeOf(verifier.verify(await server.sign()))).to.equal('accepted')
  })
})
