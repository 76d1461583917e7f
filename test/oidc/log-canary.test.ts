/**
 * A113: secrets are sent through every route, in the right and in every wrong place, with the stores well and gone, and
 * the server writes everything it can. None of them may be in what it wrote.
 */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { createSigner, presenting } from '../support/authenticating.ts'
import { ANNA, type CodeFlow, createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { postgresUrl, redisUrl } from '../support/database.ts'
import { createProver } from '../support/dpop.ts'
import { eventually } from '../support/eventually.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { controlOf } from '../support/html-form.ts'
import { basic, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'

describe('A113: the log', function () {
  this.timeout(60_000)
  let world: World
  let flow: CodeFlow
  let proxies: FaultProxy[] = []
  const secrets = new Map<string, string>()
  const canary = (kind: string): string => keep(kind, `canary-${randomBytes(18).toString('base64url')}`)
  const keep = (kind: string, secret: string): string => {
    secrets.set(`${kind} #${secrets.size}`, secret)
    return secret
  }

  before(async () => {
    proxies = [await createFaultProxy(redisUrl()), await createFaultProxy(postgresUrl())]
    const [redis, postgres] = proxies
    world = await startWorld({
      redisUrl: redis?.url ?? '',
      databaseUrl: postgres?.url ?? '',
      env: { USHER_LOG_LEVEL: 'trace' },
    })
    await createAnna(world)
    const signer = await createSigner()
    const { secret = '' } = await world.core.clients.create({
      id: 'app',
      type: 'web',
      firstParty: true,
      grantTypes: ['authorization_code', 'refresh_token', 'password', 'client_credentials'],
      redirectUris: [REDIRECT_URI],
    })
    await world.core.clients.create({
      id: 'signer',
      type: 'machine',
      tokenEndpointAuthMethod: 'private_key_jwt',
      metadata: { jwks: signer.jwks },
    })
    flow = createCodeFlow(world, { id: 'app', secret: keep('client secret', secret), redirectUri: REDIRECT_URI })
    keep('Basic header', basic('app', secret).slice('Basic '.length))
    keep('password', ANNA.password)
    await use()
    await misuse()
    await useAssertions(signer)
    for (const proxy of proxies) {
      await proxy.refuse()
      await use().catch(() => {})
      await misuse()
      await proxy.heal()
    }
  })
  after(async () => {
    for (const proxy of proxies) await proxy.heal()
    await world?.stop()
    for (const proxy of proxies) await proxy.close()
  })

  const keepTokens = (kind: string, tokens: object): void => {
    for (const [name, value] of Object.entries(tokens)) {
      if (/token$/.test(name)) keep(`${kind} ${name}`, String(value))
    }
  }

  /** Everything as it should be. */
  async function use(): Promise<void> {
    const agent = flow.newAgent()
    const page = await agent.open(flow.requestOf().url)
    keep(
      'form token',
      String(controlOf(page.text, 'login-submit').form.controls.find(({ name }) => name === 'csrf')?.value),
    )
    const wrong = { login: ANNA.login, password: canary('wrong password') }
    await agent.submit(page, { fill: wrong, press: 'login-submit' })
    const authorization = await flow.authorize(agent)
    keep('code', authorization.code)
    keep('verifier', authorization.verifier)
    for (const { name, value } of agent.cookies()) {
      // These two repeat the name of the interaction, which is in its path; the secret is their signature.
      if (!/^usher_(interaction|resume)$/.test(name)) keep(`cookie ${name}`, value)
    }
    const tokens = tokensOf(await flow.redeem(authorization))
    keepTokens('code grant', tokens)
    await flow.redeem(authorization)
    const kept = tokensOf(await flow.redeem(await flow.authorize(agent)))
    const rotated = tokensOf(await flow.refresh(kept.refresh_token))
    keepTokens('refresh', rotated)
    await flow.userinfo(rotated.access_token)
    await flow.introspect(rotated.access_token)
    await flow.introspect(rotated.refresh_token)
    await flow.refresh(kept.refresh_token, { scope: 'openid profile email phone' })
    const proof = keep('proof', await (await createProver())(`${world.issuer}/oauth2/token`))
    await flow.refresh(rotated.refresh_token, {}, 0, { DPoP: proof })
    const { username, password } = { username: 'anna', password: ANNA.password }
    const granted = await flow.post('/oauth2/token', { grant_type: 'password', username, password, scope: 'openid' })
    keepTokens('password grant', granted.json())
    await flow.post('/oauth2/token', { grant_type: 'password', username, password: canary('guess') })
    await agent.open(`${world.issuer}/oauth2/logout?id_token_hint=${rotated.id_token}`)
    await flow.revoke(rotated.refresh_token)
  }

  /** The same secrets where they do not belong. */
  async function misuse(): Promise<void> {
    const everything = new URLSearchParams({
      ...{
        code: canary('code in a query'),
        access_token: canary('token in a query'),
        token: canary('token in a query'),
      },
      ...{ refresh_token: canary('token in a query'), id_token_hint: canary('hint in a query') },
      ...{ client_secret: canary('secret in a query'), password: canary('password in a query') },
      ...{ code_verifier: canary('verifier in a query'), client_assertion: canary('assertion in a query') },
    })
    const paths = ['authorize', 'token', 'introspect', 'revoke', 'userinfo', 'logout', 'par'].map(
      (name) => `/oauth2/${name}`,
    )
    const others = ['/', '/sign-in/abcdefgh', '/nowhere', '/api/v1/nothing', '/.well-known/jwks.json', '/healthz']
    for (const path of [...paths, ...others]) {
      const headers = {
        Authorization: `Bearer ${canary('unknown bearer')}`,
        Cookie: `usher_session=${canary('unknown cookie')}`,
        Referer: `https://client.example/cb?code=${canary('code in a referrer')}&state=x`,
        Origin: 'https://client.example',
      }
      await send(address(), world.issuer, `${path}?${everything}`, { headers })
      const form = Object.fromEntries([...everything, ['grant_type', 'authorization_code'], ['client_id', 'app']])
      await send(address(), world.issuer, path, { headers: { Referer: headers.Referer, Cookie: headers.Cookie }, form })
      await send(address(), world.issuer, path, {
        headers: { Authorization: basic('app', canary('wrong secret')) },
        form: {},
      })
      const json = { 'Content-Type': 'application/json' }
      await send(address(), world.issuer, path, {
        method: 'POST',
        headers: json,
        form: { password: canary('odd body') },
      })
    }
    await send(address(), world.issuer, '/oauth2/token', { form: { grant_type: canary('code as a grant type') } })
  }

  async function useAssertions(signer: Awaited<ReturnType<typeof createSigner>>): Promise<void> {
    const assertion = keep('assertion', await signer.assertion('signer', world.issuer))
    for (let times = 0; times < 2; times++) {
      const { form, headers } = presenting(assertion)
      await send(address(), world.issuer, '/oauth2/token', {
        form: { ...form, grant_type: 'client_credentials' },
        headers,
      })
    }
  }

  const address = (): string => world.servers[0]?.address ?? ''
  /** The names of the secrets in what the server wrote, also in the forms that travel. */
  const found = (): string[] => {
    const written = world.servers[0]?.lines.join('\n') ?? ''
    const forms = (secret: string) => [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]
    return [...secrets].flatMap(([kind, secret]) =>
      forms(secret).some((form) => written.includes(form)) ? [kind] : [],
    )
  }

  it('holds none of the secrets that went through', () => {
    expect(secrets.size).to.be.greaterThan(100)
    expect(world.servers[0]?.lines.length).to.be.greaterThan(100)
    expect(found()).to.deep.equal([])
  })

  it('tells of every refusal all the same', () => {
    const written = world.servers[0]?.lines.join('\n') ?? ''
    for (const sign of ['"event":"grant.error"', '"status":401', '"status":503', '"event":"userinfo.error"']) {
      expect(written).to.include(sign)
    }
  })

  it('would not keep a secret that is logged on purpose from this search', async () => {
    // A path is logged as it is: whoever puts a secret of no known form there publishes it.
    await send(address(), world.issuer, `/${canary('in a path')}`)
    // Lines gather for a moment before they are written.
    await eventually(() => expect(found()).to.have.length(1))
  })
})
