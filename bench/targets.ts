/** The four servers of a run. Reference servers are started per comparison, because they send what it sends. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { JWK } from 'jose'
import { freePort, type Measured, startServer } from './process.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const SERVER_CORE = 0

export type Targets = Awaited<ReturnType<typeof startTargets>>

export interface TargetOptions {
  env: Record<string, string>
  directory: string
  redisUrl: string
  jwks: { keys: JWK[] }
  secret: string
}

export async function startTargets({ env, directory, redisUrl, jwks, secret }: TargetOptions) {
  const jwksFile = join(directory, 'jwks.json')
  const tokensFile = join(directory, 'stock-tokens.json')
  writeFileSync(jwksFile, JSON.stringify(jwks))
  const stockPort = await freePort()
  const stock = await startServer([process.execPath, join(root, 'bench/servers/stock.ts')], {
    env: {
      NODE_ENV: 'production',
      BENCH_PORT: String(stockPort),
      BENCH_ISSUER: `http://127.0.0.1:${stockPort}`,
      BENCH_REDIS: redisUrl,
      BENCH_JWKS: jwksFile,
      BENCH_SECRET: secret,
      BENCH_TOKENS: tokensFile,
    },
    ready: /^listening/,
    address: `http://127.0.0.1:${stockPort}`,
    core: SERVER_CORE,
  })
  const usher = await startUsher(env)
  const stockTokens: { access: string[]; refresh: string[] } = JSON.parse(readFileSync(tokensFile, 'utf8'))
  return {
    usher,
    stock,
    stockTokens,
    async stop() {
      await Promise.all([usher.stop(), stock.stop()])
    },
  }
}

/** What `npm start` has Node do. */
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }
const [, ...START] = scripts.start.split(' ')

/** The server as an operator runs it. */
export const startUsher = (env: Record<string, string>, core: number | 'all' = SERVER_CORE) =>
  startServer([process.execPath, ...START.map((word) => (word.startsWith('bin/') ? join(root, word) : word))], {
    env,
    ready: /Usher is ready at/,
    address: `http://127.0.0.1:${env.USHER_PORT}`,
    core,
  })

/** raw or koa, sending this body. */
export async function startReference(kind: 'raw' | 'koa', body: string): Promise<Measured> {
  const port = await freePort()
  return startServer([process.execPath, join(root, `bench/servers/${kind}.ts`)], {
    env: { NODE_ENV: 'production', BENCH_PORT: String(port), BENCH_BODY: body },
    ready: /^listening/,
    address: `http://127.0.0.1:${port}`,
    core: SERVER_CORE,
  })
}
