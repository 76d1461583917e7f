/** A client application on another origin, as small as one can be: start, callback, sign out, signed out. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as client from 'openid-client'

export interface ClientApp {
  /** http://127.0.0.1:<port>: another site than the issuer, which is localhost. */
  origin: string
  close(): Promise<void>
}

interface Started {
  pkceCodeVerifier: string
  expectedState: string
  expectedNonce: string
}

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>

/** Listens before it knows its issuer, because its address is what gets registered there. */
export async function startClientApp() {
  let config: client.Configuration | undefined
  const started = new Map<string, Started>()
  const idTokens = new Map<string, string>()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', origin)
    const handle = routes[url.pathname] ?? notFound
    handle(request, response, url).catch((error) => show(response, 'error', String(error.error ?? error)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // listening on TCP
  const known = (): client.Configuration => {
    if (!config) throw new Error('connectTo comes first')
    return config
  }

  /** Parameters of the query go into the authorization request. */
  const start: Handler = async (_request, response, url) => {
    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const flow = { pkceCodeVerifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() }
    started.set(flow.expectedState, flow)
    redirect(
      response,
      client.buildAuthorizationUrl(known(), {
        redirect_uri: `${origin}/callback`,
        scope: 'openid profile email',
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256',
        state: flow.expectedState,
        nonce: flow.expectedNonce,
        ...Object.fromEntries(url.searchParams),
      }),
    )
  }

  const callback: Handler = async (request, response, url) => {
    const body = request.method === 'POST' ? (await request.setEncoding('utf8').toArray()).join('') : undefined
    const checks = started.get(new URLSearchParams(body ?? url.search).get('state') ?? '')
    const answer = body === undefined ? url : new Request(url, { method: 'POST', body: new URLSearchParams(body) })
    const tokens = await client.authorizationCodeGrant(known(), answer, checks)
    const { sub = '' } = tokens.claims() ?? {}
    const { email } = await client.fetchUserInfo(known(), tokens.access_token, sub)
    const id = randomUUID()
    idTokens.set(id, tokens.id_token ?? '')
    show(response, 'signed-in', String(email), `<a id="sign-out" href="/sign-out?id=${id}">Sign out</a>`)
  }

  const signOut: Handler = async (_request, response, url) => {
    const parameters = {
      post_logout_redirect_uri: `${origin}/signed-out`,
      id_token_hint: idTokens.get(url.searchParams.get('id') ?? '') ?? '',
    }
    redirect(response, client.buildEndSessionUrl(known(), parameters))
  }

  const routes: Record<string, Handler> = {
    '/start': start,
    '/callback': callback,
    '/sign-out': signOut,
    '/signed-out': async (_request, response) => show(response, 'goodbye', 'signed out'),
  }
  return {
    origin,
    async connectTo(issuer: string, id: string): Promise<void> {
      config = await client.discovery(new URL(issuer), id, { id_token_signed_response_alg: 'ES256' }, client.None(), {
        execute: [client.allowInsecureRequests],
      })
    },
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

const notFound: Handler = async (_request, response) => {
  response.writeHead(404).end()
}

function redirect(response: ServerResponse, to: URL): void {
  response.writeHead(302, { Location: to.href }).end()
}

function show(response: ServerResponse, id: string, text: string, more = ''): void {
  response
    .writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' })
    .end(`<!doctype html><title>Client</title><link rel="icon" href="data:,"><p id="${id}">${text}</p>${more}`)
}
