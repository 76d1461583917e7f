/** Requests to one server process of several: fetch cannot set Host, and all processes answer to the issuer's. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 128 })

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** The body as JSON; throws when it is none. */
  json<T = Record<string, unknown>>(): T
}

export interface Send {
  method?: string
  headers?: Record<string, string>
  /** Sent urlencoded. */
  form?: Record<string, string>
  /** Sent as JSON; a text is sent as it is. */
  json?: unknown
}

/** @param address where the process listens; @param issuer whose Host the request carries */
export async function send(
  address: string,
  issuer: string,
  path: string,
  { method, headers = {}, form, json }: Send = {},
): Promise<Reply> {
  const body = form ? new URLSearchParams(form).toString() : textOf(json)
  const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
  const { hostname, port } = new URL(address)
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const sent = request(
    {
      agent,
      hostname,
      port,
      path,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        Host: new URL(issuer).host,
        ...(body === undefined ? {} : { 'Content-Type': type, 'Content-Length': String(Buffer.byteLength(body)) }),
        ...headers,
      },
    },
    async (response) => {
      try {
        const text = (await response.setEncoding('utf8').toArray()).join('')
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: <T>() => JSON.parse(text) as T,
        })
      } catch (error) {
        reject(error)
      }
    },
  )
  sent.on('error', reject)
  sent.end(body)
  return promise
}

const textOf = (json: unknown): string | undefined =>
  json === undefined || typeof json === 'string' ? json : JSON.stringify(json)

/** The Authorization header of client_secret_basic (RFC 6749 section 2.3.1). */
export const basic = (id: string, secret: string): string =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`
