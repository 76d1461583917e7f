/**
 * Whatever a fast endpoint answers is what the engine answers: the same generated requests go both ways, to one
 * application with the short way in front and to the same without. DIFFERENTIAL_REQUESTS sets how many per route.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import {
  type CodeFlow,
  createAnna,
  createCodeFlow,
  PASSWORD,
  type TokenResponse,
  tokensOf,
} from '../support/code-flow.ts'
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
    await world.core.clients.create({
      id: 'public',
      type: 'spa',
      firstParty: true,
      redirectUris: ['https://client.example/spa'],
      scopes: ['openid', 'email'],
    })
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

  /** The two ways spend from one budget: at its end the first would be refused otherwise than the second. */
  async function forgiveWrongSecrets(): Promise<void> {
    for (const client of ['app', 'other', 'app', 'other'])
      await world.core.limits.giveBack('client-authentication', { address: '127.0.0.1', client })
  }

  async function compare(seed: number, generate: (random: Random) => Generated): Promise<number> {
    const random = randomFrom(seed)
    let answered = 0
    for (let count = 0; count < REQUESTS; count += 1) {
      const request = generate(random)
      const before = world.fastAnswers()
      const [fast, slow] = await bothWays(request)
      await forgiveWrongSecrets()
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

  describe('while no password can be checked', () => {
    let before: () => boolean

    beforeEach(() => {
      before = world.core.hashes.isFull
      world.core.hashes.isFull = () => true
    })
    afterEach(() => {
      world.core.hashes.isFull = before
    })

    const form = { grant_type: 'password', username: 'anna', password: PASSWORD, scope: 'openid' }
    const asking = (headers: Record<string, string>, more: Record<string, string> = {}): Generated => ({
      method: 'POST',
      path: '/oauth2/token',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({ ...form, ...more }).toString(),
    })

    it('refuse as the engine does, and ask no store', async () => {
      const request = asking({ Authorization: basic('app', secret) })
      const before = world.fastAnswers()
      const [fast, slow] = await bothWays(request)
      expect(fast).to.deep.equal(slow)
      expect(world.fastAnswers() - before).to.equal(1)
      const { counts } = await world.counting(() => ask(world.servers[0]?.address ?? '', request))
      expect(counts).to.deep.equal({ redis: 0, sql: 0 })
      const reply = await ask(world.servers[0]?.address ?? '', request)
      expect([reply.status, reply.json().error, reply.headers['retry-after']]).to.deep.equal([
        503,
        'temporarily_unavailable',
        '1',
      ])
    })

    it('tell a client that may not use the grant that it may not, and a stranger nothing', async () => {
      for (const request of [
        asking({ Authorization: basic('other', otherSecret) }),
        asking({ Authorization: basic('app', 'wrong') }),
        asking({}, { client_id: 'public' }),
        asking({ Authorization: basic('app', secret) }, { username: '' }),
      ]) {
        const [fast, slow] = await bothWays(request)
        expect(fast).to.deep.equal(slow)
        expect(fast).to.not.include({ status: 503 })
      }
    })
  })

  describe('refreshing', () => {
    const slowAddress = () => `http://127.0.0.1:${(engine.address() as AddressInfo).port}`
    const fastAddress = () => world.servers[0]?.address ?? ''
    type Twins = [fast: TokenResponse, slow: TokenResponse]
    const MOST_STEPS = 24

    const refreshAt = (address: string, token: string, more: Record<string, string> = {}, by = 'app') =>
      send(address, world.issuer, '/oauth2/token', {
        form: {
          grant_type: 'refresh_token',
          refresh_token: token,
          ...(by === 'public' ? { client_id: by } : {}),
          ...more,
        },
        headers: by === 'app' ? { Authorization: basic('app', secret) } : {},
      })

    const twinsOf = async (flowOf: CodeFlow, parameters: Record<string, string>): Promise<Twins> => [
      await flowOf.tokens(parameters),
      await flowOf.tokens(parameters),
    ]

    /** The same life in both families, one by each way; every step must look the same. Answers how many there were. */
    async function live(random: Random, [fast, slow]: Twins, by: string): Promise<number> {
      const history: Twins[] = [[fast, slow]]
      for (let step = 0; step < MOST_STEPS; step += 1) {
        const latest = history.at(-1) as Twins
        // The latest mostly; sometimes the one before it, which is a retry, or a scope, which only the engine judges.
        const [one, other] = random.often(0.8) ? latest : ((history.at(-2) ?? latest) as Twins)
        const more = random.often(0.1) ? { scope: random.oneOf(['openid', 'openid email', 'x']) } : {}
        const replies = [
          await refreshAt(fastAddress(), one.refresh_token, more, by),
          await refreshAt(slowAddress(), other.refresh_token, more, by),
        ] as const
        const [mine, theirs] = replies.map(comparableGrant)
        expect(mine, `step ${step}`).to.deep.equal(theirs)
        if (replies[0].status !== 200) return step + 1
        history.push([replies[0].json<TokenResponse>(), replies[1].json<TokenResponse>()])
      }
      return MOST_STEPS
    }

    it('rotates as the engine does, for confidential and public clients, in sessions and offline', async () => {
      const random = randomFrom(8)
      const publicFlow = createCodeFlow(world, { id: 'public', redirectUri: 'https://client.example/spa' })
      const scopes = ['openid', 'openid email profile', 'openid email offline_access', 'openid movies:read']
      const before = world.fastAnswers()
      for (let refreshed = 0; refreshed < REQUESTS; ) {
        const by = random.oneOf(['app', 'app', 'public'])
        const scope = by === 'public' ? random.oneOf(['openid', 'openid email']) : random.oneOf(scopes)
        const asked = scope.includes('offline') ? { scope, prompt: 'consent' } : { scope }
        refreshed += await live(random, await twinsOf(by === 'public' ? publicFlow : flow, asked), by)
      }
      expect(world.fastAnswers() - before).to.be.greaterThan(REQUESTS / 3)
    })

    it('gives a retry the very same answer, whichever way came first', async () => {
      for (const [first, second] of [
        [fastAddress(), slowAddress()],
        [slowAddress(), fastAddress()],
        [fastAddress(), fastAddress()],
      ]) {
        const { refresh_token: token } = await flow.tokens({ scope: 'openid' })
        const once = await refreshAt(first ?? '', token)
        const again = await refreshAt(second ?? '', token)
        expect([once.status, again.text]).to.deep.equal([200, once.text])
      }
    })

    it('ends the grant when an older generation comes again', async () => {
      const { refresh_token: first, access_token } = await flow.tokens({ scope: 'openid' })
      const second = (await refreshAt(fastAddress(), first)).json<TokenResponse>()
      const third = (await refreshAt(fastAddress(), second.refresh_token)).json<TokenResponse>()
      expect((await refreshAt(fastAddress(), first)).status).to.equal(400)
      expect((await refreshAt(fastAddress(), third.refresh_token)).status).to.equal(400)
      expect((await flow.introspect(access_token)).json()).to.deep.equal({ active: false })
    })

    it('lets exactly one answer stand when eight come at once', async () => {
      for (let round = 0; round < 10; round += 1) {
        const { refresh_token: token } = await flow.tokens({ scope: 'openid' })
        const replies = await Promise.all(Array.from({ length: 8 }, () => refreshAt(fastAddress(), token)))
        expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size, `round ${round}`).to.equal(1)
        expect(replies[0]?.status).to.equal(200)
      }
    })

    it('refuses whoever is disabled, signed out or asks with another client, as the engine does', async () => {
      const { refresh_token: token } = await flow.tokens({ scope: 'openid' })
      expect((await refreshAt(fastAddress(), token, {}, 'public')).status).to.equal(400)
      await world.core.sessions.endAll(String(decodeJwt(token).sub))
      expect((await refreshAt(fastAddress(), token)).status).to.equal(400)
      await new Promise((resolve) => setTimeout(resolve, 25)) // a sign-in of the same millisecond counts as one of before
      const next = await createCodeFlow(world, { id: 'app', secret, redirectUri: REDIRECT_URI }).tokens({
        scope: 'openid',
      })
      const account = String(decodeJwt(next.access_token).sub)
      await world.core.accounts.disable(account)
      expect((await refreshAt(fastAddress(), next.refresh_token)).status).to.equal(400)
      await world.core.accounts.enable(account)
    })
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

/** An answer of the token endpoint with every token opened. */
function comparableGrant(reply: Reply): object {
  const { access_token, refresh_token, id_token, ...rest } = reply.json<Record<string, string>>()
  const opened = [access_token, refresh_token, id_token].map((token) => {
    if (token === undefined) return undefined
    const { jti, iat, exp, ims, gid, suid, nonce, auth_time, ...claims } = decodeJwt(token)
    const present = [typeof jti, typeof ims, typeof gid, typeof suid, typeof nonce, typeof auth_time]
    return { header: decodeProtectedHeader(token), claims, lasting: Number(exp) - Number(iat), present }
  })
  return { status: reply.status, rest, opened, headers: (comparable(reply) as { headers: object }).headers }
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
