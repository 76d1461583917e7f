/** What is compared: the same question to each server, in the form that server answers. */
import { basic, send } from '../test/support/http.ts'
import { CLIENTS, PASSWORD, type Seeded } from './seed.ts'
import type { Targets } from './targets.ts'
import type { Request } from './wrk.ts'

export interface BarWanted {
  /** `signature`: an ideal Koa server that reads the form and signs once. `rate`: so many per second and core. */
  against: 'raw' | 'koa' | 'stock' | 'signature' | 'rate'
  /** In words. */
  of: string
  must: number
  aim: number
  /** Of a rate: what counts as 1. */
  scale?: number
}

export interface Comparison {
  name: string
  bars: BarWanted[]
  usher: Request[]
  /** Absent where stock has no such endpoint. */
  stock?: Request[]
  /** A text that every answer of ours holds: a fast wrong answer is no answer. */
  holds: string
  stockHolds?: string
  /** The share of answers that are refusals, because what was presented is revoked. */
  refused?: number
  /** Rotating chains cannot be replayed from a list; see chains.ts. */
  chains?: { usher: string[]; stock: string[] }
}

const DISTINCT_TOKENS = 10_000
/** Every hundredth token of the validation is revoked. */
const REVOKED_OF = 100
const CHAINS = 32

/** What the seeds' own server was said to introspect per second; what a peer counts on per core (refreshes). */
const HEADLINE_INTROSPECTIONS = 704
const PEER_REFRESHES = 120

const ofKoa = (must: number, aim: number): BarWanted => ({ against: 'koa', of: '× plain Koa', must, aim })
const ofStock = (must: number, aim: number): BarWanted => ({ against: 'stock', of: '× stock oidc-provider', must, aim })

interface CaseDeps {
  seeded: Seeded
  targets: Targets
  issuer: string
}

export const FORM = 'application/x-www-form-urlencoded'

export async function casesOf({ seeded, targets, issuer }: CaseDeps): Promise<Comparison[]> {
  const { host } = new URL(issuer)
  const { secret, accountIds } = seeded
  const tokens = await seeded.accessTokens(DISTINCT_TOKENS)
  const someRevoked = await seeded.accessTokens(DISTINCT_TOKENS, { from: DISTINCT_TOKENS })
  await seeded.revoke(someRevoked.filter((_, place) => place % REVOKED_OF === 0))
  const stockHost = new URL(targets.stock.address).host
  const get = (path: string, to: string, headers: Record<string, string> = {}): Request => ({
    method: 'GET',
    path,
    headers: { Host: to, ...headers },
  })
  const post = (path: string, to: string, client: string, form: Record<string, string>): Request => ({
    method: 'POST',
    path,
    headers: { Host: to, 'Content-Type': FORM, Authorization: basic(client, secret) },
    body: new URLSearchParams(form).toString(),
  })
  const clientOf = (place: number): string => `c${place % CLIENTS}`
  const credentials = { grant_type: 'client_credentials' }
  const stockAccess = targets.stockTokens.access

  const signIns = await Promise.all(
    Array.from({ length: CHAINS }, (_, place) =>
      passwordGrant(targets.usher.address, host, clientOf(place), secret, `a${place}@bench.example`),
    ),
  )

  return [
    {
      name: 'discovery',
      bars: [ofKoa(0.9, 0.95)],
      usher: [get('/.well-known/openid-configuration', host)],
      stock: [get('/.well-known/openid-configuration', stockHost)],
      holds: '"issuer"',
    },
    {
      name: 'keys',
      bars: [ofKoa(0.9, 0.95)],
      usher: [get('/.well-known/jwks.json', host)],
      stock: [get('/jwks', stockHost)],
      holds: '"keys"',
    },
    {
      name: 'validation',
      bars: [ofKoa(0.55, 0.8)],
      usher: someRevoked.map((token) =>
        get('/api/v1/auth_token/validation', host, { Authorization: `Bearer ${token}` }),
      ),
      refused: 1 / REVOKED_OF,
      holds: 'Token is valid',
    },
    {
      name: 'permission query',
      bars: [ofKoa(0.5, 0.75)],
      usher: tokens.slice(0, accountIds.length).map((token, place) => {
        const query = encodeURIComponent(
          JSON.stringify({ any: ['movies:edit', { all: ['movies:read', 'movies:list'] }] }),
        )
        const path = `/api/v1/users/${accountIds[place]}/combined_permissions/validation?permissions=${query}`
        return get(path, host, { Authorization: `Bearer ${token}` })
      }),
      holds: '"valid"',
    },
    {
      name: 'introspection',
      bars: [
        ofStock(2.5, 4),
        {
          against: 'rate',
          of: `× ${HEADLINE_INTROSPECTIONS}/s per core`,
          scale: HEADLINE_INTROSPECTIONS,
          must: 10,
          aim: 30,
        },
      ],
      usher: tokens.map((token, place) => post('/oauth2/introspect', host, clientOf(place), { token })),
      stock: stockAccess.map((token, place) => post('/token/introspection', stockHost, clientOf(place), { token })),
      holds: '"active":true',
    },
    {
      name: 'client credentials',
      bars: [
        ofStock(1.5, 2),
        { against: 'signature', of: '× (Koa reading the form + one signature)', must: 0.5, aim: 0.75 },
      ],
      usher: Array.from({ length: CLIENTS }, (_, place) => post('/oauth2/token', host, clientOf(place), credentials)),
      stock: Array.from({ length: CLIENTS }, (_, place) =>
        post('/token', stockHost, clientOf(place), { ...credentials, resource: 'https://api.bench.example' }),
      ),
      holds: '"access_token":"eyJ',
    },
    {
      name: 'userinfo',
      bars: [ofStock(2, 4)],
      usher: signIns.map(({ access_token }) =>
        get('/oauth2/userinfo', host, { Authorization: `Bearer ${access_token}` }),
      ),
      stock: stockAccess.map((token) => get('/me', stockHost, { Authorization: `Bearer ${token}` })),
      holds: '"sub"',
    },
    {
      name: 'refresh',
      bars: [
        ofStock(2, 3),
        { against: 'rate', of: `× ${PEER_REFRESHES}/s per core`, scale: PEER_REFRESHES, must: 30, aim: 80 },
      ],
      usher: signIns.map((_, place) => post('/oauth2/token', host, clientOf(place), { grant_type: 'refresh_token' })),
      stock: signIns.map((_, place) => post('/token', stockHost, clientOf(place), { grant_type: 'refresh_token' })),
      holds: '"refresh_token"',
      chains: {
        usher: signIns.map(({ refresh_token }) => refresh_token),
        stock: targets.stockTokens.refresh.slice(0, CHAINS),
      },
    },
  ]
}

export interface SignedIn {
  access_token: string
  refresh_token: string
}

export async function passwordGrant(
  address: string,
  host: string,
  client: string,
  secret: string,
  username: string,
  headers: Record<string, string> = {},
): Promise<SignedIn> {
  const reply = await send(address, `http://${host}`, '/oauth2/token', {
    form: { grant_type: 'password', username, password: PASSWORD, scope: 'openid email' },
    headers: { ...headers, Authorization: basic(client, secret) },
  })
  if (reply.status !== 200) throw new Error(`no tokens for ${username}: ${reply.text}`)
  return reply.json<SignedIn>()
}
