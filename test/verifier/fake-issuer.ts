/**
 * The server as the verifier sees it, for what a real one cannot be brought to do: broken documents, tricks in tokens, a
 * stream that says what the test wants. The real one is in server.test.ts.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export const AUDIENCE = 'https://orders.example'

export interface SigningKey {
  kid: string
  alg: string
  privateKey: CryptoKey
  jwk: JWK
}

export async function makeKey(kid: string, alg = 'ES256', more: JWK = {}): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig', ...more } }
}

export interface Visit {
  path: string
  headers: IncomingMessage['headers']
}

/** One open stream. */
export interface Line {
  send(event: string, data?: object, id?: string): void
  raw(text: string): void
  end(): void
  lastEventId: string | undefined
}

export type FakeIssuer = Awaited<ReturnType<typeof startFakeIssuer>>

export async function startFakeIssuer() {
  const key = await makeKey('key-1')
  const sockets = new Set<Socket>()
  const lines = new Set<Line>()
  const visits: Visit[] = []
  let last = 0
  const serial = (): number => {
    last += 1
    return last
  }
  let issuer = ''

  const state = {
    keys: [key.jwk] as unknown[],
    discovery: undefined as object | undefined | null,
    /** Takes the place of an answer where it says so. */
    intercept: undefined as ((path: string, response: ServerResponse, request: IncomingMessage) => boolean) | undefined,
    /** What a new connection to the stream is told. */
    onLine: (line: Line): void => greet(line),
    holdings: new Map<string, { permissions: string[]; roles: string[] }>(),
    tokenSeconds: 300,
    heartbeatMs: 50,
  }

  const json = (response: ServerResponse, body: unknown, status = 200): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  }

  const openLine = (request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    const line: Line = {
      lastEventId: request.headers['last-event-id'] as string | undefined,
      raw: (text) => void response.write(text),
      send(event, data = {}, id = `c${serial()}`) {
        response.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
      },
      end: () => void response.end(),
    }
    lines.add(line)
    const beat = setInterval(() => state.heartbeatMs && line.send('heartbeat', { at_ms: Date.now() }), 40)
    response.on('close', () => {
      clearInterval(beat)
      lines.delete(line)
    })
    state.onLine(line)
  }

  const server = createServer((request, response) => {
    const path = request.url ?? ''
    visits.push({ path, headers: request.headers })
    if (state.intercept?.(path, response, request)) return
    if (path === '/.well-known/openid-configuration') {
      if (state.discovery === null) return void json(response, {}, 404)
      return void json(
        response,
        state.discovery ?? {
          issuer,
          jwks_uri: `${issuer}/jwks`,
          token_endpoint: `${issuer}/token`,
        },
      )
    }
    if (path === '/jwks' || path === '/.well-known/jwks.json') return void json(response, { keys: state.keys })
    if (path === '/token' || path === '/oauth2/token') {
      return void json(response, { access_token: `service-${serial()}`, expires_in: state.tokenSeconds })
    }
    if (path === '/api/v1/events/revocations') return openLine(request, response)
    const account = /^\/api\/v1\/accounts\/([^/]+)\/combined_permissions\?roles=true$/.exec(path)?.[1]
    const holding = account && state.holdings.get(decodeURIComponent(account))
    json(response, holding || {}, holding ? 200 : 404)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const listen = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(0)
  const { port } = server.address() as AddressInfo // listening on TCP
  issuer = `http://127.0.0.1:${port}`

  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const stop = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    cut()
    await closed
  }

  return {
    issuer,
    key,
    state,
    lines,
    visits,
    cut,
    stop,
    restart: () => listen(port),
    /** Says the same on every open stream. */
    tell: (event: string, data?: object, id?: string) => {
      for (const line of lines) line.send(event, data, id)
    },
    visitsTo: (path: string) => visits.filter((visit) => visit.path.startsWith(path)),

    /** A token as the server would sign it; members set to undefined are left out. */
    sign(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, by: SigningKey = key) {
      return new SignJWT({ ...claimsOf(issuer), ...claims })
        .setProtectedHeader({ alg: by.alg, typ: 'at+jwt', kid: by.kid, ...header })
        .sign(by.privateKey)
    },
  }
}

/** A whole picture, with these revocations in it. */
export function greet(line: Line, ...revoked: object[]): void {
  line.send('snapshot_begin', { heartbeat_seconds: 0.05 })
  for (const each of revoked) line.send('revoked', each)
  line.send('snapshot_end')
}

export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds

let count = 0

export function claimsOf(issuer: string): Record<string, unknown> {
  count += 1
  return {
    ...{ iss: issuer, sub: 'account-1', aud: AUDIENCE, client_id: 'app', jti: `token-${count}` },
    ...{ iat: inSeconds(0), exp: inSeconds(300), scope: 'openid orders:read' },
    ...{ ims: Date.now() - 1_000, gid: `grant-${count}`, suid: `session-${count}`, roles: ['user'] },
  }
}

/** Waits for what other processes do in their own time. */
export async function until(condition: () => boolean | Promise<boolean>, attempts = 400): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
  throw new Error('it did not happen')
}

/** The code with which something is refused. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'accepted'
  } catch (error) {
    const { code, message } = error as { code?: string; message: string } // of whatever was thrown
    return code ?? message
  }
}
