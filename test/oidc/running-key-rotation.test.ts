import { expect } from 'chai'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { rotateKeys } from '../../src/oidc/key-rotation.ts'
import { ANNA, createAnna, createCodeFlow, responseOf } from '../support/code-flow.ts'
import { until } from '../support/eventually.ts'
import { basic, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'

describe('keys rotated under a running server', () => {
  let world: World
  let authorization: string
  const rotate = () =>
    rotateKeys(world.config.keysDir, { longestTokenSeconds: 3_600, jwksCacheSeconds: 300, force: true })
  const call = (path: string, form?: Record<string, string>) =>
    send(world.servers[0]?.address ?? '', world.issuer, path, form ? { form, headers: { authorization } } : {})
  const issue = async () =>
    String((await call('/oauth2/token', { grant_type: 'client_credentials' })).json().access_token)
  const kidOf = (token: string) => decodeProtectedHeader(token).kid
  const publishedKids = async () =>
    (await call('/.well-known/jwks.json')).json<{ keys: { kid: string }[] }>().keys.map(({ kid }) => kid)

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    const { secret } = await world.core.clients.create({ id: 'machine', name: 'Machine', type: 'machine' })
    authorization = basic('machine', secret ?? '')
    await createAnna(world)
    await world.core.clients.create({ id: 'spa', type: 'spa', firstParty: true, redirectUris: [REDIRECT_URI] })
  })
  after(() => world?.stop())

  it('publishes a key before it signs, and verifies what the former one signed', async function () {
    this.timeout(40_000)
    const first = await issue()
    const before = await publishedKids()

    await rotate()
    await until(async () => (await publishedKids()).length > before.length)
    expect(kidOf(await issue()), 'the new key is only announced').to.equal(kidOf(first))

    const flow = createCodeFlow(world, { id: 'spa', redirectUri: REDIRECT_URI })
    const agent = flow.newAgent()
    const request = flow.requestOf()
    const signIn = await agent.open(request.url)

    await rotate()
    await until(async () => kidOf(await issue()) !== kidOf(first))
    const second = await issue()
    expect(before).to.not.include(kidOf(second))

    const keys = createRemoteJWKSet(new URL(`${world.issuer}/.well-known/jwks.json`))
    for (const token of [first, second]) {
      const { payload } = await jwtVerify(token, keys, { issuer: world.issuer, typ: 'at+jwt' })
      expect(payload.sub).to.equal('machine')
      const introspection = await call('/oauth2/introspect', { token })
      expect(introspection.json().active).to.equal(true)
    }

    const back = responseOf(await agent.submit(signIn, { fill: ANNA, press: 'login-submit' }))
    const code = { ...request, code: back.get('code') ?? '', response: back }
    expect((await flow.redeem(code)).status, 'a sign-in page that was open meanwhile').to.equal(200)
  })

  it('slows down whoever keeps guessing a client secret', async () => {
    const guess = () =>
      send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
        form: { grant_type: 'client_credentials' },
        headers: { authorization: basic('machine', 'x'.repeat(40)) },
      })
    const statuses = new Set<number>()
    for (let round = 0; round < 8; round++) {
      for (const reply of await Promise.all(Array.from({ length: 10 }, guess))) {
        statuses.add(reply.status)
        if (reply.status === 429) expect(Number(reply.headers['retry-after'])).to.be.at.least(1)
      }
    }
    expect([...statuses].sort()).to.deep.equal([401, 429])
    expect(await issue(), 'the right secret still works').to.be.a('string')
  })
})
