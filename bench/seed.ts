/** What the servers hold when they are measured: accounts, clients, and live tokens to ask with. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { importJWK, type JWK, SignJWT } from 'jose'
import { type Core, composeCore, openStores, type Stores } from '../src/compose.ts'
import { loadConfig } from '../src/config.ts'
import { openKeyring } from '../src/oidc/keystore.ts'

export interface Seeded {
  core: Core
  stores: Stores
  secret: string
  accountIds: string[]
  jwks: { keys: JWK[] }
  /** Access tokens of distinct accounts and grants, signed with the server's own key. */
  accessTokens(count: number): Promise<string[]>
  close(): Promise<void>
}

export const CLIENTS = 100
export const PASSWORD = 'a long and quite ordinary pass phrase'
const ACCOUNTS = 1_000

/** @param env the settings of the server that will be measured */
export async function seed(env: Record<string, string>): Promise<Seeded> {
  const config = loadConfig({ ...env, NODE_ENV: 'development' })
  const keyring = await openKeyring({ dir: env.USHER_KEYS_DIR ?? '', production: false, secrets: config })
  const stores = await openStores(config)
  const core = composeCore({ config, stores, keyring })
  await core.access.initialize()
  const secret = 'bench-bench-bench-bench-bench-bench-bench'
  for (let place = 0; place < CLIENTS; place += 1) {
    await core.clients.create({
      id: `c${place}`,
      type: 'web',
      firstParty: true,
      secret,
      grantTypes: ['authorization_code', 'refresh_token', 'client_credentials', 'password'],
      redirectUris: ['https://client.example/cb'],
      scopes: ['openid', 'email', 'read', 'access:read'],
    })
  }
  const passwordHash = await core.hashes.hash(PASSWORD)
  const accountIds: string[] = []
  for (let place = 0; place < ACCOUNTS; place += 1) {
    const email = `a${place}@bench.example`
    accountIds.push((await core.accounts.create({ email, passwordHash, emailVerified: true })).id)
  }
  const jwks = keyring.engineJwks()
  const jwk = jwks.keys.find(({ alg }) => alg === 'ES256')
  if (!jwk) throw new Error('no ES256 key')
  const key = await importJWK(jwk, 'ES256')

  const tokenOf = async (place: number): Promise<string> => {
    const id = accountIds[place % ACCOUNTS] ?? ''
    const unique = `${place}`.padStart(8, '0')
    return new SignJWT({
      roles: ['user'],
      scope: 'openid email',
      client_id: `c${place % CLIENTS}`,
      ims: Date.now(),
      gid: `grant-of-the-benchmark-with-the-number-${unique}`,
      auth_time: Math.floor(Date.now() / 1000),
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: jwk.kid ?? '' })
      .setIssuer(config.issuer)
      .setAudience(`${config.issuer}/api/v1`)
      .setSubject(id)
      .setJti(`token-of-the-benchmark-number-${unique}`)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(key)
  }

  return {
    core,
    stores,
    secret,
    accountIds,
    jwks,
    async accessTokens(count) {
      const tokens: string[] = []
      for (let place = 0; place < count; place += 1) tokens.push(await tokenOf(place))
      return tokens
    },
    async close() {
      await core.hashes.close()
      await stores.close()
    },
  }
}

/** The body of a document as the server will send it, for the reference servers to send the same. */
export const versionsOf = (): Record<string, string> => {
  const root = new URL('..', import.meta.url).pathname
  const version = (name: string): string =>
    JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
  return {
    node: process.version,
    'oidc-provider': version('oidc-provider'),
    koa: version('koa'),
    ioredis: version('ioredis'),
  }
}
