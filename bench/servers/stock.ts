/**
 * Stock oidc-provider over Redis: its own routes, the adapter of its examples (JSON under a key, a list per grant), the
 * same clients and signing key as ours, ES256. Access tokens of its API are signed; those for introspection and userinfo
 * are opaque and lie in Redis, which is what it does by itself. Made at the start and written to BENCH_TOKENS.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { type Adapter, type AdapterPayload, Provider } from 'oidc-provider'

const redis = new Redis(process.env.BENCH_REDIS ?? '', { keyPrefix: 'stock:' })
const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode'])

function adapterOf(model: string): Adapter {
  const keyOf = (id: string) => `${model}:${id}`
  return {
    async upsert(id, payload, expiresIn = 3600) {
      const write = redis.multi().set(keyOf(id), JSON.stringify(payload), 'EX', expiresIn)
      if (GRANTABLE.has(model) && payload.grantId) {
        write.rpush(`grant:${payload.grantId}`, keyOf(id)).expire(`grant:${payload.grantId}`, expiresIn)
      }
      await write.exec()
    },
    async find(id) {
      const found = await redis.get(keyOf(id))
      return found === null ? undefined : (JSON.parse(found) as AdapterPayload)
    },
    async findByUid() {
      return undefined
    },
    async findByUserCode() {
      return undefined
    },
    async consume(id) {
      const found = await redis.get(keyOf(id))
      if (found === null) return
      const payload = { ...(JSON.parse(found) as AdapterPayload), consumed: Math.floor(Date.now() / 1000) }
      await redis.set(keyOf(id), JSON.stringify(payload), 'KEEPTTL')
    },
    async destroy(id) {
      await redis.del(keyOf(id))
    },
    async revokeByGrantId(grantId) {
      const keys = await redis.lrange(`grant:${grantId}`, 0, -1)
      if (keys.length > 0) await redis.del(...keys)
    },
  }
}

const issuer = process.env.BENCH_ISSUER ?? ''
const API = 'https://api.bench.example'
const provider = new Provider(issuer, {
  adapter: adapterOf,
  jwks: JSON.parse(readFileSync(process.env.BENCH_JWKS ?? '', 'utf8')),
  clients: Array.from({ length: 100 }, (_, place) => ({
    client_id: `c${place}`,
    client_secret: process.env.BENCH_SECRET ?? '',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    redirect_uris: ['https://client.example/cb'],
    id_token_signed_response_alg: 'ES256' as const,
  })),
  rotateRefreshToken: true,
  cookies: { keys: ['bench-bench-bench-bench-bench-bench'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    userinfo: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // A refresh gives the same kinds of token as ours: a signed access token and an ID token.
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'read',
        audience: API,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  findAccount: async (_ctx, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, email: 'a@bench.example', email_verified: true }),
  }),
})

const access: string[] = []
const refresh: string[] = []
for (let place = 0; place < 1_000; place += 1) {
  const client = await provider.Client.find(`c${place % 100}`)
  if (!client) throw new Error('no client')
  const grant = new provider.Grant({ accountId: `a${place}`, clientId: client.clientId })
  grant.addOIDCScope('openid email offline_access')
  grant.addResourceScope(API, 'read')
  const grantId = await grant.save()
  const common = {
    accountId: `a${place}`,
    client,
    grantId,
    gty: 'authorization_code',
    scope: 'openid email offline_access',
  }
  access.push(await new provider.AccessToken({ ...common }).save())
  const ofTheApi = { ...common, scope: `${common.scope} read`, resource: API, rotations: 0 }
  refresh.push(await new provider.RefreshToken(ofTheApi as never).save())
}
writeFileSync(process.env.BENCH_TOKENS ?? '', JSON.stringify({ access, refresh }))

const server = provider.listen(Number(process.env.BENCH_PORT), '127.0.0.1', () => console.log('listening'))
server.keepAliveTimeout = 75_000
