/**
 * Whatever a fast endpoint answers is what the engine answers: the same generated requests go both ways, to one
 * application with the short way in front and to the same without. DIFFERENTIAL_REQUESTS sets how many per route.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { type CodeFlow, createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { type CountedWorld, startCountedWorld } from '../support/counted-world.ts'
import { basic, type Reply, send } from '../support/http.ts'

const REQUESTS = Number(process.env.DIFFERENTIAL_REQUESTS ?? 600)
const REDIRECT_URI = 'https://client.example/cb'

/** A small generator with a seed, so that a difference can be found again (mulberry32). */
function randomFrom(seed: number) {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    oneOf: <T>(choices: readonly T[]): T => choices[Math.floor(next() * choices.length)] as T,
    often: (share: number): boolean => next() < share,
  }
}
type Random = ReturnType<typeof randomFrom>

interface Generated {
  method: string
  path: string
  headers: Record<string, string>
  body?: string
}

describe('the fast endpoints', function () {
  this.timeout(600_000)
  let world: CountedWorld
  let flow: CodeFlow
  let engine: Server
  let secret: string
  let otherSecret: string
  let tokens: string[]

  before(async () => {
    world = await startCountedWorld()
    await createAnna(world)
    const app = await world.core.clients.create({
      id: 'app',
      type: 'web',
      firstParty: true,
      grantTypes: ['authorization_code', 'refresh_token', 'password', 'client_credentials'],
      redirectUris: [REDIRECT_URI],
      scopes: [
        'openid',
        'profile',
        'email',
        'address',
        'phone',
        'offline_access',
        'movies:read',
        'movies:write',
        'access:read',
      ],
    })
    secret = app.secret ?? ''
    const other = await world.core.clients.create({
      id: 'other',
      type: 'machine',
      scopes: ['movies:read'],
      audience: 'https://movies.example',
      accessTokenTtlSeconds: 120,
    })
    otherSecret = other.secret ?? ''
    await world.core.clients.create({ id: 'public', type: 'spa', redirectUris: ['https://client.example/spa'] })
    flow = createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI })
    const live = await flow.tokens({ scope: 'openid email offline_access', prompt: 'consent' })
    const dead = await flow.tokens({ scope: 'openid' })
    await flow.revoke(dead.refresh_token)
    const rotated = await flow.tokens({ scope: 'openid' })
    const next = tokensOf(await flow.refresh(rotated.refresh_token))
    const machine = await flow.post('/oauth2/token', { grant_type: 'client_credentials', scope: 'movies:read' })
    const machineToken = machine.json<{ access_token: string }>().access_token
    const all = [live, dead, rotated, next].flatMap((set) => [set.access_token, set.refresh_token])
    tokens = [...all, machineToken, `${machineToken}x`, live.id_token ?? '', 'a.b.c', 'opaque', '', 'a.b', 'ä.b.c']
    engine = createServer(world.chain)
    engine.listen(0, '127.0.0.1')
    await once(engine, 'listening')
  })
  after(async () => {
    engine?.closeAllConnections()
    engine?.close()
    await world?.stop()
  })

  const ask = (address: string, { method, path, headers, body }: Generated): Promise<Reply> =>
    send(address, world.issuer, path, { method, headers, json: body })

  /** Both answers with what is random, or of this very request, made equal. */
  async function bothWays(request: Generated): Promise<[fast: object, slow: object]> {
    const slow = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`
    const fast = world.servers[0]?.address ?? ''
    return [comparable(await ask(fast, request)), comparable(await ask(slow, request))]
  }

  async function compare(seed: number, generate: (random: Random) => Generated): Promise<number> {
    const random = randomFrom(seed)
    let answered = 0
    for (let count = 0; count < REQUESTS; count += 1) {
      const request = generate(random)
      const before = world.fastAnswers()
      const [fast, slow] = await bothWays(request)
      answered += world.fastAnswers() - before
      expect(fast, `request ${count} of seed ${seed}: ${JSON.stringify(request)}`).to.deep.equal(slow)
    }
    return answered
  }

  const credentialsOf = (random: Random): { headers: Record<string, string>; form: [string, string][] } => {
    const [id, right] = random.oneOf([
      ['app', secret],
      ['app', secret],
      ['other', otherSecret],
      ['public', ''],
      ['nobody', 'x'],
    ] as const)
    // Few wrong ones: they are counted, and a budget that runs out between two ways would be a difference of the moment.
    const given = random.often(0.004) ? 'wrong' : right
    const kind = random.oneOf(['header', 'header', 'form', 'both', 'id', 'none'])
    const form: [string, string][] = kind === 'form' || kind === 'both' ? [['client_secret', given]] : []
    if (kind !== 'header' && kind !== 'none') form.push(['client_id', id])
    const header = kind === 'header' || kind === 'both' ? { Authorization: basic(id, given) } : {}
    return { headers: random.often(0.02) ? { Authorization: 'Basic !!' } : { ...header }, form }
  }

  const formRequest = (random: Random, path: string, form: [string, string][]): Generated => {
    const { headers, form: more } = credentialsOf(random)
    const fields = [...form, ...more]
    if (random.often(0.05)) fields.push(fields[0] ?? ['a', 'b'])
    if (random.often(0.05)) fields.push(['unknown', 'value'])
    const body = new URLSearchParams(fields).toString()
    return {
      method: 'POST',
      path: random.often(0.03) ? `${path}?x=1` : path,
      headers: {
        'Content-Type': random.oneOf([
          ...Array.from({ length: 12 }, () => 'application/x-www-form-urlencoded'),
          'application/x-www-form-urlencoded; charset=utf-8',
          'application/json',
        ]),
        ...(random.often(0.03) ? { Origin: 'https://client.example' } : {}),
        ...headers,
      },
      body: random.often(0.03) ? `${body}&%zz` : body,
    }
  }

  const tokenRequest = (path: string) => (random: Random) => {
    const form: [string, string][] = random.often(0.95) ? [['token', random.oneOf(tokens)]] : []
    if (random.often(0.3)) form.push(['token_type_hint', random.oneOf(['access_token', 'refresh_token', 'nonsense'])])
    return formRequest(random, path, form)
  }

  it('introspect as the engine does', async () => {
    expect(await compare(1, tokenRequest('/oauth2/introspect'))).to.be.greaterThan(REQUESTS / 10)
  })

  it('issue client credentials as the engine does', async () => {
    const scopes = ['movies:read', 'movies:read movies:write', 'movies:write', 'openid', 'movies:read openid', 'x', '']
    const generate = (random: Random) => {
      const type = random.often(0.9) ? 'client_credentials' : random.oneOf(['password', 'nonsense', ''])
      const form: [string, string][] = [['grant_type', type]]
      if (random.often(0.5)) form.push(['scope', random.oneOf([...scopes, 'movies:read movies:read', ' movies:read'])])
      if (random.often(0.1)) form.push(['resource', random.oneOf(['https://movies.example', 'https://x.example'])])
      return formRequest(random, '/oauth2/token', form)
    }
    expect(await compare(2, generate)).to.be.greaterThan(REQUESTS / 15)
  })

  const bearerRequest = (random: Random, path: string, values: string[]): Generated => {
    const scheme = random.often(0.95) ? 'Bearer' : random.oneOf(['bearer', 'Basic', 'Bearer ', ''])
    const headers = random.often(0.95) ? { Authorization: `${scheme} ${random.oneOf(values)}` } : {}
    const cors = random.often(0.03) ? { Origin: 'https://client.example' } : {}
    return {
      method: random.often(0.95) ? 'GET' : random.oneOf(['HEAD', 'POST']),
      path,
      headers: { ...headers, ...cors },
    }
  }
  const inHeaders = () => tokens.filter((token) => !/[^\x20-\x7e]/.test(token))

  it('judge tokens as the route does', async () => {
    const generate = (random: Random) => {
      const query = random.often(0.05) ? '?a=b' : ''
      return bearerRequest(random, `/api/v1/auth_token/validation${query}`, inHeaders())
    }
    expect(await compare(5, generate)).to.be.greaterThan(REQUESTS / 10)
  })

  it('tell about people as the engine does', async () => {
    const scoped = await Promise.all(
      ['openid', 'openid profile', 'email openid', 'openid address phone email profile'].map((scope) =>
        flow.tokens({ scope, prompt: 'consent' }),
      ),
    )
    const named = await flow.tokens({ scope: 'openid', claims: '{"userinfo":{"email":null}}' })
    const values = [...[...scoped, ...scoped, ...scoped, named].map((set) => set.access_token), ...inHeaders()]
    const generate = (random: Random) =>
      bearerRequest(random, `/oauth2/userinfo${random.often(0.05) ? '?scope=openid' : ''}`, values)
    expect(await compare(7, generate)).to.be.greaterThan(REQUESTS / 10)
  })

  it('decide about permissions as the route does', async () => {
    const reader = tokensOf(
      await flow.post('/oauth2/token', { grant_type: 'client_credentials', scope: 'access:read' }),
    )
    const [own = ''] = tokens
    const values = [...Array.from({ length: 6 }, () => [own, reader.access_token]).flat(), ...inHeaders()]
    const { sub: owner = '' } = decodeJwt(own)
    const accounts = [...Array.from({ length: 6 }, () => owner), '01939c4e-0000-7000-8000-000000000001']
    const questions = [
      'movies:edit',
      '{"any":["movies:edit",{"all":["movies:read","x"]}]}',
      '{"all":[]}',
      '{}',
      '{"any":["a"],"all":["b"]}',
      '[1]',
      '"movies:edit"',
      '{"any":',
      '',
    ]
    const generate = (random: Random) => {
      const id = random.oneOf([...accounts, 'non_registered', 'nobody', owner.toUpperCase()])
      const base = `/api/v1/${random.oneOf(['users', 'accounts'])}/${id}/combined_permissions`
      const asks = `/validation?permissions=${encodeURIComponent(random.oneOf(questions))}`
      const rest = random.oneOf([
        '',
        asks,
        asks,
        asks,
        `${asks}&explain=true`,
        '/validation',
        '?a=b',
        `${asks}&a=b`,
        '/x',
      ])
      return bearerRequest(random, base + rest, values)
    }
    expect(await compare(6, generate)).to.be.greaterThan(REQUESTS / 40)
  })

  it('publish what the engine publishes', async () => {
    const paths = [
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
      '/.well-known/jwks.json',
    ]
    const generate = (random: Random): Generated => ({
      method: random.often(0.9) ? 'GET' : random.oneOf(['HEAD', 'POST', 'OPTIONS']),
      path: random.oneOf(paths) + (random.often(0.2) ? '?a=b' : ''),
      headers: random.often(0.2) ? { Origin: 'https://client.example' } : {},
    })
    expect(await compare(3, generate)).to.be.greaterThan(REQUESTS / 2)
  })

  it('spare a reader the document it has', async () => {
    const path = '/.well-known/jwks.json'
    const first = await ask(world.servers[0]?.address ?? '', { method: 'GET', path, headers: {} })
    const again = { method: 'GET', path, headers: { 'If-None-Match': String(first.headers.etag) } }
    const second = await ask(world.servers[0]?.address ?? '', again)
    expect([first.status, second.status, second.text]).to.deep.equal([200, 304, ''])
    expect(first.headers['cache-control']).to.match(/^public, max-age=\d+$/)
  })

  it('revoke as the engine does, and the token is dead', async () => {
    const [foreign] = tokens
    expect(await compare(4, tokenRequestOf(['a.b.c', `${foreign}x`, 'opaque', '']))).to.be.greaterThan(REQUESTS / 15)
    const { access_token: token } = await flow.tokens({ scope: 'openid' })
    const before = world.fastAnswers()
    expect((await flow.revoke(token)).status).to.equal(200)
    expect(world.fastAnswers()).to.equal(before + 1)
    expect((await flow.introspect(token)).json()).to.deep.equal({ active: false })
  })

  function tokenRequestOf(values: string[]) {
    return (random: Random) => formRequest(random, '/oauth2/revoke', [['token', random.oneOf(values)]])
  }
})

/** Headers in which every two answers differ, and those a prebuilt document adds. */
const OWN_HEADERS = ['date', 'x-request-id', 'keep-alive', 'connection', 'etag', 'content-length', 'transfer-encoding']

function comparable({ status, headers, text }: Reply): object {
  const isAdded = (name: string): boolean => name === 'cache-control' && /^public/.test(headers[name] ?? '')
  const kept = Object.entries(headers).filter(([name]) => !OWN_HEADERS.includes(name) && !isAdded(name))
  return { status, headers: Object.fromEntries(kept), body: bodyOf(text) }
}

function bodyOf(text: string): unknown {
  if (!text.startsWith('{')) return text
  const body = JSON.parse(text)
  if (typeof body.request_id === 'string') body.request_id = 'one'
  if (typeof body.access_token !== 'string') return body
  const { jti, iat, exp, ims, ...claims } = decodeJwt(body.access_token)
  const lasting = Number(exp) - Number(iat)
  const kinds = [typeof jti, String(jti).length, typeof ims]
  return { ...body, access_token: { header: decodeProtectedHeader(body.access_token), claims, lasting, kinds } }
}
