/**
 * An https issuer for tests: a TLS-terminating proxy in front of a server process, as nginx would be, with a certificate
 * of its own that the test's requests trust and nothing else does.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingMessage, request as plainRequest, type ServerResponse } from 'node:http'
import { Agent, createServer, request } from 'node:https'
import { promisify } from 'node:util'
import type { Reply } from './http.ts'

export interface Exchanged {
  method?: string
  headers?: Record<string, string>
  body?: string
}

/** One request, redirects left alone; host names are not resolved: everything is on this machine. */
export type Exchange = (url: string | URL, request?: Exchanged) => Promise<Reply>

export interface TlsFront {
  /** https://<hostname>:<port>, known before the server behind it exists. */
  origin: string
  exchange: Exchange
  /** Where requests go from now on, such as http://127.0.0.1:4711. */
  forwardTo(address: string): void
  close(): Promise<void>
}

export async function startTlsFront(hostname: string): Promise<TlsFront> {
  const { key, certificate } = await selfSigned(hostname)
  let target = ''
  const server = createServer({ key, cert: certificate }, (incoming, outgoing) => relay(incoming, outgoing, target))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the TLS front has no port')
  const agent = new Agent({ keepAlive: true, ca: certificate })
  return {
    origin: `https://${hostname}:${address.port}`,
    exchange: (url, sent = {}) => exchange(agent, new URL(url), sent),
    forwardTo(address) {
      target = address
    },
    async close() {
      agent.destroy()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function relay(incoming: IncomingMessage, outgoing: ServerResponse, target: string): void {
  const { method, url, headers, socket } = incoming
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-for': socket.remoteAddress }
  const inner = plainRequest(`${target}${url}`, { method, headers: { ...headers, ...forwarded } }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(outgoing)
  })
  inner.on('error', () => outgoing.writableEnded || outgoing.writeHead(502).end())
  incoming.pipe(inner)
}

async function exchange(agent: Agent, url: URL, { method = 'GET', headers = {}, body }: Exchanged): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const sent = request(
    {
      agent,
      method,
      host: '127.0.0.1',
      servername: url.hostname,
      port: url.port,
      path: `${url.pathname}${url.search}`,
      headers: {
        Host: url.host,
        ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
        ...headers,
      },
    },
    async (response) => {
      try {
        const text = (await response.setEncoding('utf8').toArray()).join('')
        const json = <T>() => JSON.parse(text) as T
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
      } catch (error) {
        reject(error)
      }
    },
  )
  sent.setTimeout(15_000, () => sent.destroy(new Error(`no answer from ${url.origin}${url.pathname}`)))
  sent.on('error', reject)
  sent.end(body)
  return promise
}

/** Node makes keys but no certificates, so this is openssl's. */
async function selfSigned(hostname: string): Promise<{ key: string; certificate: string }> {
  const { stdout } = await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'],
    ...['-keyout', '-', '-out', '-', '-subj', `/CN=${hostname}`, '-addext', `subjectAltName=DNS:${hostname}`],
  ])
  const [key = ''] = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----/.exec(stdout) ?? []
  const [certificate = ''] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(stdout) ?? []
  return { key, certificate }
}
