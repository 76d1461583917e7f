/**
 * The demonstration talks to the server as any client does, over HTTP, but always by loopback: the issuer's name may
 * lead to a proxy that this process cannot reach. `fetch` would replace the Host header, hence node:http.
 */
import { request } from 'node:http'
import { Unavailable } from '../errors.ts'

const DEADLINE_MS = 5_000
const MAX_BYTES = 256 * 1024

export interface Reply {
  status: number
  /** Parsed JSON; undefined when the answer was none. */
  body: unknown
}

/** Asks an endpoint of the issuer by its full URL; a form is posted, everything else is a GET. */
export type CallIssuer = (url: string, options?: { form?: Record<string, string>; bearer?: string }) => Promise<Reply>

/**
 * @param host where the process listens, as in the settings; an unspecified address is reached by loopback
 * @throws Unavailable after 5 s without a complete answer
 */
export function createOwnListener({ issuer, host, port }: { issuer: string; host: string; port: number }): CallIssuer {
  const { host: issuerHost } = new URL(issuer)
  const hostname = loopbackOf(host)

  return async function callIssuer(url, { form, bearer } = {}) {
    if (!url.startsWith(`${issuer}/`)) throw new Error('the demonstration calls its own issuer only')
    const body = form && new URLSearchParams(form).toString()
    const headers = {
      Host: issuerHost,
      Accept: 'application/json',
      ...(body === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }),
      ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
    }
    try {
      return await exchange({ hostname, port, path: url.slice(issuer.length), headers }, body)
    } catch (cause) {
      throw new Unavailable('the own listener', cause)
    }
  }
}

interface Target {
  hostname: string
  port: number
  path: string
  headers: Record<string, string>
}

async function exchange(target: Target, body: string | undefined): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const method = body === undefined ? 'GET' : 'POST'
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const outgoing = request({ ...target, method, agent: false, signal }, (incoming) => {
    const chunks: Buffer[] = []
    let size = 0
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BYTES) incoming.destroy(new Error('the answer is too large'))
      chunks.push(chunk)
    })
    incoming.on('error', reject)
    incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: jsonOf(Buffer.concat(chunks)) }))
  })
  outgoing.on('error', reject)
  outgoing.end(body)
  return promise
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function loopbackOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
