import { type IncomingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa, { type Middleware } from 'koa'
import { loadAssets } from '../../src/http/assets.ts'
import { createCookies } from '../../src/http/cookies.ts'
import { createLocaleOf } from '../../src/http/locale.ts'
import { createRenderer } from '../../src/http/render.ts'
import { createTranslator } from '../../src/i18n.ts'
import { createLogger } from '../../src/observability/logger.ts'

export const viewsDir = new URL('../../views', import.meta.url).pathname

/** A renderer as compose/web.ts builds it. */
export function makeRenderer(issuer: string) {
  const assets = loadAssets(`${viewsDir}/assets`)
  const translator = createTranslator(`${viewsDir}/locales`)
  const localeOf = createLocaleOf({ translator, cookies: createCookies({ issuer }) })
  return { assets, translator, render: createRenderer({ viewsDir, assets, translator, localeOf }) }
}

/** A logger whose lines can be read, as text and parsed. */
export function makeLog() {
  const lines: string[] = []
  const logger = createLogger({ level: 'trace', destination: { write: (line: string) => void lines.push(line) } })
  return { logger, lines, parsed: () => lines.map((line) => JSON.parse(line)) }
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

export interface Question {
  method?: string
  path?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

/** A Koa app of the given middleware on a free port, asked over raw HTTP: fetch would forbid our Host headers. */
export async function serve(middleware: readonly Middleware[], prepare: (app: Koa) => unknown = () => {}) {
  const app = new Koa()
  app.silent = true
  prepare(app)
  for (const step of middleware) app.use(step)
  const server: Server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo // a TCP server has no other kind of address

  return {
    app,
    port,
    ask: (question: Question = {}) => ask(port, question),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function ask(port: number, { method = 'GET', path = '/', headers = {}, body }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
