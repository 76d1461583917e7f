/** What is compared: the same question to each server, in the form that server answers. */
import { basic } from '../test/support/http.ts'
import { CLIENTS, PASSWORD, type Seeded } from './seed.ts'
import type { Targets } from './targets.ts'
import type { Request } from './wrk.ts'

export type Bar = { against: 'raw' | 'koa' | 'stock'; must: number; aim: number }

export interface Comparison {
  name: string
  /** The goal of docs/performance.md it belongs to. */
  bar: Bar
  usher: Request[]
  /** Absent where stock has no such endpoint. */
  stock?: Request[]
  /** What is sent to raw and Koa: the same request, which they answer without looking. */
  isForm: boolean
  /** A text that every answer of ours holds: a fast wrong answer is no answer. */
  holds: string
  stockHolds?: string
  /** Rotating chains cannot be replayed from a list; see chains.ts. */
  chains?: { usher: string[]; stock: string[] }
}

const DISTINCT_TOKENS = 10_000
const CHAINS = 32

interface CaseDeps {
  seeded: Seeded
  targets: Targets
  issuer: string
}

const FORM = 'application/x-www-form-urlencoded'

export async function casesOf({ seeded, targets, issuer }: CaseDeps): Promise<Comparison[]> {
  const { host } = new URL(issuer)
  const { secret, accountIds } = seeded
  const tokens = await seeded.accessTokens(DISTINCT_TOKENS)
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
      bar: { against: 'koa', must: 0.9, aim: 0.95 },
      usher: [get('/.well-known/openid-configuration', host)],
      stock: [get('/.well-known/openid-configuration', stockHost)],
      isForm: false,
      holds: '"issuer"',
    },
    {
      name: 'keys',
      bar: { against: 'koa', must: 0.9, aim: 0.95 },
      usher: [get('/.well-known/jwks.json', host)],
      stock: [get('/jwks', stockHost)],
      isForm: false,
      holds: '"keys"',
    },
    {
      name: 'validation',
      bar: { against: 'koa', must: 0.55, aim: 0.8 },
      usher: tokens.map((token) => get('/api/v1/auth_token/validation', host, { Authorization: `Bearer ${token}` })),
      isForm: false,
      holds: 'Token is valid',
    },
    {
      name: 'permission query',
      bar: { against: 'koa', must: 0.5, aim: 0.75 },
      usher: tokens.slice(0, accountIds.length).map((token, place) => {
        const query = encodeURIComponent(
          JSON.stringify({ any: ['movies:edit', { all: ['movies:read', 'movies:list'] }] }),
        )
        const path = `/api/v1/users/${accountIds[place]}/combined_permissions/validation?permissions=${query}`
        return get(path, host, { Authorization: `Bearer ${token}` })
      }),
      isForm: false,
      holds: '"valid"',
    },
    {
      name: 'introspection',
      bar: { against: 'stock', must: 2.5, aim: 5 },
      usher: tokens.map((token, place) => post('/oauth2/introspect', host, clientOf(place), { token })),
      stock: stockAccess.map((token, place) => post('/token/introspection', stockHost, clientOf(place), { token })),
      isForm: true,
      holds: '"active":true',
    },
    {
      name: 'client credentials',
      bar: { against: 'stock', must: 1.5, aim: 2.5 },
      usher: Array.from({ length: CLIENTS }, (_, place) => post('/oauth2/token', host, clientOf(place), credentials)),
      stock: Array.from({ length: CLIENTS }, (_, place) =>
        post('/token', stockHost, clientOf(place), { ...credentials, resource: 'https://api.bench.example' }),
      ),
      isForm: true,
      holds: '"access_token":"eyJ',
    },
    {
      name: 'userinfo',
      bar: { against: 'stock', must: 2, aim: 4 },
      usher: signIns.map(({ access_token }) =>
        get('/oauth2/userinfo', host, { Authorization: `Bearer ${access_token}` }),
      ),
      stock: stockAccess.map((token) => get('/me', stockHost, { Authorization: `Bearer ${token}` })),
      isForm: false,
      holds: '"sub"',
    },
    {
      name: 'refresh',
      bar: { against: 'stock', must: 2, aim: 3 },
      usher: signIns.map((_, place) => post('/oauth2/token', host, clientOf(place), { grant_type: 'refresh_token' })),
      stock: signIns.map((_, place) => post('/token', stockHost, clientOf(place), { grant_type: 'refresh_token' })),
      isForm: true,
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
): Promise<SignedIn> {
  const { send } = await import('../test/support/http.ts')
  const reply = await send(address, `http://${host}`, '/oauth2/token', {
    form: { grant_type: 'password', username, password: PASSWORD, scope: 'openid email' },
    headers: { Authorization: basic(client, secret) },
  })
  if (reply.status !== 200) throw new Error(`no tokens for ${username}: ${reply.text}`)
  return reply.json<SignedIn>()
}
