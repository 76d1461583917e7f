/** One server without PostgreSQL and Redis: what is revoked reaches services all the same, and outlives the server. */
import { expect } from 'chai'
import { createVerifier, type Verifier } from '../../src/verifier/verifier.ts'
import { usherIn } from '../cli/usher.ts'
import { createCodeFlow, PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { freePort, type ServerProcess, startServer } from '../support/world.ts'
import { AUDIENCE, codeOf, until } from './fake-issuer.ts'

const SECRET = 'a secret of forty characters, for a test'

describe('a verifier of a server with the embedded database', function () {
  this.timeout(60_000)
  let server: ServerProcess
  let issuer: string
  let env: Record<string, string>
  let verifiers: Verifier[]

  before(async () => {
    const usher = await usherIn()
    const port = await freePort()
    issuer = `http://localhost:${port}`
    env = {
      NODE_ENV: 'test',
      USHER_PORT: String(port),
      USHER_ISSUER: issuer,
      USHER_DATA_DIR: `${usher.dir}/data`,
      USHER_KEYS_DIR: `${usher.dir}/keys`,
    }
    const given = usher.with({ env, input: PASSWORD })
    const create = async (...args: string[]) => {
      const { code, err } = await given(...args)
      expect(code, err).to.equal(0)
    }
    await create('init')
    const client = ['client', 'create', '--secret', SECRET]
    await create(...client, '--id', 'orders', '--type', 'machine', '--scope', 'events:read access:read')
    await create(
      ...[...client, '--id', 'app', '--type', 'web', '--first-party', '--audience', AUDIENCE],
      ...['--grant', 'password', '--grant', 'refresh_token', '--scope', 'openid offline_access orders:read'],
    )
    await create('account', 'create', '--email', 'anna@example.org', '--password-file', '-')
    server = await startServer(env)
  })
  after(() => server?.stop())
  beforeEach(() => {
    verifiers = []
  })
  afterEach(() => {
    for (const verifier of verifiers) verifier.close()
  })

  const make = (): Verifier => {
    const credentials = { clientId: 'orders', clientSecret: SECRET }
    const verifier = createVerifier({ issuer, audience: AUDIENCE, stream: true, credentials })
    verifiers.push(verifier)
    return verifier
  }
  const flow = () => createCodeFlow({ issuer, servers: [server] }, { id: 'app', secret: SECRET, redirectUri: '' })
  const signIn = async (): Promise<TokenResponse> => {
    const form = {
      grant_type: 'password',
      username: 'anna@example.org',
      password: PASSWORD,
      scope: 'openid orders:read',
    }
    return tokensOf(await flow().post('/oauth2/token', form))
  }
  const verdictOn = (verifier: Verifier, { access_token: token }: TokenResponse) => codeOf(verifier.verify(token))

  it('hears of tokens and of grants', async () => {
    const verifier = make()
    await verifier.ready()
    const [one, other, alive] = [await signIn(), await signIn(), await signIn()]
    for (const token of [one, other, alive]) expect(await verdictOn(verifier, token)).to.equal('accepted')
    await flow().revoke(one.access_token)
    await flow().revoke(other.refresh_token)
    for (const token of [one, other]) await until(async () => (await verdictOn(verifier, token)) === 'revoked')
    expect(await verdictOn(verifier, alive)).to.equal('accepted')
  })

  it('knows what was revoked before the server was started again, without a break', async () => {
    const verifier = make()
    await verifier.ready()
    const [dead, alive] = [await signIn(), await signIn()]
    await flow().revoke(dead.access_token)
    await server.stop()
    server = await startServer(env)
    for (const each of [verifier, make()]) {
      await until(async () => (await verdictOn(each, dead)) === 'revoked')
      await until(async () => (await verdictOn(each, alive)) === 'accepted')
    }
  })
})
