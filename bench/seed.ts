/** What the servers hold when they are measured: accounts, clients, and live tokens to ask with. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt, importJWK, type JWK, SignJWT } from 'jose'
import { type Core, composeCore } from '../src/compose/core.ts'
import { openStores, type Stores } from '../src/compose/stores.ts'
import { loadConfig } from '../src/config.ts'
import { openKeyring } from '../src/oidc/keystore.ts'

export interface Seeded {
  core: Core
  stores: Stores
  secret: string
  accountIds: string[]
  jwks: { keys: JWK[] }
  /** Access tokens of distinct accounts and grants, signed with the server's own key. */
  accessTokens(count: number, options?: TokenOptions): Promise<string[]>
  revoke(tokens: readonly string[]): Promise<void>
  close(): Promise<void>
}

export interface TokenOptions {
  /** The number of the first; each number has one token. */
  from?: number
  subjectOf?(place: number): string
  clientOf?(place: number): string
  grantOf?(place: number): string
}

export const CLIENTS = 100
export const PASSWORD = 'a long and quite ordinary pass phrase'
export const ACCOUNTS = 1_000

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

  const tokenOf = async (place: number, { subjectOf, clientOf, grantOf }: TokenOptions): Promise<string> => {
    const id = subjectOf?.(place) ?? accountIds[place % ACCOUNTS] ?? ''
    const unique = `${place}`.padStart(8, '0')
    return new SignJWT({
      roles: ['user'],
      scope: 'openid email',
      client_id: clientOf?.(place) ?? `c${place % CLIENTS}`,
      ims: Date.now(),
      gid: grantOf?.(place) ?? `grant-of-the-benchmark-with-the-number-${unique}`,
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
    async accessTokens(count, options = {}) {
      const { from = 0 } = options
      const tokens: string[] = []
      for (let place = from; place < from + count; place += 1) tokens.push(await tokenOf(place, options))
      return tokens
    },
    async revoke(tokens) {
      for (const token of tokens) {
        const { jti = '', exp = 0 } = decodeJwt(token)
        await core.revocation.revokeToken({ jti, exp })
      }
    },
    async close() {
      await core.hashes.close()
      await stores.close()
    },
  }
}

/** Of whatever the figures depend on. */
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
