/**
 * What our races must be able to catch: the engine over Redis with the adapter everybody writes first, which stores,
 * finds and marks as consumed, each for itself. Two engines over one Redis, as two processes would be.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { Redis } from 'ioredis'
import { type Adapter, type AdapterPayload, Provider } from 'oidc-provider'
import { freshRedisPrefix, redisUrl } from '../support/database.ts'

const CLIENT = { id: 'naive', secret: 'a-secret-of-thirty-two-characters!', redirectUri: 'https://naive.example/cb' }

export async function startNaiveServers(count: number) {
  const redis = new Redis(redisUrl())
  const prefix = freshRedisPrefix()
  const issuer = 'http://naive.example'
  const providers = Array.from({ length: count }, () => naiveProvider(issuer, naiveAdapter(redis, prefix)))
  const servers = await Promise.all(providers.map((provider) => listening(createServer(provider.callback()))))
  const [first] = providers
  if (!first) throw new Error('at least one server')

  return {
    issuer,
    client: CLIENT,
    addresses: servers.map(addressOf),
    /** A code, and a refresh token, of a grant of their own. */
    async seed(): Promise<{ code: string; refreshToken: string }> {
      const grant = new first.Grant({ accountId: 'anna', clientId: CLIENT.id })
      grant.addOIDCScope('openid offline_access')
      const grantId = await grant.save()
      const client = await first.Client.find(CLIENT.id)
      if (!client) throw new Error('the client is configured above')
      const common = { accountId: 'anna', client, grantId, gty: 'authorization_code', scope: 'openid offline_access' }
      const code = new first.AuthorizationCode({ ...common, redirectUri: CLIENT.redirectUri })
      const refreshToken = new first.RefreshToken(common)
      return { code: await code.save(), refreshToken: await refreshToken.save() }
    },
    async stop() {
      await Promise.all(servers.map((server) => server.close()))
      redis.disconnect()
    },
  }
}

function naiveProvider(issuer: string, adapter: (model: string) => Adapter): Provider {
  return new Provider(issuer, {
    adapter,
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [CLIENT.redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
    responseTypes: ['code'],
    rotateRefreshToken: true,
    pkce: { required: () => false },
    issueRefreshToken: async () => true,
    findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 600, IdToken: 60, RefreshToken: 600 },
    jwks: { keys: [SIGNING_KEY] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    features: { devInteractions: { enabled: false } },
  })
}

/** One key per run; nobody verifies what it signs. */
const SIGNING_KEY = await (async () => {
  const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign'])
  return { ...(await crypto.subtle.exportKey('jwk', privateKey)), kty: 'EC', kid: 'naive', key_ops: ['sign'] }
})()

/** Check, then act: between `find` and `consume` everybody else may do the same. */
const naiveAdapter =
  (redis: Redis, prefix: string) =>
  (model: string): Adapter => {
    const at = (id: string) => `${prefix}${model}:${id}`
    const read = async (id: string): Promise<AdapterPayload | undefined> => {
      const stored = await redis.get(at(id))
      return stored === null ? undefined : (JSON.parse(stored) as AdapterPayload)
    }
    const write = async (id: string, payload: AdapterPayload, expiresIn: number) => {
      await redis.set(at(id), JSON.stringify(payload), 'EX', expiresIn)
    }
    return {
      find: read,
      findByUid: async () => undefined,
      findByUserCode: async () => undefined,
      upsert: write,
      async consume(id) {
        const payload = await read(id)
        if (payload) await write(id, { ...payload, consumed: Math.floor(Date.now() / 1000) }, 60)
      },
      async destroy(id) {
        await redis.del(at(id))
      },
      // Where rivals are told apart by what they got, a revoked family would only hide the second winner.
      revokeByGrantId: async () => {},
    }
  }

async function listening(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}
